"""The interceptors of an asyncio channel, and how its calls are judged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .. import CircuitBreaker, CircuitOpenError, Guard, Permit
from ._extras import extra
from ._grpc_rejections import AioRpcCircuitOpenError
from ._grpc_sync import settle

with extra("grpc", grpcio="1.60"):
    from grpc import StatusCode, aio

R = TypeVar("R")

if TYPE_CHECKING:  # the stubs type interceptors by message; ours pass any message on
    _UnaryUnaryKind = object
    _StreamUnaryKind = object
    _UnaryStreamKind = object
    _StreamStreamKind = object
else:
    _UnaryUnaryKind = aio.UnaryUnaryClientInterceptor
    _StreamUnaryKind = aio.StreamUnaryClientInterceptor
    _UnaryStreamKind = aio.UnaryStreamClientInterceptor
    _StreamStreamKind = aio.StreamStreamClientInterceptor


def interceptors(way: CircuitBreaker | Guard) -> list[aio.ClientInterceptor]:
    """Return one for each kind of RPC: a channel sorts them by their type."""
    kinds: list[Any] = [_UnaryUnary, _StreamUnary, _UnaryStream, _StreamStream]
    return [kind(way) for kind in kinds]


class _Interceptor:
    """Admits an RPC, and settles it when it is over."""

    def __init__(self, way: CircuitBreaker | Guard) -> None:
        self._way = way

    async def unary(
        self, proceed: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        permit = await self._admit()
        return await self._begin(permit, proceed(details, request))

    async def stream(
        self, proceed: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        permit = await self._admit()
        call = await self._begin(permit, proceed(details, request))
        return _watched(permit, call)

    async def _admit(self) -> Permit:
        try:
            if isinstance(self._way, Guard):
                return await self._way.aacquire()
            return self._way.acquire()
        except CircuitOpenError as rejection:
            raise AioRpcCircuitOpenError(*rejection.args) from None

    async def _begin(self, permit: Permit, starting: Coroutine[Any, Any, Any]) -> Any:
        try:
            call = await starting
        except BaseException as error:
            permit.settle(error)
            raise
        if call.done():
            _judge_aio(permit, call)
        else:
            call.add_done_callback(partial(_judge_aio, permit))
        return call


class _UnaryUnary(_Interceptor, _UnaryUnaryKind):
    intercept_unary_unary = _Interceptor.unary


class _StreamUnary(_Interceptor, _StreamUnaryKind):
    intercept_stream_unary = _Interceptor.unary


class _UnaryStream(_Interceptor, _UnaryStreamKind):
    intercept_unary_stream = _Interceptor.stream


class _StreamStream(_Interceptor, _StreamStreamKind):
    intercept_stream_stream = _Interceptor.stream


async def _watched(permit: Permit, call: Any) -> AsyncIterator[Any]:
    async for item in call:
        permit.item()
        yield item


def _judge_aio(permit: Permit, call: Any) -> None:
    """Settle an RPC that is over; what it has to be awaited for is there already."""
    code = _awaited(call.code())
    if code is StatusCode.OK:
        settle(permit, None)
    elif code is StatusCode.CANCELLED:
        settle(permit, GeneratorExit())
    else:
        facts = (call.initial_metadata(), call.trailing_metadata(), call.details())
        settle(permit, aio.AioRpcError(code, *map(_awaited, facts)))


def _awaited(coroutine: Coroutine[Any, Any, R]) -> R:
    """Return the result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as returned:
        return cast("R", returned.value)
    coroutine.close()
    msg = "the call is not over"
    raise RuntimeError(msg)
