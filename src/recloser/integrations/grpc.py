"""grpcio: interceptors that put one breaker around a channel, sync and aio.

    channel = grpc.intercept_channel(channel, interceptor(breaker))
    channel = grpc.aio.insecure_channel(target, interceptors=aio_interceptors(breaker))

Every RPC is one call, judged by its final status: a stream by how it ends, not by how it
began. A caller who leaves a stream after an item has had its answer; one who cancels
before says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from .. import CircuitBreaker, Guard
from ._extras import extra
from ._grpc_hints import Metadata, hint_in
from ._kinds import check_breaker

with extra("grpc", grpcio="1.60"):
    import grpc
    from grpc import StatusCode, aio

    from ._grpc_aio import interceptors
    from ._grpc_rejections import AioRpcCircuitOpenError, RpcCircuitOpenError
    from ._grpc_sync import Interceptor

__all__ = [
    "STATUSES",
    "AioRpcCircuitOpenError",
    "RpcCircuitOpenError",
    "aio_interceptors",
    "failures",
    "ignore",
    "interceptor",
    "retry_after",
    "successes",
]

STATUSES: Final = frozenset(
    {
        StatusCode.UNAVAILABLE,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.INTERNAL,
        StatusCode.UNKNOWN,
        StatusCode.DATA_LOSS,
    }
)
"""The statuses that count unless told otherwise.

They are those that gRPC's HTTP mapping turns into 429, 500, 503 and 504. UNKNOWN is
among them because it is what servers answer when a handler raises. The others blame the
request (INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED ...) or its timing
(ABORTED, FAILED_PRECONDITION): the server works.
"""


def failures(error: BaseException) -> bool:
    """Tell whether an RPC failed with one of `STATUSES`, or a timeout was put around it."""
    return isinstance(error, TimeoutError) or _code(error) in STATUSES


def successes(error: BaseException) -> bool:
    """Tell whether the server answered with any other status."""
    code = _code(error)
    return code not in {None, StatusCode.CANCELLED} and code not in STATUSES


def ignore(error: BaseException) -> bool:
    """Tell whether an error says nothing of the server: cancelled, or no error of gRPC."""
    return not failures(error) and not successes(error)


def retry_after(error: object) -> float | None:
    """Return the seconds that the server asked for in its trailing metadata, or None.

    `grpc-retry-pushback-ms` (gRFC A6), or else `google.rpc.RetryInfo`.
    """
    read = getattr(error, "trailing_metadata", None)
    return hint_in(cast("Metadata | None", read())) if callable(read) else None


def _code(error: object) -> StatusCode | None:
    """Return the status of a call that is over, or of the error it raised."""
    if not isinstance(error, grpc.RpcError):
        return None
    read = getattr(error, "code", None)
    code: object = read() if callable(read) else None
    return code if isinstance(code, StatusCode) else None


def interceptor(
    breaker: CircuitBreaker | Guard, *, statuses: Iterable[StatusCode] = STATUSES
) -> Any:  # of all four kinds, which the stubs type by message
    """Return a client interceptor for `grpc.intercept_channel`, for all kinds of RPC.

    Put it outermost if other interceptors retry, and each retried RPC is one call; put
    it innermost, and each attempt is one. Threads may share it.

    Args:
        breaker: Judged by this module's lists. A `Guard` is taken as it is.
        statuses: The status codes that count. Default `STATUSES`.

    Raises:
        TypeError: A status is no `grpc.StatusCode`, or the breaker is none.
    """
    return Interceptor(_way(breaker, statuses))


def aio_interceptors(
    breaker: CircuitBreaker | Guard, *, statuses: Iterable[StatusCode] = STATUSES
) -> list[aio.ClientInterceptor]:
    """Return interceptors for a `grpc.aio` channel, one for each kind of RPC.

    See `interceptor`.
    """
    return interceptors(_way(breaker, statuses))


def _way(
    breaker: CircuitBreaker | Guard, statuses: Iterable[StatusCode]
) -> CircuitBreaker | Guard:
    check_breaker(breaker)
    counted = frozenset(_checked(statuses))
    if isinstance(breaker, Guard):
        return breaker

    def fails(error: BaseException) -> bool:
        return isinstance(error, TimeoutError) or _code(error) in counted

    def answers(error: BaseException) -> bool:
        return _code(error) not in {None, StatusCode.CANCELLED} and not fails(error)

    return breaker(
        ignore=lambda error: not fails(error) and not answers(error),
        successes=answers,
        failures=fails,
        retry_after=retry_after,
    )


def _checked(statuses: Iterable[object]) -> Iterator[StatusCode]:
    for status in statuses:
        if not isinstance(status, StatusCode):
            msg = f"statuses must hold grpc.StatusCode, got {status!r}"
            raise TypeError(msg)
        yield status
