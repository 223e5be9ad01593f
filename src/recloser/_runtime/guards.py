"""One circuit, other options: guards, and what decorating does."""

from __future__ import annotations

import functools
from types import MethodType

from .._core import ranges
from .._core.hints import (
    TYPE_CHECKING,
    Any,
    Generic,
    TypeVar,
    cast,
    final,
    overload,
)
from .classify import classifier_for
from .fallbacks import Fallback
from .gate import Gate
from .permits import Permit
from .shapes import AnyCallable, refuse_uncallable, shape_of
from .wrappers import guard_function

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from datetime import timedelta

    from .._core.hints import ParamSpec
    from .breaker import CircuitBreaker

    P = ParamSpec("P")

F = TypeVar("F", bound="Callable[..., Any]")
R = TypeVar("R")
R2_co = TypeVar("R2_co", covariant=True)
T = TypeVar("T")

MARK = "__recloser__"
"""The attribute of a guarded function that holds its breaker."""


@final
class Guard:
    """The same circuit with its own way of judging calls, a fallback, or a wait.

    Immutable; share it between threads and tasks. Made by calling a breaker with
    options: `@payments(fallback=cached, ignore=(KeyError,), wait=2.0)`.
    """

    __slots__ = ("_breaker", "_gate")

    def __init__(
        self,
        breaker: CircuitBreaker,
        base: Gate,
        options: dict[str, Any],
        *,
        fallback: Callable[..., Any] | None,
        wait: float | timedelta | None,
        key: Callable[..., Any] | None = None,
    ) -> None:
        """Begin with the breaker's options and replace the given ones."""
        self._breaker = breaker
        self._gate = Gate(
            base.circuit,
            classifier_for(base.classifier, **options),
            None if fallback is None else Fallback(fallback),
            None if wait is None else ranges.seconds("wait", wait),
            _key(key),
        )

    @property
    def breaker(self) -> CircuitBreaker:
        """The breaker whose circuit this is."""
        return self._breaker

    def __call__(self, function: F, /) -> F:
        """Return the function guarded, with its signature, name and colour.

        Raises:
            TypeError: It cannot be guarded, or the fallback is of another kind.
        """
        return cast("F", decorate(self._breaker, self._gate, function))

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a plain function, guarded; see `CircuitBreaker.call`."""
        return self._gate.call(function, args, kwargs)

    async def acall(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call a function and await what it returns, guarded."""
        refuse_uncallable(function, "acall")
        result: R = await self._gate.ask_async(function, args, kwargs)
        return result

    def acquire(self, *, timeout: float | timedelta | None = None) -> Permit:
        """Take the right to make one call, to be judged this guard's way.

        Args:
            timeout: Seconds, > 0, to wait for a place, blocking the thread. Default
                None: as long as the guard's `wait` says.

        Raises:
            CircuitOpenError: There is no place. A permit has no fallback.
        """
        if timeout is None:
            return Permit(self._gate, self._gate.admit())
        seconds = ranges.seconds("timeout", timeout)
        return Permit(self._gate, self._gate.wait_for_entry(seconds))

    async def aacquire(self, *, timeout: float | timedelta | None = None) -> Permit:
        """Take the right to make one call, without blocking the loop; see `acquire`."""
        if timeout is None:
            return Permit(self._gate, await self._gate.admit_async())
        seconds = ranges.seconds("timeout", timeout)
        return Permit(self._gate, await self._gate.wait_for_entry_async(seconds))

    def __repr__(self) -> str:
        """Show whose circuit it is."""
        return f"<Guard of {self._breaker!r}>"


def _key(value: object) -> Callable[..., Any] | None:
    if value is None or callable(value):
        return value
    msg = f"key must be a function of the call's arguments, got {value!r}"
    raise TypeError(msg)


if TYPE_CHECKING:

    class FallbackGuard(Generic[R2_co]):
        """A `Guard` with a fallback, as type checkers see it: it may return the fallback's."""

        @property
        def breaker(self) -> CircuitBreaker:
            """The breaker whose circuit this is."""
            ...

        @overload
        def __call__(
            self: FallbackGuard[Awaitable[T]],
            function: Callable[P, Coroutine[Any, Any, R]],
            /,
        ) -> Callable[P, Coroutine[Any, Any, R | T]]: ...
        @overload
        def __call__(
            self, function: Callable[P, Coroutine[Any, Any, R]], /
        ) -> Callable[P, Coroutine[Any, Any, R | R2_co]]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> Callable[P, R | R2_co]: ...
        def __call__(self, function: Callable[..., Any], /) -> Any:
            """Return the function guarded, with its signature, name and colour."""

        def call(
            self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
        ) -> R | R2_co:
            """Call a plain function, guarded."""
            ...

        @overload
        async def acall(
            self: FallbackGuard[Awaitable[T]],
            function: Callable[P, Awaitable[R]],
            /,
            *args: P.args,
            **kwargs: P.kwargs,
        ) -> R | T: ...
        @overload
        async def acall(
            self,
            function: Callable[P, Awaitable[R]],
            /,
            *args: P.args,
            **kwargs: P.kwargs,
        ) -> R | R2_co: ...
        async def acall(
            self, function: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any
        ) -> Any:
            """Call a function and await what it returns, guarded."""

        def acquire(self, *, timeout: float | timedelta | None = None) -> Permit:
            """Take the right to make one call, to be judged this guard's way."""
            ...

        async def aacquire(self, *, timeout: float | timedelta | None = None) -> Permit:
            """Take the right to make one call, without blocking the loop."""
            ...


def decorate(breaker: CircuitBreaker, gate: Gate, target: Any) -> Any:
    """Return `target` guarded; `staticmethod` and `classmethod` stay what they are."""
    if isinstance(target, staticmethod | classmethod):
        method = cast("staticmethod[..., Any]", target)  # or the other: both hold one
        return type(method)(decorate(breaker, gate, method.__func__))
    _refuse_twice(breaker, target)
    shape = shape_of(target)
    if isinstance(gate.fallback, Fallback):
        gate.fallback.check(shape, target)
    guarded = guard_function(gate, target)
    setattr(guarded, MARK, breaker)
    return guarded


def breaker_of(function: object) -> CircuitBreaker | None:
    """Return the breaker that guards `function`, the outermost if several do, or None.

    Bound methods, `staticmethod` and `classmethod` objects are looked through.
    """
    return next(_breakers_of(function), None)


def _breakers_of(function: object) -> Iterator[CircuitBreaker]:
    """Look through wrappers, methods and partials, at real attributes only.

    Proxies that answer every attribute would lead on for ever.
    """
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        if isinstance(function, functools.partial):
            function = function.func
            continue
        if isinstance(function, MethodType | staticmethod | classmethod):
            function = cast("MethodType", function).__func__  # all three hold one
            continue
        attributes: object = getattr(function, "__dict__", None)
        if not isinstance(attributes, dict):
            return
        own = cast("dict[str, Any]", attributes)
        breaker = own.get(MARK)
        if breaker is not None:
            yield breaker
        function = own.get("__wrapped__")


def _refuse_twice(breaker: CircuitBreaker, target: AnyCallable) -> None:
    if any(other is breaker for other in _breakers_of(target)):
        msg = f"{target!r} is already guarded by {breaker.name!r}: each call would count twice"
        raise TypeError(msg)
