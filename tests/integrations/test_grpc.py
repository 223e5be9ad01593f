"""grpcio against a real server on loopback that does what each request asks for.

A request is items and an ending: `2,INTERNAL` sends two items and aborts; `held` as an
ending waits until the caller is gone.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    CountWindow,
    SlowCallRate,
    State,
    Wait,
)
from recloser.integrations import grpc as ours
from recloser.testing import FakeClock

PATIENCE = 120
RETRY_INFO = (
    bytes.fromhex(  # Status(8, "slow", [RetryInfo(7.5 s)]), as a server sends it
        "08081204736c6f771a360a28747970652e676f6f676c65617069732e636f6d2f"
        "676f6f676c652e7270632e5265747279496e666f120a0a0808071080cab5ee01"
    )
)


class Service(grpc.GenericRpcHandler):
    """Every kind of RPC, as each request asks for it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.left = threading.Event()

    def service(self, details: Any) -> Any:
        kinds: dict[str, Any] = {
            "unary_unary": (grpc.unary_unary_rpc_method_handler, self.unary),
            "stream_unary": (grpc.stream_unary_rpc_method_handler, self.unary),
            "unary_stream": (grpc.unary_stream_rpc_method_handler, self.stream),
            "stream_stream": (grpc.stream_stream_rpc_method_handler, self.stream),
        }
        make, method = kinds[details.method.rpartition("/")[2]]
        return make(method)

    def unary(self, request: Any, context: Any) -> bytes:
        return b"".join(self.stream(request, context)) or b"done"

    def stream(self, request: Any, context: Any) -> Iterator[bytes]:
        text = request if isinstance(request, bytes) else b"".join(request)
        self.requests.append(text)
        items, _, ending = text.decode().partition(",")
        for number in range(int(items or 0)):
            yield str(number).encode()
        if ending == "raise":
            raise RuntimeError
        if ending == "held":
            context.add_callback(self.left.set)
            self.left.wait(PATIENCE)
        if ending.startswith("hint"):
            name, value = ending.removeprefix("hint ").split("=")
            data = RETRY_INFO if value == "info" else value
            context.set_trailing_metadata([(name, data)])
            context.abort(StatusCode.UNAVAILABLE, "come back later")
        if ending in StatusCode.__members__:
            context.abort(StatusCode[ending], f"as you asked: {ending}")


class Running:
    """A server, and where it is."""

    def __init__(self) -> None:
        self.service = Service()
        self._threads = ThreadPoolExecutor(4)
        self._server = grpc.server(self._threads)
        self._server.add_generic_rpc_handlers([self.service])
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self.service.left.set()
        self._server.stop(0).wait(PATIENCE)
        self._threads.shutdown()


@pytest.fixture
def server() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def search(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("search", trip=2, recovery=Wait(10, jitter=0), clock=clock)


@pytest.fixture
def connect(server: Running) -> Iterator[Callable[..., grpc.Channel]]:
    channel = grpc.insecure_channel(server.target)

    def intercepted(*interceptors: Any) -> grpc.Channel:
        return grpc.intercept_channel(channel, *interceptors)

    yield intercepted
    channel.close()


@pytest.fixture
def channel(
    connect: Callable[..., grpc.Channel], search: CircuitBreaker
) -> grpc.Channel:
    return connect(ours.interceptor(search))


def call(channel: Any, kind: str) -> Any:
    return getattr(channel, kind)(f"/Search/{kind}")


def outcomes(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


def until(condition: Callable[[], object]) -> None:
    """Wait for gRPC's own threads."""
    giving_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < giving_up
        threading.Event().wait(0.001)


def given(kind: str, text: str) -> Any:
    """Return a request, or the iterator that the kind wants."""
    return iter([text.encode()]) if kind.startswith("stream") else text.encode()


def ask(channel: Any, kind: str, text: str, **options: Any) -> bytes:
    answer = call(channel, kind)(given(kind, text), **options)
    return answer if isinstance(answer, bytes) else b"".join(answer)


KINDS = ("unary_unary", "stream_unary", "unary_stream", "stream_stream")
every_kind = pytest.mark.parametrize("kind", KINDS)
COUNTED = sorted(status.name for status in ours.STATUSES)
ANSWERS = sorted({status.name for status in StatusCode} - {*COUNTED, "OK", "CANCELLED"})


# -- sync ----------------------------------------------------------------------------


@every_kind
def test_rpcs_go_through_and_count(channel: Any, search: CircuitBreaker, kind: str):
    assert ask(channel, kind, "3") == b"012"
    assert outcomes(search) == (1, 0, 0)


@every_kind
@pytest.mark.parametrize("status", COUNTED)
def test_statuses_of_a_server_in_trouble_count(
    channel: Any, search: CircuitBreaker, kind: str, status: str
):
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, kind, f"2,{status}")

    assert caught.value.code() is StatusCode[status]  # type: ignore[attr-defined]
    assert outcomes(search) == (0, 1, 0)


@pytest.mark.parametrize("status", ANSWERS)
def test_statuses_that_blame_the_request_are_answers(
    channel: Any, search: CircuitBreaker, status: str
):
    for kind in KINDS:
        with pytest.raises(grpc.RpcError):
            ask(channel, kind, f"2,{status}")

    assert outcomes(search) == (4, 0, 0)


def test_a_handler_that_raises_counts(channel: Any, search: CircuitBreaker):
    with pytest.raises(grpc.RpcError):
        ask(channel, "unary_unary", "0,raise")

    assert outcomes(search) == (0, 1, 0)


@every_kind
def test_a_deadline_that_passes_counts(channel: Any, search: CircuitBreaker, kind: str):
    with pytest.raises(grpc.RpcError):
        ask(channel, kind, "1,held", timeout=0.2)

    assert outcomes(search) == (0, 1, 0)


@every_kind
def test_an_open_circuit_rejects_as_the_clients_own_error(
    channel: Any, search: CircuitBreaker, server: Running, kind: str
):
    for _ in range(2):
        with pytest.raises(grpc.RpcError):
            ask(channel, kind, "0,UNAVAILABLE")
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, kind, "1")

    rejection = caught.value
    assert isinstance(rejection, CircuitOpenError)
    assert isinstance(rejection, grpc.Call)
    assert rejection.code() is StatusCode.UNAVAILABLE
    assert (
        rejection.details() == "'search' is open (2 failures in a row): retry in 10 s"
    )
    assert rejection.trailing_metadata() == (("grpc-retry-pushback-ms", "10000"),)
    assert len(server.service.requests) == 2


def test_a_stopped_server_trips_and_a_started_one_closes(
    search: CircuitBreaker, clock: FakeClock
):
    first = Running()
    options = [("grpc.enable_retries", 0)]
    with grpc.insecure_channel(first.target, options) as plain:
        guarded = grpc.intercept_channel(plain, ours.interceptor(search))
        assert ask(guarded, "unary_unary", "1") == b"0"
        first.stop()
        for _ in range(2):
            with pytest.raises(grpc.RpcError):
                ask(guarded, "unary_unary", "1")
        tripped = search.state
    second = Running()
    clock.advance(10)
    with grpc.insecure_channel(second.target) as plain:
        guarded = grpc.intercept_channel(plain, ours.interceptor(search))
        ask(guarded, "unary_unary", "1")
    second.stop()

    assert (tripped, search.state) == (State.OPEN, State.CLOSED)


@pytest.mark.parametrize("kind", ["unary_unary", "stream_unary"])
def test_futures_are_judged_when_they_are_done(
    channel: Any, search: CircuitBreaker, kind: str
):
    method = call(channel, kind)

    assert method.future(given(kind, "1")).result(PATIENCE) == b"0"
    failed = method.future(given(kind, "1,INTERNAL"))
    assert isinstance(failed.exception(PATIENCE), grpc.RpcError)
    cancelled = method.future(given(kind, "1,held"))
    cancelled.cancel()

    until(lambda: outcomes(search) == (1, 1, 1))


def test_a_rejected_future_fails(channel: Any, search: CircuitBreaker):
    search.force_open()

    future = call(channel, "unary_unary").future(b"1")

    assert isinstance(future.exception(), CircuitOpenError)
    with pytest.raises(CircuitOpenError):
        future.result()


@pytest.mark.parametrize("kind", ["unary_stream", "stream_stream"])
@pytest.mark.parametrize("taken", [0, 1])
@pytest.mark.parametrize("how", ["cancelled", "dropped"])
def test_a_stream_that_is_left_is_a_success_after_an_item(
    channel: Any, search: CircuitBreaker, kind: str, taken: int, how: str
):
    stream = call(channel, kind)(given(kind, "3,held"))
    for _ in range(taken):
        next(stream)

    if how == "cancelled":
        stream.cancel()
    del stream
    gc.collect()

    until(lambda: outcomes(search) == (taken, 0, 1 - taken))


def test_a_stream_is_still_the_clients_call(channel: Any):
    stream = call(channel, "unary_stream")(b"2")

    items = list(stream)

    assert isinstance(stream, grpc.Call)
    assert items == [b"0", b"1"]
    assert (stream.code(), stream.details()) == (StatusCode.OK, "")
    assert not stream.is_active()


def test_slow_is_the_time_to_the_first_item(
    connect: Callable[..., Any], clock: FakeClock
):
    rule = SlowCallRate(1.0, slower_than=2, window=CountWindow(9), minimum_calls=9)
    search = CircuitBreaker("search", trip=rule, clock=clock)
    channel = connect(ours.interceptor(search))
    stream = call(channel, "unary_stream")(b"2")

    next(stream)
    clock.advance(60)
    list(stream)

    totals = search.snapshot().totals
    assert (totals.successes, totals.slow) == (1, 0)


def test_a_long_stream_frees_its_probe_when_the_lease_ends(
    channel: Any, search: CircuitBreaker, clock: FakeClock
):
    search.trip()
    clock.advance(10)
    stream = call(channel, "unary_stream")(b"9,held")
    next(stream)
    before = search.state

    clock.advance(30)
    next(stream)

    assert (before, search.state) == (State.HALF_OPEN, State.CLOSED)
    stream.cancel()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("grpc-retry-pushback-ms=45000", 45),
        ("grpc-retry-pushback-ms=-1", 10),
        ("grpc-retry-pushback-ms=soon", 10),
        ("grpc-status-details-bin=info", 10),
    ],
)
@every_kind
def test_a_pushback_lengthens_the_wait(
    channel: Any, search: CircuitBreaker, metadata: str, expected: float, kind: str
):
    for _ in range(2):
        with pytest.raises(grpc.RpcError):
            ask(channel, kind, f"0,hint {metadata}")

    assert search.snapshot().retry_after == expected


def test_retry_info_is_read_from_the_status_details(channel: Any):
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, "unary_unary", "0,hint grpc-status-details-bin=info")

    assert ours.retry_after(caught.value) == 7.5


def test_the_statuses_that_count_can_be_chosen(
    connect: Callable[..., Any], search: CircuitBreaker
):
    channel = connect(ours.interceptor(search, statuses=[StatusCode.ABORTED]))

    for status in ("ABORTED", "UNAVAILABLE"):
        with pytest.raises(grpc.RpcError):
            ask(channel, "unary_unary", f"0,{status}")

    assert outcomes(search) == (1, 1, 0)


def test_a_status_that_is_none_is_refused(search: CircuitBreaker):
    with pytest.raises(TypeError, match=r"must hold grpc\.StatusCode, got 14"):
        ours.interceptor(search, statuses=[14])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"must hold grpc\.StatusCode, got 'U'"):
        ours.aio_interceptors(search, statuses="U")  # type: ignore[arg-type]


def test_a_guard_brings_lists_of_its_own(
    connect: Callable[..., Any], search: CircuitBreaker
):
    channel = connect(ours.interceptor(search(failures=(grpc.RpcError,))))

    with pytest.raises(grpc.RpcError):
        ask(channel, "unary_unary", "0,NOT_FOUND")

    assert outcomes(search) == (0, 1, 0)


class Looking(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Somebody else's interceptor that looks at what it gets."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def look(self, proceed: Any, details: Any, request: Any) -> Any:
        answer = proceed(details, request)
        self.seen.append(answer.code() if answer.done() else None)
        return answer

    intercept_unary_unary = intercept_unary_stream = look


@pytest.mark.parametrize("outermost", [True, False])
def test_other_interceptors_get_calls_as_they_expect_them(
    connect: Callable[..., Any],
    search: CircuitBreaker,
    outermost: bool,  # noqa: FBT001
):
    other = Looking()
    guard = ours.interceptor(search)
    channel = connect(*([guard, other] if outermost else [other, guard]))

    ask(channel, "unary_unary", "1")
    with pytest.raises(grpc.RpcError):
        ask(channel, "unary_unary", "1,INTERNAL")
    ask(channel, "unary_stream", "2")
    counted = outcomes(search)
    search.force_open()
    with pytest.raises(CircuitOpenError):
        ask(channel, "unary_unary", "1")
    with pytest.raises(CircuitOpenError):
        ask(channel, "unary_stream", "1")

    assert counted == (2, 1, 0)
    assert other.seen[:2] == [StatusCode.OK, StatusCode.INTERNAL]
    assert len(other.seen) == (3 if outermost else 5)


def test_a_closed_channel_is_neutral(server: Running, search: CircuitBreaker):
    plain = grpc.insecure_channel(server.target)
    channel = grpc.intercept_channel(plain, ours.interceptor(search))
    plain.close()

    for kind in KINDS:
        with pytest.raises(ValueError, match=r"[Cc]losed"):
            ask(channel, kind, "1")

    assert outcomes(search) == (0, 0, 4)


@pytest.mark.parametrize(
    "kind", [ours.RpcCircuitOpenError, ours.AioRpcCircuitOpenError]
)
def test_rejections_survive_pickling(kind: Any):
    rejection = kind("search", State.OPEN, 2.5, "2 failures in a row", None)

    copy = pickle.loads(pickle.dumps(rejection))  # noqa: S301 - our own

    assert type(copy) is kind
    assert (copy.args, str(copy)) == (rejection.args, str(rejection))
    assert copy.code() is StatusCode.UNAVAILABLE


def test_a_rejection_behaves_as_a_call_that_is_over():
    rejection = ours.RpcCircuitOpenError("search")
    called: list[Any] = []
    rejection.add_done_callback(called.append)

    assert called == [rejection]
    assert rejection.exception() is rejection
    assert rejection.done()
    assert (rejection.running(), rejection.cancelled(), rejection.cancel()) == (
        (False,) * 3
    )
    assert (rejection.is_active(), rejection.add_callback(print)) == (False, False)
    assert (rejection.time_remaining(), rejection.initial_metadata()) == (0.0, ())
    assert rejection.trailing_metadata() == ()  # forced open: nobody knows
    assert rejection.traceback() is None


def test_the_lists_serve_a_breaker_without_the_interceptor(server: Running):
    search = CircuitBreaker(
        "search",
        failures=ours.failures,
        successes=ours.successes,
        ignore=ours.ignore,
        retry_after=ours.retry_after,
    )
    with grpc.insecure_channel(server.target) as channel:
        for ending in ("NOT_FOUND", "INTERNAL", "CANCELLED"):
            with pytest.raises(grpc.RpcError):
                search.call(call(channel, "unary_unary"), f"0,{ending}".encode())
        with pytest.raises(ValueError, match="invalid literal"):
            search.call(int, "x")

    assert outcomes(search) == (1, 1, 2)


# -- aio -----------------------------------------------------------------------------


@asynccontextmanager
async def aio_channel(server: Running, breaker: Any) -> AsyncIterator[Any]:
    interceptors = ours.aio_interceptors(breaker)
    async with grpc.aio.insecure_channel(
        server.target, interceptors=interceptors
    ) as channel:
        yield channel


async def until_aio(condition: Callable[[], object]) -> None:
    """Wait for other tasks and gRPC's own threads."""
    giving_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < giving_up
        await asyncio.sleep(0.001)


async def ask_aio(channel: Any, kind: str, text: str, **options: Any) -> bytes:
    rpc = call(channel, kind)(given(kind, text), **options)
    if kind.endswith("_unary"):
        return bytes(await rpc)
    return b"".join([item async for item in rpc])


@every_kind
def test_async_rpcs_are_judged_like_sync_ones(
    server: Running, search: CircuitBreaker, kind: str
):
    async def main() -> None:
        async with aio_channel(server, search) as channel:
            assert await ask_aio(channel, kind, "3") == b"012"
            with pytest.raises(grpc.aio.AioRpcError):
                await ask_aio(channel, kind, "2,NOT_FOUND")
            with pytest.raises(grpc.aio.AioRpcError):
                await ask_aio(channel, kind, "2,held", timeout=0.2)
            hinted = "2,hint grpc-retry-pushback-ms=45000"
            with pytest.raises(grpc.aio.AioRpcError):
                await ask_aio(channel, kind, hinted)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask_aio(channel, kind, "1")
            rejection = caught.value
            assert isinstance(rejection, CircuitOpenError)
            assert rejection.code() is StatusCode.UNAVAILABLE
            assert rejection.details() == rejection.debug_error_string()
            assert not rejection.initial_metadata()
            pushback = rejection.trailing_metadata()["grpc-retry-pushback-ms"]
            assert pushback == "45000"

    asyncio.run(main())

    assert outcomes(search) == (2, 2, 0)


@pytest.mark.parametrize("kind", ["unary_stream", "stream_stream"])
@pytest.mark.parametrize("taken", [0, 1])
def test_an_async_stream_that_is_cancelled_is_a_success_after_an_item(
    server: Running,
    search: CircuitBreaker,
    kind: str,
    taken: int,
):
    async def main() -> None:
        async with aio_channel(server, search) as channel:
            stream = call(channel, kind)(given(kind, "3,held"))
            await stream.wait_for_connection()
            for _ in range(taken):
                await stream.read()
            stream.cancel()
            await until_aio(lambda: sum(outcomes(search)))

    asyncio.run(main())

    assert outcomes(search) == (taken, 0, 1 - taken)


def test_a_cancelled_async_call_is_neutral(server: Running, search: CircuitBreaker):
    async def main() -> None:
        async with aio_channel(server, search) as channel:
            waiting = asyncio.ensure_future(call(channel, "unary_unary")(b"1,held"))
            await until_aio(lambda: server.service.requests)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await until_aio(lambda: sum(outcomes(search)))

    asyncio.run(main())

    assert outcomes(search) == (0, 0, 1)


def test_an_async_guard_may_wait_for_a_place(
    server: Running, search: CircuitBreaker, clock: FakeClock
):
    search.trip()
    clock.advance(10)
    patient = search(failures=ours.failures, wait=PATIENCE)

    async def main() -> list[bytes]:
        async with aio_channel(server, patient) as channel:
            calls = [ask_aio(channel, "unary_unary", "1") for _ in range(3)]
            return await asyncio.gather(*calls)

    assert asyncio.run(main()) == [b"0"] * 3
    assert search.state is State.CLOSED
