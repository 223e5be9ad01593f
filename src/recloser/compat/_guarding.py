"""How circuitbreaker guards each kind of callable: what refuses, and what only counts.

The four `call` methods count and never refuse. The guarded functions refuse, and count
by those methods, so that a subclass may put its own in their place. Where it has not,
functions and coroutines are counted on the spot: one frame less for every call.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from ._streaks import StreakError, Streaks

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Awaitable,
        Callable,
        Generator,
        Iterable,
    )
    from types import TracebackType

ResultT = TypeVar("ResultT")


class Guarding(Streaks):
    """Guarded functions of four kinds, and the calls they are made of."""

    is_failure: Callable[[Any, Any], Any]
    _error: ClassVar[type[StreakError]]

    @property
    @abstractmethod
    def opened(self) -> bool:
        """Whether guarded functions are refused."""

    @property
    @abstractmethod
    def fallback_function(self) -> Callable[..., Any] | None:
        """What is called instead of a rejected call, or None."""

    @abstractmethod
    def reset(self) -> None:
        """Close the circuit and forget the failures."""

    def _raised(
        self, period: int, kind: type[BaseException], error: BaseException | None
    ) -> None:
        if self.is_failure(kind, error):
            self._fail(period, error)
        else:
            self._pass(period, error)

    def _succeed(self) -> None:
        self.reset()

    def call(self, func: Callable[..., ResultT], *args: Any, **kwargs: Any) -> ResultT:
        """Call `func` and count how it ends. Never refuses; a success closes."""
        if type(self).__exit__ is not _EXIT:
            with self:
                return func(*args, **kwargs)
        period = self._period
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._raised(period, type(error), error)
            raise
        if period == self._period or self.late_results:
            self.reset()
        return result

    async def call_async(
        self, func: Callable[..., Awaitable[ResultT]], *args: Any, **kwargs: Any
    ) -> ResultT:
        """Await `func` and count how it ends. Never refuses; a success closes."""
        if type(self).__exit__ is not _EXIT:
            with self:
                return await func(*args, **kwargs)
        period = self._period
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            self._raised(period, type(error), error)
            raise
        if period == self._period or self.late_results:
            self.reset()
        return result

    def call_generator(
        self, func: Callable[..., Iterable[ResultT]], *args: Any, **kwargs: Any
    ) -> Generator[ResultT]:
        """Iterate over what `func` gives and count how that ends. Never refuses."""
        with self._counted():
            for item in func(*args, **kwargs):  # noqa: UP028 - keeps `send` outside
                yield item

    async def call_async_generator(
        self, func: Callable[..., AsyncIterable[ResultT]], *args: Any, **kwargs: Any
    ) -> AsyncGenerator[ResultT]:
        """Iterate over what `func` gives and count how that ends. Never refuses."""
        with self._counted():
            async for item in func(*args, **kwargs):
                yield item

    def _counted(self) -> Guarding | _Block:
        """Return the block to run a stream in: the user's, where a class has one."""
        if type(self).__exit__ is _EXIT:
            return _Block(self._ended, self._period)
        return self

    def _ended(
        self,
        period: int,
        kind: type[BaseException] | None,
        error: BaseException | None,
    ) -> None:
        if kind is not None:
            self._raised(period, kind, error)
        elif period == self._period or self.late_results:
            self.reset()

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        cls = type(self)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            if self.opened:
                fallback = self.fallback_function
                if not fallback:
                    raise self._error(self)
                return fallback(*args, **kwargs)
            if self.single_probe:
                with self._probe() as admitted:
                    run = partial(self.call, function) if admitted else self._instead()
                    return run(*args, **kwargs)
            if cls.call is not _CALL or cls.__exit__ is not _EXIT:
                return self.call(function, *args, **kwargs)
            period = self._period
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                if self.is_failure(type(error), error):
                    self._fail(period, error)
                else:
                    self._pass(period, error)
                raise
            if period == self._period or self.late_results:
                self.reset()
            return result

        return guarded

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        cls = type(self)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            if self.opened:
                fallback = self.fallback_function
                if not fallback:
                    raise self._error(self)
                return await fallback(*args, **kwargs)
            if self.single_probe:
                with self._probe() as admitted:
                    run = partial(self.call_async, function)
                    return await (run if admitted else self._instead())(*args, **kwargs)
            if cls.call_async is not _CALL_ASYNC or cls.__exit__ is not _EXIT:
                return await self.call_async(function, *args, **kwargs)
            period = self._period
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                if self.is_failure(type(error), error):
                    self._fail(period, error)
                else:
                    self._pass(period, error)
                raise
            if period == self._period or self.late_results:
                self.reset()
            return result

        return guarded

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        run = partial(self.call_generator, function)

        def guarded(*args: Any, **kwargs: Any) -> Generator[Any, Any]:
            if self.opened:
                yield from self._instead()(*args, **kwargs)
            elif not self.single_probe:
                yield from self.call_generator(function, *args, **kwargs)
            else:
                with self._probe() as admitted:
                    yield from (run if admitted else self._instead())(*args, **kwargs)

        return guarded

    def _async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        run = partial(self.call_async_generator, function)

        async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
            if self.opened:
                stream = self._instead()
            elif not self.single_probe:
                stream = run
            else:
                with self._probe() as admitted:
                    stream = run if admitted else self._instead()
                    async for item in stream(*args, **kwargs):
                        yield item
                return
            async for item in stream(*args, **kwargs):
                yield item

        return guarded

    def _instead(self) -> Callable[..., Any]:
        """Return the fallback, or raise the rejection."""
        fallback = self.fallback_function
        if fallback:
            return fallback
        error = self._error(self)
        if self._place is not None and error.retry_after == 0:
            error.retry_after = self._probe_left()
        raise error


_EXIT = Guarding.__exit__
_CALL = Guarding.call
_CALL_ASYNC = Guarding.call_async


class _Block:
    """Counts one stream in the period it began in."""

    __slots__ = ("_ended", "_period")

    def __init__(self, ended: Callable[..., None], period: int) -> None:
        self._ended = ended
        self._period = period

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Literal[False]:
        self._ended(self._period, exc_type, exc_value)
        return False
