"""Against a real server, through real sessions."""

from __future__ import annotations

import asyncio
import pickle
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver

from recloser import BreakerGroup, CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations import aiohttp as ours
from recloser.testing import FakeClock
from tests.integrations.loopback import (
    Answer,
    HangUp,
    Held,
    Reset,
    Stream,
    refused,
)

SUCCESS, FAILURE, NEUTRAL = (1, 0, 0), (0, 1, 0), (0, 0, 1)
SHORT = 0.05
BIG = b"x" * 200_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    """A breaker that one failure opens."""
    return CircuitBreaker(
        "api", trip=1, recovery=Wait(10, jitter=0), clock=clock, registry="none"
    )


def run(
    story: Callable[[aiohttp.ClientSession], Awaitable[Any]],
    *,
    connector: Callable[[], aiohttp.BaseConnector] = aiohttp.TCPConnector,
    **options: Any,
) -> Any:
    """Run a story with a guarded session, and let the session close its connections."""

    async def main() -> Any:
        guard = ours.CircuitMiddleware(**options)
        async with aiohttp.ClientSession(
            connector=connector(), middlewares=(guard,)
        ) as session:
            result = await story(session)
        await asyncio.sleep(0)
        return result

    return asyncio.run(main())


def ask(url: str, *, read: bool = True, **request: Any) -> Callable[..., Any]:
    """Make a story that sends one request and reads its answer."""

    async def story(session: aiohttp.ClientSession) -> Any:
        async with session.get(url, allow_redirects=False, **request) as response:
            return response.status, await response.read() if read else None

    return story


def counted(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 409, 501, 505, 529])
def test_other_answers_are_successes(server, breaker, status):
    server.script(Answer(status, b"" if status == 204 else b"body"))

    assert run(ask(server.url), breakers=breaker)[0] == status
    assert counted(breaker) == SUCCESS


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failing_statuses_open_and_the_caller_gets_the_answer(server, breaker, status):
    server.script(Answer(status, b"sorry", headers={"Retry-After": "40"}))

    assert run(ask(server.url), breakers=breaker) == (status, b"sorry")
    assert counted(breaker) == FAILURE
    assert breaker.state is State.OPEN
    assert 40 <= breaker.snapshot().retry_after <= 44


def test_status_that_is_no_status_is_refused_at_construction():
    with pytest.raises(ValueError, match="got 42"):
        ours.CircuitMiddleware(statuses={42})


def test_open_circuit_rejects_without_reaching_the_server(server, breaker):
    breaker.trip()

    with pytest.raises(ours.CircuitOpenClientError) as caught:
        run(ask(server.url), breakers=breaker)

    assert isinstance(caught.value, aiohttp.ClientError)
    assert isinstance(caught.value, CircuitOpenError)
    assert str(caught.value) == "'api' is open (tripped by hand): retry in 10 s"
    assert server.visits == []


@pytest.mark.parametrize("step", [HangUp(), Reset()])
def test_broken_connection_is_a_failure(server, breaker, step):
    server.script(step)

    with pytest.raises(aiohttp.ClientError):
        run(ask(server.url), breakers=breaker)

    assert counted(breaker) == FAILURE


def test_refused_connection_is_a_failure(breaker):
    with pytest.raises(aiohttp.ClientConnectorError):
        run(ask(refused()), breakers=breaker)

    assert counted(breaker) == FAILURE


@pytest.mark.parametrize("which", ["total", "sock_read"])
@pytest.mark.parametrize("step", [Held(), Stream([b"one"], ends="held")])
def test_timeout_of_head_or_body_is_a_failure(server, breaker, which, step):
    server.script(step)
    timeout = aiohttp.ClientTimeout(**{which: SHORT})

    with pytest.raises(TimeoutError):
        run(ask(server.url, timeout=timeout), breakers=breaker)

    assert counted(breaker) == FAILURE


class NeverResolves(AbstractResolver):
    async def resolve(self, *args: Any, **options: Any) -> Any:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("which", ["total", "connect"])
def test_timeout_before_a_connection_is_a_failure(breaker, which):
    timeout = aiohttp.ClientTimeout(**{which: SHORT})

    with pytest.raises(TimeoutError):
        run(
            ask("http://nobody.example", timeout=timeout),
            breakers=breaker,
            connector=lambda: aiohttp.TCPConnector(resolver=NeverResolves()),
        )

    assert counted(breaker) == FAILURE


@pytest.mark.parametrize("which", ["total", "connect"])
def test_connector_without_a_free_connection_is_neutral(server, breaker, which):
    server.script(Stream([b"one"], ends="held"))
    timeout = aiohttp.ClientTimeout(**{which: SHORT})

    async def story(session: aiohttp.ClientSession) -> None:
        async with session.get(server.url):
            await ask(server.url, timeout=timeout)(session)

    with pytest.raises(TimeoutError):
        run(story, breakers=breaker, connector=lambda: aiohttp.TCPConnector(limit=1))

    assert counted(breaker) == (1, 0, 1)


DYING = [
    Answer(body=BIG, cut=5),
    Stream([BIG, b"two\n"], ends="cut"),
    Stream([BIG, b"two\n"], ends="reset"),
]


async def each_of(items: Any) -> list[Any]:
    return [item async for item in items]


WAYS: dict[str, Callable[[aiohttp.StreamReader], Awaitable[Any]]] = {
    "read": lambda body: body.read(),
    "readany": lambda body: each_of(body.iter_any()),
    "iter_chunked": lambda body: each_of(body.iter_chunked(1000)),
    "iter_chunks": lambda body: each_of(body.iter_chunks()),
    "readexactly": lambda body: body.readexactly(len(BIG) * 2),
}


@pytest.mark.parametrize("step", DYING)
@pytest.mark.parametrize("way", WAYS)
def test_body_that_dies_midway_is_a_failure_however_it_is_read(
    server, breaker, step, way
):
    server.script(step)

    async def story(session: aiohttp.ClientSession) -> None:
        async with session.get(server.url) as response:
            await WAYS[way](response.content)

    with pytest.raises((aiohttp.ClientError, OSError)):
        run(story, breakers=breaker)

    assert counted(breaker) == FAILURE


@pytest.mark.parametrize("how", ["lines", "readline", "readuntil", "readchunk"])
def test_body_that_dies_between_lines_is_a_failure(server, breaker, how):
    more = threading.Event()

    def chunks():
        yield b"one\n"
        more.wait(120)

    server.script(Stream(chunks(), ends="cut"))

    async def story(session: aiohttp.ClientSession) -> Any:
        async with session.get(server.url) as response:
            body = response.content
            if how == "lines":
                async for line in body:
                    assert line == b"one\n"
                    more.set()
                return
            if how == "readuntil":
                await body.readuntil(b"\n")
            else:
                await getattr(body, how)()
            more.set()
            while True:
                await getattr(body, how)()

    with pytest.raises(aiohttp.ClientPayloadError):
        run(story, breakers=breaker)

    assert counted(breaker) == FAILURE


@pytest.mark.parametrize("way", ["read", "readany", "iter_chunked", "iter_chunks"])
def test_body_read_to_its_end_is_a_success_and_whole(server, breaker, way):
    server.script(Stream([BIG, BIG]))

    async def story(session: aiohttp.ClientSession) -> Any:
        async with session.get(server.url) as response:
            return await WAYS[way](response.content)

    read = run(story, breakers=breaker)

    parts = [read] if isinstance(read, bytes) else read
    whole = b"".join(part[0] if isinstance(part, tuple) else part for part in parts)
    assert whole == BIG + BIG
    assert counted(breaker) == SUCCESS


def test_body_that_dies_unread_is_a_failure(server, breaker):
    more = threading.Event()

    def chunks():
        yield b"one"
        more.wait(120)

    server.script(Stream(chunks(), ends="reset"))

    async def story(session: aiohttp.ClientSession) -> None:
        async with session.get(server.url) as response:
            more.set()
            with suppress(aiohttp.ClientError, OSError):
                await response.content.wait_eof()

    run(story, breakers=breaker)

    assert counted(breaker) == FAILURE


def test_body_is_not_judged_before_its_end(server, breaker):
    more = threading.Event()

    def chunks():
        yield b"one"
        more.wait(120)
        yield b"two"

    server.script(Stream(chunks()))

    async def story(session: aiohttp.ClientSession) -> Any:
        async with session.get(server.url) as response:
            await response.content.readany()
            during = counted(breaker)
            more.set()
            await response.read()
            return during

    assert run(story, breakers=breaker) == (0, 0, 0)
    assert counted(breaker) == SUCCESS


@pytest.mark.parametrize("read", [True, False])
def test_body_left_early_is_a_success(server, breaker, read):
    server.script(Stream([b"one"], ends="held"))

    async def story(session: aiohttp.ClientSession) -> None:
        async with session.get(server.url) as response:
            if read:
                await response.content.readany()

    run(story, breakers=breaker)

    assert counted(breaker) == SUCCESS


def test_released_body_and_error_for_status_are_successes(server, breaker):
    server.script(Stream([b"one"], ends="held"), Answer(404, BIG))

    async def story(session: aiohttp.ClientSession) -> None:
        response = await session.get(server.url)
        response.release()
        with pytest.raises(aiohttp.ClientResponseError):
            await session.get(server.url, raise_for_status=True)

    run(story, breakers=breaker)

    assert counted(breaker) == (2, 0, 0)


@pytest.mark.parametrize("step", [Held(), Stream([b"one"], ends="held")])
def test_cancelled_request_and_body_are_neutral(server, breaker, step):
    server.script(step)

    async def story(session: aiohttp.ClientSession) -> None:
        await server.cancel_here(ask(server.url)(session))

    run(story, breakers=breaker)

    assert counted(breaker) == NEUTRAL


def test_cancelled_probe_gives_its_place_back(server, breaker, clock):
    server.script(Held())
    breaker.trip()
    clock.advance(10)

    async def story(session: aiohttp.ClientSession) -> Any:
        await server.cancel_here(ask(server.url)(session))
        return await ask(server.url)(session)

    assert run(story, breakers=breaker) == (200, b"ok")
    assert breaker.state is State.CLOSED


def test_probe_that_still_delivers_when_its_lease_ends_closes(server, breaker, clock):
    more = threading.Event()

    def chunks():
        yield b"1"
        more.wait(120)
        yield b"2"

    server.script(Stream(chunks(), ends="held"))
    breaker.trip()
    clock.advance(10)

    async def story(session: aiohttp.ClientSession) -> Any:
        async with session.get(server.url) as response:
            await response.content.readany()
            before = breaker.state
            clock.advance(30)
            more.set()
            await response.content.readany()
            return before, breaker.state

    assert run(story, breakers=breaker) == (State.HALF_OPEN, State.CLOSED)


def test_each_host_has_its_own_breaker(server, other_server):
    hosts = BreakerGroup("hosts", trip=1)
    server.script(Answer(503))

    async def story(session: aiohttp.ClientSession) -> Any:
        await ask(server.url)(session)
        return await ask(other_server.url)(session)

    assert run(story, breakers=hosts) == (200, b"ok")
    assert set(hosts) == {server.host, other_server.host}
    assert hosts[server.host].state is State.OPEN


def test_keys_are_any_function_and_bounded(server):
    paths = BreakerGroup("paths", max_size=3)

    async def story(session: aiohttp.ClientSession) -> None:
        for number in range(10):
            await ask(f"{server.url}/{number}")(session)

    run(story, breakers=paths, key=lambda request: request.url.path)

    assert list(paths) == ["/7", "/8", "/9"]


def test_redirect_goes_through_the_breaker_of_its_own_host(server, other_server):
    hosts = BreakerGroup("hosts", trip=1)
    server.script(Answer(302, headers={"Location": f"{other_server.url}/there"}))
    other_server.script(Answer(503))

    async def story(session: aiohttp.ClientSession) -> None:
        async with session.get(server.url):
            pass

    run(story, breakers=hosts)

    assert hosts[server.host].state is State.CLOSED
    assert hosts[other_server.host].state is State.OPEN


def test_body_can_be_passed_on_as_the_body_of_another_request(server, other_server):
    server.script(Stream([b"one", b"two"]))

    async def story(session: aiohttp.ClientSession) -> None:
        async with (
            session.get(server.url) as response,
            session.post(other_server.url, data=response.content),
        ):
            pass

    run(story)

    assert other_server.visits[0].body == b"onetwo"


def test_websocket_is_a_success_once_it_is_open(breaker):
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{message.data}!")
        return socket

    async def story(session: aiohttp.ClientSession) -> str:
        app = web.Application()
        app.router.add_get("/", echo)
        runner = web.AppRunner(app)
        await runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listening).start()
        port = listening.getsockname()[1]
        async with session.ws_connect(f"http://127.0.0.1:{port}") as connection:
            await connection.send_str("hello")
            answer = await connection.receive_str()
        await runner.cleanup()
        return answer

    assert run(story, breakers=breaker) == "hello!"
    assert counted(breaker) == SUCCESS


def test_rejection_survives_pickling():
    error = ours.CircuitOpenClientError("api", State.OPEN, 3.0, "why", None)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert (type(copy), copy.args, str(copy)) == (type(error), error.args, str(error))


def test_ready_judgement(server):
    server.script(Answer(503, headers={"Retry-After": "7"}), Answer(404))

    async def error_of(session: aiohttp.ClientSession) -> Exception:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await session.get(server.url, raise_for_status=True)
        return caught.value

    down, missing = run(error_of), run(error_of)
    said = [
        [judge(error) for judge in (ours.failures, ours.successes, ours.ignore)]
        for error in (
            down,
            missing,
            aiohttp.ServerDisconnectedError(),
            aiohttp.ServerTimeoutError(),
            TimeoutError(),
            aiohttp.InvalidURL("x"),
            ours.CircuitOpenClientError("api"),
            KeyError(),
        )
    ]

    assert said == [
        [True, False, False],
        [False, True, False],
        [True, False, False],
        [True, False, False],
        [True, False, False],
        [False, False, True],
        [False, False, True],
        [False, False, False],
    ]
    assert ours.retry_after(down) == 7
    assert ours.retry_after(KeyError()) is None
