"""Rejections as gRPC's own errors: a call that is over before it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import CircuitOpenError
from ._extras import extra
from ._grpc_hints import PUSHBACK

with extra("grpc", grpcio="1.60"):
    import grpc
    from grpc import StatusCode, aio

if TYPE_CHECKING:
    _Future = grpc.Future[Any]  # only the stubs know that it is generic
else:
    _Future = grpc.Future


class RpcCircuitOpenError(CircuitOpenError, grpc.RpcError, grpc.Call, _Future):
    """The RPC was rejected: `CircuitOpenError`, and gRPC's `RpcError` of a failed call.

    Its `code()` is UNAVAILABLE; its trailing metadata ask to come back (gRFC A6).
    Picklable.
    """

    def code(self) -> StatusCode:
        """Return UNAVAILABLE."""
        return StatusCode.UNAVAILABLE

    def details(self) -> str:
        """Return what happened, as text."""
        return str(self)

    def initial_metadata(self) -> Any:  # gRPC's own type, which its stubs only sketch
        """Return nothing: no server was asked."""
        return ()

    def trailing_metadata(self) -> Any:  # as above
        """Return a pushback of `retry_after`, if that is known."""
        return _pushback(self)

    def is_active(self) -> bool:
        """Return False."""
        return False

    def time_remaining(self) -> float:
        """Return 0."""
        return 0.0

    def cancel(self) -> bool:
        """Return False: it is over."""
        return False

    def cancelled(self) -> bool:
        """Return False."""
        return False

    def running(self) -> bool:
        """Return False."""
        return False

    def done(self) -> bool:
        """Return True."""
        return True

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Return False: it is over, and the callback will not run."""
        return False

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call `fn` now."""
        fn(self)

    def result(self, timeout: float | None = None) -> Any:  # it never returns
        """Raise it."""
        raise self

    def exception(self, timeout: float | None = None) -> Exception:
        """Return it."""
        return self

    def traceback(self, timeout: float | None = None) -> Any:  # as gRPC's stubs have it
        """Return where it was raised."""
        return self.__traceback__


class AioRpcCircuitOpenError(CircuitOpenError, aio.AioRpcError):
    """The RPC was rejected: `CircuitOpenError` and `grpc.aio.AioRpcError`. Picklable."""

    def code(self) -> StatusCode:
        """Return UNAVAILABLE."""
        return StatusCode.UNAVAILABLE

    def details(self) -> str:
        """Return what happened, as text."""
        return str(self)

    def initial_metadata(self) -> Any:  # the stubs of the two bases disagree
        """Return nothing: no server was asked."""
        return aio.Metadata()

    def trailing_metadata(self) -> Any:  # the stubs of the two bases disagree
        """Return a pushback of `retry_after`, if that is known."""
        return aio.Metadata(*_pushback(self))

    def debug_error_string(self) -> str:
        """Return what happened, as text."""
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the facts."""
        return type(self), self.args


def _pushback(rejection: CircuitOpenError) -> tuple[tuple[str, str], ...]:
    if rejection.retry_after is None:
        return ()
    return ((PUSHBACK, str(round(rejection.retry_after * 1000))),)
