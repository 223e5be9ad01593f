"""Routes that need a breaker, on a real uvicorn."""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager

import pytest
import websockets.exceptions
import websockets.sync.client
from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask

from recloser import CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations.asgi import Health, RejectionMiddleware
from recloser.integrations.fastapi import FastAPICircuitOpenError, requires
from recloser.testing import FakeClock, force
from tests.integrations.serving import Served, asgi


@pytest.fixture(autouse=True)
def _alone(recloser_registry):
    """No breaker of one test is found in another."""


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def payments(clock):
    return CircuitBreaker("payments", clock=clock, recovery=Wait(11.2, jitter=0))


def guarded(route, breaker, **options):
    app = FastAPI()
    app.get("/", dependencies=[Depends(requires(breaker, **options))])(route)
    return app


def outcomes(breaker):
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


# -- admission -------------------------------------------------------------------------


def sync_route():
    return "ran"


async def async_route():
    return "ran"


@pytest.mark.parametrize("route", [sync_route, async_route])
def test_route_runs_while_the_breaker_is_closed(route, payments):
    with asgi(guarded(route, payments)) as served:
        reply = served.ask("/")

    assert (reply.status, reply.json) == (200, "ran")
    assert outcomes(payments) == (1, 0, 0)


def test_open_breaker_answers_503_before_any_work(payments):
    ran = []
    payments.trip()
    app = FastAPI()

    def work() -> None:
        ran.append("another dependency")

    @app.get("/", dependencies=[Depends(requires(payments)), Depends(work)])
    def route() -> None:
        ran.append("route")

    with asgi(app) as served:
        reply = served.ask("/")

    assert ran == []
    assert (reply.status, reply.headers["retry-after"]) == (503, "12")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json == {
        "detail": "A service that this request needs is not available."
    }
    assert payments.snapshot().rejected == 1


def test_forced_open_breaker_cannot_say_when(payments):
    payments.force_open()

    with asgi(guarded(sync_route, payments)) as served:
        reply = served.ask("/")

    assert (reply.status, reply.headers.get("retry-after")) == (503, None)


def test_handler_of_the_application_is_asked_first(payments):
    payments.trip()
    app = guarded(sync_route, payments)

    @app.exception_handler(CircuitOpenError)
    async def cached(request, error):
        return PlainTextResponse(f"cached, {error.name}")

    with asgi(app) as served:
        assert served.ask("/").body == b"cached, payments"


def test_rejection_is_both_errors_and_pickles():
    error = FastAPICircuitOpenError("payments", State.OPEN, 1.5, "why")

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own

    assert isinstance(error, CircuitOpenError)
    assert isinstance(error, HTTPException)
    assert (again.name, again.retry_after, again.reason) == ("payments", 1.5, "why")
    assert (again.status_code, again.headers["Retry-After"]) == (503, "2")
    assert "password" not in again.detail


def test_request_is_the_probe_and_closes_the_circuit(payments, clock):
    payments.trip()
    clock.advance(12)

    with asgi(guarded(sync_route, payments)) as served:
        status = served.ask("/").status

    assert (status, payments.state) == (200, State.CLOSED)


def test_call_inside_the_route_is_part_of_the_probe(payments, clock):
    payments.trip()
    clock.advance(12)

    @payments
    def call():
        return "called"

    def route() -> str:
        return call()

    with asgi(guarded(route, payments)) as served:
        reply = served.ask("/")

    assert (reply.status, reply.json) == (200, "called")
    assert payments.state is State.CLOSED


def test_request_can_wait_for_a_place(payments):
    app = guarded(async_route, payments, wait=5)

    with asgi(app) as served:
        assert served.ask("/").json == "ran"


def test_breaker_named_twice_admits_once(payments):
    app = FastAPI(dependencies=[Depends(requires(payments))])

    @app.get("/", dependencies=[Depends(requires(payments))])
    def route() -> None: ...

    with asgi(app) as served:
        served.ask("/")

    assert outcomes(payments) == (1, 0, 0)


def test_only_a_breaker_can_be_required():
    with pytest.raises(TypeError, match=r"takes a CircuitBreaker, got 'pay"):
        requires("payments")


# -- how the route ends ----------------------------------------------------------------


def raising(make, *, sync):
    def route() -> None:
        raise make()

    async def route_async() -> None:
        raise make()

    return route if sync else route_async


def translated():
    try:
        raise CircuitOpenError("other")
    except CircuitOpenError as error:
        answer = HTTPException(502)
        answer.__cause__ = error
        return answer


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize(
    ("make", "status", "expected"),
    [
        (lambda: ConnectionError("down"), 500, (0, 1, 0)),
        (lambda: HTTPException(502), 502, (0, 1, 0)),
        (lambda: HTTPException(404), 404, (0, 0, 1)),
        (lambda: CircuitOpenError("other"), 500, (0, 0, 1)),
        (lambda: FastAPICircuitOpenError("other"), 503, (0, 0, 1)),
        (translated, 502, (0, 0, 1)),
    ],
)
def test_what_the_route_raises_is_judged(make, status, expected, sync, payments):
    with asgi(guarded(raising(make, sync=sync), payments)) as served:
        reply = served.ask("/")

    assert reply.status == status
    assert outcomes(payments) == expected


def test_lists_of_the_breaker_judge_other_exceptions():
    payments = CircuitBreaker("payments", ignore=(KeyError,), successes=(LookupError,))
    app = FastAPI()

    @app.get("/{kind}", dependencies=[Depends(requires(payments))])
    def route(kind: str) -> None:
        raise {"key": KeyError, "index": IndexError, "value": ValueError}[kind]

    with asgi(app) as served:
        for kind in ("key", "index", "value"):
            served.ask(f"/{kind}")

    assert outcomes(payments) == (1, 1, 1)


def test_handled_exception_counts_all_the_same(payments):
    app = guarded(raising(ConnectionError, sync=True), payments)

    @app.exception_handler(ConnectionError)
    async def answer(request, error):
        return PlainTextResponse("sorry", 502)

    with asgi(app) as served:
        reply = served.ask("/")

    assert (reply.status, reply.body) == (502, b"sorry")
    assert outcomes(payments) == (0, 1, 0)


def test_request_that_is_invalid_says_nothing(payments):
    app = FastAPI()

    @app.get("/{number}", dependencies=[Depends(requires(payments))])
    def route(number: int) -> None: ...

    with asgi(app) as served:
        reply = served.ask("/many")

    assert reply.status == 422
    assert outcomes(payments) == (0, 0, 1)


def test_route_can_settle_the_permit_itself(payments):
    app = FastAPI()

    needed = Depends(requires(payments))

    @app.get("/")
    def route(permit=needed):
        permit.failure(retry_after=5)
        return JSONResponse({}, 502)

    @app.get("/raises")
    def other(permit=needed):
        permit.success()
        raise HTTPException(503)

    with asgi(app) as served:
        statuses = served.ask("/").status, served.ask("/raises").status

    assert statuses == (502, 503)
    assert outcomes(payments) == (1, 1, 0)


def test_failures_of_routes_open_the_circuit(payments):
    with asgi(guarded(raising(ConnectionError, sync=True), payments)) as served:
        statuses = [served.ask("/").status for _ in range(7)]

    assert statuses == [500] * 5 + [503] * 2


# -- streams ---------------------------------------------------------------------------


def streaming(chunks, **options):
    async def route() -> StreamingResponse:
        return StreamingResponse(chunks(), **options)

    return route


def test_stream_is_judged_when_it_ends(payments):
    seen = []

    async def chunks() -> AsyncIterator[str]:
        yield "a"
        seen.append(outcomes(payments))
        yield "b"

    with asgi(guarded(streaming(chunks), payments)) as served:
        body = served.ask("/").body

    assert body == b"ab"
    assert seen == [(0, 0, 0)]
    assert outcomes(payments) == (1, 0, 0)


@pytest.mark.parametrize("sync", [True, False])
def test_stream_that_breaks_is_a_failure(sync, payments):
    def broken() -> Iterator[str]:
        yield "a"
        raise ConnectionError

    async def broken_async() -> AsyncIterator[str]:
        yield "a"
        raise ConnectionError

    chunks = broken if sync else broken_async
    with asgi(guarded(streaming(chunks), payments)) as served:
        raw = read_raw(served)

    assert raw.startswith(b"HTTP/1.1 200")
    assert not raw.endswith(b"0\r\n\r\n")
    assert outcomes(payments) == (0, 1, 0)


def read_raw(served: Served) -> bytes:
    with connected(served) as raw:
        return b"".join(iter(lambda: raw.recv(4096), b""))


@contextmanager
def connected(served: Served) -> Iterator[socket.socket]:
    host, _, port = served.host.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=60)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        yield raw


def test_caller_that_leaves_a_stream_is_no_failure(payments):
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    app = guarded(streaming(endless), payments)
    with asgi(app) as served, connected(served) as raw:
        raw.recv(10)
    # the server has waited for the request to end

    assert payments.snapshot().totals.failures == 0
    assert sum(outcomes(payments)) == 1


def test_background_task_belongs_to_the_call(payments):
    def fails() -> None:
        raise ConnectionError

    def route() -> PlainTextResponse:
        return PlainTextResponse("ran", background=BackgroundTask(fails))

    with asgi(guarded(route, payments)) as served:
        body = served.ask("/").body

    assert body == b"ran"
    assert outcomes(payments) == (0, 1, 0)


# -- websockets ------------------------------------------------------------------------


def talking(breaker):
    app = FastAPI()

    @app.websocket("/", dependencies=[Depends(requires(breaker))])
    async def talk(socket: WebSocket):
        await socket.accept()
        await socket.send_text("hello")
        await socket.receive_text()
        await socket.close()

    return app


def test_websocket_is_one_call(payments):
    with asgi(talking(payments)) as served:
        where = f"ws://{served.host}/"
        with websockets.sync.client.connect(where, proxy=None) as polite:
            polite.send("bye")
            heard = list(polite)

    assert heard == ["hello"]
    assert outcomes(payments) == (1, 0, 0)


def test_caller_that_leaves_a_websocket_is_no_failure(payments):
    with asgi(talking(payments)) as served:
        where = f"ws://{served.host}/"
        with websockets.sync.client.connect(where, proxy=None) as rude:
            rude.recv(timeout=60)

    assert outcomes(payments) == (0, 0, 1)


def test_websocket_of_an_open_breaker_is_refused(payments):
    payments.trip()

    with (
        asgi(talking(payments)) as served,
        pytest.raises(websockets.exceptions.InvalidStatus) as caught,
    ):
        websockets.sync.client.connect(f"ws://{served.host}/", proxy=None)

    assert caught.value.response.status_code == 503
    assert caught.value.response.headers["Retry-After"] == "12"


# -- with the middleware ---------------------------------------------------------------


def test_rejection_from_inside_a_route_becomes_503(clock):
    search = CircuitBreaker("search", clock=clock, recovery=Wait(11.2, jitter=0))
    force(search, State.OPEN)
    app = FastAPI()
    app.add_middleware(RejectionMiddleware)
    app.mount("/circuits", Health())

    @app.get("/")
    async def route() -> None:
        async with search:
            raise AssertionError

    with asgi(app) as served:
        reply = served.ask("/")
        listing = served.ask("/circuits/?state=open").json

    assert (reply.status, reply.headers["retry-after"]) == (503, "12")
    assert [one["name"] for one in listing["breakers"]] == ["search"]
