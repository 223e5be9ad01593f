"""Both packages, httpx and httpx2, against a real server."""

from __future__ import annotations

import asyncio
import importlib
import pickle
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from recloser import BreakerGroup, CircuitBreaker, CircuitOpenError, State, Wait
from recloser.testing import FakeClock
from tests.integrations.loopback import (
    Answer,
    HangUp,
    Held,
    Reset,
    Stream,
    refused,
)


class Kit(SimpleNamespace):
    """One package with its integration, sync or async, used in the same way."""

    library: Any
    ours: Any
    loop: Any

    def ask(self, url: str, method: str = "GET", **options: Any) -> Any:
        """Send one request through a new client and read its body."""
        return self.use(lambda get: get(method, url), **options)

    def use(
        self, story: Any, *, timeout: float | None = 5, inside: Any = None, **options
    ) -> Any:
        """Run a story that is given one way to ask; sync code for both kinds."""
        raise NotImplementedError


class SyncKit(Kit):
    def use(self, story, *, timeout=60, inside=None, **options):
        transport = self.ours.CircuitTransport(inside, **options)
        with self.library.Client(transport=transport, timeout=timeout) as client:
            return story(client.request)

    def broken_off(self, url, **options):
        """Leave a body before its end."""
        transport = self.ours.CircuitTransport(**options)
        with (
            self.library.Client(transport=transport) as client,
            client.stream("GET", url) as response,
        ):
            return next(response.iter_raw())


class AsyncKit(Kit):
    def use(self, story, *, timeout=60, inside=None, **options):
        transport = self.ours.AsyncCircuitTransport(inside, **options)

        async def main():
            async with self.library.AsyncClient(
                transport=transport, timeout=timeout
            ) as client:
                asked = []

                def ask(method, url):
                    asked.append((method, url))

                story(ask)
                for method, url in asked:
                    response = await client.request(method, url)
                return response

        return self.loop(main)

    def broken_off(self, url, **options):
        transport = self.ours.AsyncCircuitTransport(**options)

        async def main():
            async with (
                self.library.AsyncClient(transport=transport) as client,
                client.stream("GET", url) as response,
            ):  # on trio, httpx itself cannot stop in the middle of a body
                assert not response.is_closed

        return self.loop(main)


def run_asyncio(main: Any) -> Any:
    return asyncio.run(main())


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def kit(request: pytest.FixtureRequest, library: Any) -> Kit:
    ours = importlib.import_module(f"recloser.integrations.{library.__name__}")
    if request.param == "sync":
        return SyncKit(library=library, ours=ours)
    loop = run_asyncio if request.param == "asyncio" else trio.run
    return AsyncKit(library=library, ours=ours, loop=loop)


@pytest.fixture
def ours(library: Any) -> Any:
    return importlib.import_module(f"recloser.integrations.{library.__name__}")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    """A breaker that one failure opens."""
    return CircuitBreaker(
        "api", trip=1, recovery=Wait(10, jitter=0), clock=clock, registry="none"
    )


def counted(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


SUCCESS, FAILURE, NEUTRAL = (1, 0, 0), (0, 1, 0), (0, 0, 1)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 409, 501, 505, 529])
def test_other_answers_are_successes(kit, server, breaker, status):
    server.script(Answer(status, b"" if status == 204 else b"body"))

    assert kit.ask(server.url, breakers=breaker).status_code == status
    assert counted(breaker) == SUCCESS


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failing_statuses_open_and_the_caller_gets_the_answer(
    kit, server, breaker, status
):
    server.script(Answer(status, b"sorry"))

    response = kit.ask(server.url, breakers=breaker)

    assert (response.status_code, response.content) == (status, b"sorry")
    assert counted(breaker) == FAILURE
    assert breaker.state is State.OPEN
    assert str(status) in breaker.snapshot().last_failure.message


def test_statuses_can_be_chosen(kit, server, breaker):
    server.script(Answer(503), Answer(529))

    kit.ask(server.url, breakers=breaker, statuses={529})
    before = counted(breaker)
    kit.ask(server.url, breakers=breaker, statuses={529})

    assert before == SUCCESS
    assert counted(breaker) == (1, 1, 0)


def test_status_that_is_no_status_is_refused_at_construction(ours):
    for transport in (ours.CircuitTransport, ours.AsyncCircuitTransport):
        with pytest.raises(ValueError, match="got 5030"):
            transport(statuses=[5030])


def test_open_circuit_rejects_without_reaching_the_server(kit, server, breaker):
    breaker.trip()

    with pytest.raises(kit.ours.CircuitOpenTransportError) as caught:
        kit.ask(server.url, breakers=breaker)

    assert isinstance(caught.value, kit.library.TransportError)
    assert isinstance(caught.value, CircuitOpenError)
    assert str(caught.value).startswith("'api' is open")
    assert caught.value.retry_after == 10
    assert str(caught.value.request.url) == f"{server.url}"
    assert caught.value.__cause__ is None
    assert server.visits == []


@pytest.mark.parametrize("seconds", [7, 40])
def test_hint_of_the_server_lengthens_the_wait(kit, server, breaker, seconds):
    server.script(Answer(503, headers={"Retry-After": str(seconds)}))

    kit.ask(server.url, breakers=breaker)

    retry_after = breaker.snapshot().retry_after
    assert retry_after == 10 if seconds == 7 else 40 <= retry_after <= 44


def test_hint_may_be_a_date(kit, server, breaker):
    dates = {
        "Retry-After": "Sat, 21 Nov 2026 12:01:00 GMT",
        "Date": "Sat, 21 Nov 2026 12:00:00 GMT",
    }
    server.script(Answer(429, headers=dates))

    kit.ask(server.url, breakers=breaker)

    assert 60 <= breaker.snapshot().retry_after <= 66


@pytest.mark.parametrize("step", [HangUp(), Reset()])
def test_broken_connection_is_a_failure(kit, server, breaker, step):
    server.script(step)

    with pytest.raises(kit.library.TransportError):
        kit.ask(server.url, breakers=breaker)

    assert counted(breaker) == FAILURE


def test_refused_connection_is_a_failure(kit, breaker):
    with pytest.raises(kit.library.ConnectError):
        kit.ask(refused(), breakers=breaker)

    assert counted(breaker) == FAILURE


def test_timeout_is_a_failure(kit, server, breaker):
    server.script(Held())

    with pytest.raises(kit.library.ReadTimeout):
        kit.ask(
            server.url, breakers=breaker, timeout=kit.library.Timeout(30, read=0.05)
        )

    assert counted(breaker) == FAILURE


@pytest.mark.parametrize(
    "step",
    [
        Answer(body=b"0123456789", cut=5),
        Stream([b"one", b"two"], ends="cut"),
        Stream([b"one", b"two"], ends="reset"),
    ],
)
def test_body_that_dies_midway_is_a_failure(kit, server, breaker, step):
    server.script(step)

    with pytest.raises(kit.library.TransportError):
        kit.ask(server.url, breakers=breaker)

    assert counted(breaker) == FAILURE


def test_body_that_stalls_is_a_failure(kit, server, breaker):
    server.script(Stream([b"one"], ends="held"))

    with pytest.raises(kit.library.ReadTimeout):
        kit.ask(
            server.url, breakers=breaker, timeout=kit.library.Timeout(30, read=0.05)
        )

    assert counted(breaker) == FAILURE


def test_body_is_not_judged_before_its_end(library, ours, server, breaker):
    server.script(Stream([b"one", b"two"]))

    with (
        library.Client(transport=ours.CircuitTransport(breakers=breaker)) as client,
        client.stream("GET", server.url) as response,
    ):
        parts = response.iter_raw()
        next(parts)
        during = counted(breaker)
        rest = b"".join(parts)

    assert during == (0, 0, 0)
    assert b"two" in rest
    assert counted(breaker) == SUCCESS


def test_body_left_early_is_a_success(kit, server, breaker):
    server.script(Stream([b"one"], ends="held"))

    kit.broken_off(server.url, breakers=breaker)

    assert counted(breaker) == SUCCESS


def test_body_never_read_is_a_success(library, ours, server, breaker):
    server.script(Stream([b"one"], ends="held"))

    with (
        library.Client(transport=ours.CircuitTransport(breakers=breaker)) as client,
        client.stream("GET", server.url),
    ):
        pass

    assert counted(breaker) == SUCCESS


def test_answer_to_head_is_a_success(kit, server, breaker):
    assert kit.ask(server.url, method="HEAD", breakers=breaker).status_code == 200
    assert counted(breaker) == SUCCESS


def test_probe_that_still_delivers_when_its_lease_ends_closes(
    library, ours, server, breaker, clock
):
    more = threading.Event()

    def chunks():
        yield b"one"
        more.wait(120)
        yield b"two"

    server.script(Stream(chunks(), ends="held"))
    breaker.trip()
    clock.advance(10)
    with (
        library.Client(transport=ours.CircuitTransport(breakers=breaker)) as client,
        client.stream("GET", server.url) as response,
    ):
        parts = response.iter_raw()
        next(parts)
        before = breaker.state
        clock.advance(30)
        more.set()
        next(parts)
        after = breaker.state

    assert (before, after) == (State.HALF_OPEN, State.CLOSED)
    assert counted(breaker) == SUCCESS


def test_pool_without_a_free_connection_is_neutral(library, ours, server, breaker):
    server.script(Stream([b"one"], ends="held"))
    inside = library.HTTPTransport(limits=library.Limits(max_connections=1))
    transport = ours.CircuitTransport(inside, breakers=breaker)
    timeout = library.Timeout(5, pool=0.02)

    with (
        library.Client(transport=transport, timeout=timeout) as client,
        client.stream("GET", server.url),
        pytest.raises(library.PoolTimeout),
    ):
        client.get(server.url)

    assert counted(breaker) == (1, 0, 1)


def test_mistake_in_the_request_is_neutral(kit, breaker):
    with pytest.raises(kit.library.UnsupportedProtocol):
        kit.ask("ftp://nobody.example", breakers=breaker)

    assert counted(breaker) == NEUTRAL


@pytest.mark.parametrize("step", [Held(), Stream([b"one"], ends="held")])
def test_cancelled_request_and_body_are_neutral(library, ours, server, breaker, step):
    server.script(step)

    async def main() -> None:
        transport = ours.AsyncCircuitTransport(breakers=breaker)
        async with library.AsyncClient(transport=transport) as client:
            await server.cancel_here(client.get(server.url))

    asyncio.run(main())

    assert counted(breaker) == NEUTRAL


def test_cancelled_probe_gives_its_place_back(library, ours, server, breaker, clock):
    server.script(Held())
    breaker.trip()
    clock.advance(10)

    async def main() -> Any:
        transport = ours.AsyncCircuitTransport(breakers=breaker)
        async with library.AsyncClient(transport=transport) as client:
            await server.cancel_here(client.get(server.url))
            return await client.get(server.url)

    assert asyncio.run(main()).status_code == 200
    assert breaker.state is State.CLOSED


def test_each_host_has_its_own_breaker(kit, server, other_server):
    hosts = BreakerGroup("hosts", trip=1)
    server.script(Answer(503))

    kit.ask(server.url, breakers=hosts)
    answer = kit.ask(other_server.url, breakers=hosts)

    assert answer.status_code == 200
    assert set(hosts) == {server.host, other_server.host}
    assert hosts[server.host].state is State.OPEN


def test_key_can_be_any_function_of_the_request(kit, server):
    paths = BreakerGroup("paths")

    kit.ask(f"{server.url}/a", breakers=paths, key=lambda request: request.url.path)

    assert list(paths) == ["/a"]


def test_keys_are_bounded(kit, server):
    paths = BreakerGroup("paths", max_size=3)

    def many(ask: Any) -> None:
        for number in range(10):
            ask("GET", f"{server.url}/{number}")

    kit.use(many, breakers=paths, key=lambda request: request.url.path)

    assert len(server.visits) == 10
    assert len(paths) == 3


def test_redirect_goes_through_the_breaker_of_its_own_host(
    library, ours, server, other_server
):
    hosts = BreakerGroup("hosts", trip=1)
    server.script(Answer(302, headers={"Location": f"{other_server.url}/there"}))
    other_server.script(Answer(503))
    transport = ours.CircuitTransport(breakers=hosts)

    with library.Client(transport=transport, follow_redirects=True) as client:
        client.get(server.url)

    assert hosts[server.host].state is State.CLOSED
    assert hosts[other_server.host].state is State.OPEN


def test_fallback_answers_in_place_of_a_rejection(kit, server, breaker):
    breaker.trip()

    def cached(request: Any, rejection: CircuitOpenError) -> Any:
        text = f"{request.method} {rejection.name}"
        return kit.library.Response(203, text=text)

    response = kit.ask(server.url, breakers=breaker, fallback=cached)

    assert (response.status_code, response.text) == (203, "GET api")
    assert server.visits == []


def test_fallback_that_is_no_function_is_refused(ours):
    for transport in (ours.CircuitTransport, ours.AsyncCircuitTransport):
        with pytest.raises(TypeError, match="fallback must be a function"):
            transport(fallback=7)


def test_body_that_was_there_from_the_start_is_a_success(library, ours, breaker):
    inside = library.MockTransport(lambda _: library.Response(200, text="here"))
    transport = ours.CircuitTransport(inside, breakers=breaker)

    with library.Client(transport=transport) as client:
        answer = client.get("http://nobody.example")

    assert answer.text == "here"
    assert counted(breaker) == SUCCESS


def test_connection_is_used_again_after_a_guarded_answer(library, ours, server):
    with library.Client(transport=ours.CircuitTransport()) as client:
        ports = [
            client.get(server.url)
            .extensions["network_stream"]
            .get_extra_info("client_addr")
            for _ in range(3)
        ]

    assert len(set(ports)) == 1


def test_rejection_survives_pickling_without_its_request(ours, library):
    error = ours.CircuitOpenTransportError("api", State.OPEN, 3.0, "why", None)
    error.request = library.Request(
        "GET", "http://api.example", headers={"K": "secret"}
    )

    data = pickle.dumps(error)
    copy = pickle.loads(data)  # noqa: S301 - our own bytes

    assert type(copy) is type(error)
    assert (copy.args, str(copy)) == (error.args, str(error))
    assert b"secret" not in data
    with pytest.raises(RuntimeError):
        _ = copy.request


def test_transport_is_closed_with_its_client(library, ours):
    class Inside(library.BaseTransport):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    inside = Inside()
    with library.Client(transport=ours.CircuitTransport(inside)):
        pass

    assert inside.closed == 1


@pytest.mark.parametrize(
    ("status", "judged"), [(503, "failures"), (404, "successes"), (529, "successes")]
)
def test_ready_judgement_of_statuses(library, ours, server, status, judged):
    server.script(Answer(status, headers={"Retry-After": "7"}))
    with pytest.raises(library.HTTPStatusError) as caught:
        library.get(server.url).raise_for_status()

    said = {
        name: getattr(ours, name)(caught.value)
        for name in ("failures", "successes", "ignore")
    }

    assert [name for name, yes in said.items() if yes] == [judged]
    assert ours.retry_after(caught.value) == 7
    assert ours.retry_after(caught.value.response) == 7


def test_ready_judgement_of_errors(library, ours):
    request = library.Request("GET", "http://api.example")
    failing = [library.ConnectTimeout, library.ReadError, library.RemoteProtocolError]
    caller = [library.PoolTimeout, library.UnsupportedProtocol]

    rejection = ours.CircuitOpenTransportError("api")
    from_rejection = RuntimeError()
    from_rejection.__cause__ = rejection

    assert all(ours.failures(kind("", request=request)) for kind in failing)
    assert all(ours.ignore(kind("", request=request)) for kind in caller)
    assert not any(ours.failures(kind("", request=request)) for kind in caller)
    assert [ours.ignore(error) for error in (rejection, from_rejection)] == [True] * 2
    assert not ours.failures(rejection)
    assert not ours.failures(KeyError())
    assert ours.retry_after(KeyError()) is None


def test_ready_judgement_serves_a_breaker(library, ours, server):
    api = CircuitBreaker(
        "api",
        trip=1,
        recovery=1,
        ignore=ours.ignore,
        successes=ours.successes,
        failures=ours.failures,
        retry_after=ours.retry_after,
        registry="none",
    )
    server.script(Answer(404), Answer(503, headers={"Retry-After": "100"}))

    @api
    def fetch() -> None:
        library.get(server.url).raise_for_status()

    for _ in range(2):
        with pytest.raises(library.HTTPStatusError):
            fetch()

    assert counted(api) == (1, 1, 0)
    assert api.snapshot().retry_after > 90


def test_error_of_another_breaker_inside_is_no_evidence(library, ours, breaker):
    def refuse(request: Any) -> Any:
        raise CircuitOpenError("another")

    transport = ours.CircuitTransport(library.MockTransport(refuse), breakers=breaker)

    with (
        library.Client(transport=transport) as client,
        pytest.raises(CircuitOpenError, match="another"),
    ):
        client.get("http://api.example")

    assert counted(breaker) == NEUTRAL
