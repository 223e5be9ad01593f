"""The shapes of call that end later than they return."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from functools import partial, wraps
from importlib import import_module
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .._async_calls import AsyncCalls
from ._listener import CircuitBreakerListener
from ._states import CircuitBreakerState
from ._storage import CircuitBreakerStorage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

T = TypeVar("T")


class Calls(
    AsyncCalls[str, CircuitBreakerState, CircuitBreakerStorage, CircuitBreakerListener]
):
    """Guards generators, coroutine functions, and whatever can be awaited."""

    def call_async(
        self, func: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> asyncio.Future[Any]:
        """Call `func`, await what it returns, and count that; return a future of it.

        For functions that return something to await: native and Tornado coroutines,
        futures. Needs no Tornado. `func` is called at once; every error, a rejection
        too, is in the future. Cancelling the future cancels the call; a call that was
        cancelled is no evidence.
        """
        loop = _loop()
        context = contextvars.copy_context()
        try:
            permit = context.run(self._admit, func, args, kwargs)
            started = context.run(self._started, permit, func, args, kwargs)
        except Exception as error:  # noqa: BLE001  it belongs to who awaits
            future = loop.create_future()
            future.set_exception(error)
            return future
        settled = self._settled(permit, _itself, (started,), {})
        task = loop.create_task(settled, context=context)
        task.add_done_callback(partial(self._tidy, permit, started))
        return task

    def _tidy(
        self, permit: object, started: Awaitable[Any], _: asyncio.Task[Any]
    ) -> None:
        """End what has not begun: a task cancelled before its first step runs nothing."""
        self._released(permit)
        if isinstance(started, Coroutine):
            started.close()

    def _started(
        self,
        permit: object,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Awaitable[Any]:
        try:
            return _awaitable(func(*args, **kwargs))
        except BaseException as error:
            self._failed(permit, error)
            raise

    def _guarded_coroutine_function(
        self, func: Callable[..., Coroutine[Any, Any, T]]
    ) -> Callable[..., Coroutine[Any, Any, T]]:
        @wraps(func)
        async def guarded(*args: Any, **kwargs: Any) -> T:
            permit = self._admit(func, args, kwargs)
            return await self._settled(permit, func, args, kwargs)

        return guarded

    def _guarded_generator(
        self, permit: object, inner: Generator[Any, Any, Any]
    ) -> Generator[Any, Any, None]:
        """Run `inner`; count it when it ends.

        An error, from inside or thrown in, is counted first and then thrown into
        `inner`, which may translate it. Leaving half-way is an error, too. A task's
        cancellation is none: it passes through a `with breaker.calling()` uncounted.
        """
        try:
            given = yield next(inner)
            while True:
                given = yield inner.send(given)
        except StopIteration:
            self._succeeded(permit)
        except asyncio.CancelledError as cancelled:
            self._released(permit)
            inner.throw(cancelled)
        except BaseException as error:  # noqa: BLE001  counted, and thrown on
            self._failed(permit, error)
            inner.throw(error)


def _loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.get_event_loop()


def _awaitable(returned: Any) -> Awaitable[Any]:
    """Return it, or what Tornado makes of it."""
    if isawaitable(returned):
        return returned
    try:
        gen: Any = import_module("tornado.gen")
    except ImportError:
        return cast("Awaitable[Any]", returned)  # to fail when it is awaited
    return cast("Awaitable[Any]", gen.convert_yielded(returned))


def _itself(awaitable: Awaitable[T]) -> Awaitable[T]:
    return awaitable
