"""The API of escudeiro.ds.circuit (escudeiro 0.4) on a small machine of its own.

    from recloser.compat.escudeiro import CircuitBreaker, with_circuit_breaker

Not the core's machine: this breaker refuses nobody. A failed call *freezes* it; whoever
calls then waits until the freeze is over and gets one more attempt, and so does the call
that failed. No threshold, no half-open, no rejection, hence no error class either.

Better by the switch:

1. Cancelling one waiting call cancels that call. In the original it cancels all others
   that wait, and leaves an error nobody retrieves.
2. A freeze belongs to its event loop. A loop that ends while frozen leaves a breaker that
   works in the next one; the original raises CancelledError for ever.
3. The task that ends a freeze is kept alive, so the freeze does end; and after a freeze
   function that raised, the next call tries it again, where the original gives that error
   to every call for ever. Off with `retry_freeze = False`.

Other differences: instances compare by identity, can be hashed and take new attributes,
and there are two constructor parameters, not five.

One breaker is for the tasks of one loop at a time; it is not for several threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_DELAY = 5
"""Seconds a freeze lasts, unless another freeze function is given."""


def _log_error(error: Exception) -> None:
    message = "Failed execution during CircuitBreaker execution"
    logging.error(message, exc_info=error)  # noqa: LOG015 - the original's logger


_sleep = partial(asyncio.sleep, DEFAULT_DELAY)


class CircuitBreaker:
    """A breaker that freezes after a failure and makes callers wait.

    Attributes:
        freeze_function: Called without arguments and awaited, in a task of its own; as
            long as that takes, the breaker is frozen. Default: sleep for 5 s.
        on_error: Called with the exception of a first attempt that failed. What it
            raises goes to the caller, and nothing freezes. Default: log the error.
        retry_freeze: After a freeze function that raised, let the next call start
            another freeze. Default True; the original's way is False.
    """

    # Slots are read faster; the dictionary is for what users add.
    __slots__ = ("__dict__", "__weakref__", "_freeze", "freeze_function", "on_error")

    retry_freeze: bool = True

    def __init__(
        self,
        freeze_function: Callable[[], Awaitable[Any]] = _sleep,
        on_error: Callable[[Exception], object] = _log_error,
    ) -> None:
        """Start unfrozen. Both functions may be replaced at any time."""
        self.freeze_function: Callable[[], Awaitable[Any]] = freeze_function
        self.on_error: Callable[[Exception], object] = on_error
        self._freeze: _Freeze | None = None

    @property
    def is_frozen(self) -> bool:
        """Whether a freeze has begun and not ended well, in a loop that still exists."""
        freeze = self._freeze
        return freeze is not None and freeze.holds and not freeze.loop.is_closed()

    async def execute(
        self, func: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await `func`; if it fails, or the breaker is frozen, wait, then once more.

        Raises:
            Exception: The second attempt's error, or that of the freeze function.
        """
        freeze = self._freeze
        if freeze is None or (freeze := self._holding()) is None:
            try:
                return await func(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - handed to on_error
                self.on_error(error)
            freeze = self._holding() or self._begin()
        elif freeze.error is not None and self.retry_freeze:
            freeze = self._begin()
        await freeze.wait()
        return await func(*args, **kwargs)

    def _holding(self) -> _Freeze | None:
        """Return the freeze in force in this loop."""
        freeze = self._freeze
        if freeze is None or not freeze.holds:
            return None
        return freeze if freeze.loop is asyncio.get_running_loop() else None

    def _begin(self) -> _Freeze:
        loop = asyncio.get_running_loop()
        freeze = self._freeze = _Freeze(loop)
        freeze.task = loop.create_task(self._last(freeze))
        return freeze

    async def _last(self, freeze: _Freeze) -> None:
        try:
            await self.freeze_function()
        except Exception as error:  # noqa: BLE001 - raised to those who wait
            freeze.fail(error)
        except BaseException:  # the loop is ending: nobody is there to wait
            freeze.end()
            raise
        else:
            freeze.end()

    @property
    def _freeze_future(self) -> asyncio.Future[None] | None:
        return None if self._freeze is None else self._freeze.over


class _Freeze:
    """One freeze: the loop it belongs to, who waits, and how it ended.

    Each call waits on a future of its own, because cancelling a task cancels what it
    waits on. `over` is for those who look from outside.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.over: asyncio.Future[None] = loop.create_future()
        self.task: asyncio.Task[None] | None = (
            None  # referenced, or it may be collected
        )
        self.holds = True
        self.error: Exception | None = None
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Wait until it is over; raise what its freeze function raised."""
        if self.holds and self.error is None:
            waiter = self.loop.create_future()
            self._waiters.append(waiter)
            await waiter
        elif self.error is not None:
            raise self.error

    def end(self) -> None:
        """Unfreeze, and let everybody go on."""
        self.holds = False
        self.task = None
        if self.loop.is_closed():  # its tasks are being collected: nobody can go on
            return
        for waiter in (*self._waiters, self.over):
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """Give the freeze function's error to everybody; it stays frozen."""
        self.error = error
        self.task = None
        for waiter in (*self._waiters, self.over):
            if not waiter.done():
                waiter.set_exception(error)
        if not self.over.cancelled():
            self.over.exception()  # retrieved: those who wait have it


def with_circuit_breaker(
    circuit_breaker: CircuitBreaker,
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Return a decorator whose functions run through `circuit_breaker.execute`."""

    def decorator(func: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @wraps(func)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            return await circuit_breaker.execute(func, *args, **kwargs)

        return wrapper

    return decorator
