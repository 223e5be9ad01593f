"""Calls that are awaited, and async generators, on the facades' machine.

Here a call that was cancelled, or ended by any other exception that is no `Exception`,
is no evidence: it says something about the caller.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from ._machine import BooksT, KeyT, ListenerT, Machine, StateT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

T = TypeVar("T")


class AsyncCalls(Machine[KeyT, StateT, BooksT, ListenerT]):
    """Guards what ends in an event loop."""

    async def _settled(
        self,
        permit: object,
        func: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        """Await a call that was let through, and count how it ends."""
        try:
            result = await func(*args, **kwargs)
        except Exception as error:
            self._failed(permit, error)
            raise
        except BaseException:
            self._released(permit)
            raise
        self._succeeded(permit)
        return result

    def _guarded_async_generator_function(
        self, func: Callable[..., AsyncGenerator[Any, Any]]
    ) -> Callable[..., AsyncGenerator[Any, Any]]:
        """Guard it as generators are: let in when it is called."""

        @wraps(func)
        def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            inner = func(*args, **kwargs)
            permit = self._admit(func, args, kwargs)
            return self._guarded_async_generator(permit, inner)

        return guarded

    async def _guarded_async_generator(
        self, permit: object, inner: AsyncGenerator[Any, Any]
    ) -> AsyncGenerator[Any, Any]:
        """Run `inner`; count how it ends. Leaving half-way is no evidence."""
        step = anext(inner)
        while True:
            try:
                item = await step
            except StopAsyncIteration:
                self._succeeded(permit)
                return
            except Exception as error:
                self._failed(permit, error)
                raise
            except BaseException:
                self._released(permit)
                raise
            try:
                given = yield item
            except GeneratorExit:
                self._released(permit)
                await inner.aclose()
                raise
            except BaseException as error:  # noqa: BLE001  what it makes of it counts
                step = inner.athrow(error)
            else:
                step = inner.asend(given)
