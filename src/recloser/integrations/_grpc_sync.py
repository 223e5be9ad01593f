"""The interceptor of a sync channel, and how its calls are judged."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import CircuitBreaker, CircuitOpenError, Guard, Permit, PermitError
from ._extras import extra
from ._grpc_rejections import RpcCircuitOpenError

with extra("grpc", grpcio="1.60"):
    import grpc
    from grpc import StatusCode

if TYPE_CHECKING:  # the stubs type interceptors by message; ours passes any message on
    _AllKinds = object
else:

    class _AllKinds(
        grpc.UnaryUnaryClientInterceptor,
        grpc.UnaryStreamClientInterceptor,
        grpc.StreamUnaryClientInterceptor,
        grpc.StreamStreamClientInterceptor,
    ): ...


def settle(permit: Permit, error: BaseException | None) -> None:
    """Settle a permit, unless another thread just did."""
    if permit.settled:
        return
    try:
        permit.settle(error)
    except PermitError:
        return


class Interceptor(_AllKinds):
    """Admits an RPC, and settles it when it is over."""

    def __init__(self, way: CircuitBreaker | Guard) -> None:
        self._way = way

    def _unary(self, proceed: Callable[..., Any], details: Any, request: Any) -> Any:
        permit, call = self._begin(proceed, details, request)
        if call.done():
            _judge(permit, call)
        else:
            call.add_done_callback(partial(_judge, permit))
        return call

    def _stream(self, proceed: Callable[..., Any], details: Any, request: Any) -> Any:
        return _Stream(*self._begin(proceed, details, request))

    def _begin(
        self, proceed: Callable[..., Any], details: Any, request: Any
    ) -> tuple[Permit, Any]:
        try:
            permit = self._way.acquire()
        except CircuitOpenError as rejection:
            raise RpcCircuitOpenError(*rejection.args) from None
        try:
            return permit, proceed(details, request)
        except BaseException as error:
            permit.settle(error)
            raise

    intercept_unary_unary = intercept_stream_unary = _unary
    intercept_unary_stream = intercept_stream_stream = _stream


def _judge(permit: Permit, call: Any) -> None:
    """Settle an RPC that is over."""
    if call.code() is StatusCode.OK:
        settle(permit, None)
        return
    try:
        error = call.exception() if hasattr(call, "exception") else call
    except grpc.FutureCancelledError:
        error = GeneratorExit()
    settle(permit, error)


class _Stream:
    """The responses of an RPC; everything else is the call's own."""

    def __init__(self, permit: Permit, call: Any) -> None:
        self._permit = permit
        self._call = call
        # The call must not be kept alive by its own callback: a call that is dropped
        # is cancelled, and that is how we learn of it.
        over = partial(_over, permit, weakref.ref(call))
        if not call.add_callback(over):
            over()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            item = next(self._call)
        except (StopIteration, grpc.RpcError):
            _judge_stream(self._permit, self._call)
            raise
        self._permit.item()
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


grpc.Call.register(_Stream)


def _over(permit: Permit, call: Callable[[], Any]) -> None:
    ended = call()
    if ended is None:
        settle(permit, GeneratorExit())
    else:
        _judge_stream(permit, ended)


def _judge_stream(permit: Permit, call: Any) -> None:
    code = call.code()
    if code is StatusCode.CANCELLED:
        settle(permit, GeneratorExit())
    else:
        settle(permit, None if code is StatusCode.OK else call)
