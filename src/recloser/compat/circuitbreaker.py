"""The API of circuitbreaker 2.1 on a small machine of its own (`_streaks`).

    from recloser.compat.circuitbreaker import circuit

Not the core's machine, because its rules cannot express the original: blocks are counted
and never refused, an unexpected exception closes the circuit, half-open lets everybody
through, and methods may be replaced on the class.

Better by the switch:

1. Late results change nothing. A call that began before the circuit changed its state
   neither opens nor closes it when it ends. Off with `late_results=True`.
2. The books change under a lock: threads lose no failure. Your function, predicate and
   fallback never run under it.
3. `CircuitBreakerError` is a `recloser.CircuitOpenError` too: `retry_after`, `state`,
   `reason` and `last_failure` of the rejection; it can be pickled.

On offer, off because the original does otherwise: `single_probe=True` (half-open lets one
call through at a time), `neutral_cancellation=True` (a cancelled call is no success). All
are keyword-only options, and attributes to set on a subclass.

Kept although surprising: an exception that is not expected closes the circuit and clears
the count, cancellation too; 0, `()` and other false settings mean the default;
`EXPECTED_EXCEPTION` inherited from an intermediate class is not seen; `call` and `with`
never refuse; `send` and `throw` do not reach a wrapped generator.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, ValuesView
from datetime import UTC, datetime, timedelta
from functools import wraps
from inspect import isasyncgenfunction, isclass, isgeneratorfunction
from math import ceil, floor
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, overload

from ._guarding import Guarding
from ._streaks import StreakError, is_coroutine_function

if TYPE_CHECKING:
    from ._rejections import Facts

STRING_TYPES = (bytes, str)
STATE_CLOSED = "closed"
STATE_OPEN = "open"
STATE_HALF_OPEN = "half_open"

FuncT = TypeVar("FuncT", bound=Callable[..., Any])
Predicate = Callable[[Any, Any], Any]
"""Gets the exception's class and the exception; true if it is a failure."""
Expected = type[BaseException] | Iterable[type[BaseException]] | Predicate
"""What counts as a failure: a class, several classes, or a predicate."""


def in_exception_list(*exc_types: type[BaseException]) -> Predicate:
    """Return a predicate that is true for these classes and their subclasses."""
    wanted = exc_types[0] if len(exc_types) == 1 else exc_types

    def matches_types(thrown_type: type[BaseException], _: object) -> bool:
        return issubclass(thrown_type, wanted)

    return matches_types


def build_failure_predicate(expected_exception: Any) -> Predicate:
    """Return the predicate for what a user passed as `expected_exception`.

    Raises:
        ValueError: It is a string, or neither classes nor a predicate.
    """
    if isinstance(expected_exception, STRING_TYPES):
        msg = "expected_exception cannot be a string. Did you mean name?"
        raise ValueError(msg)  # noqa: TRY004 - the original's
    if isclass(expected_exception) and issubclass(expected_exception, Exception):
        return in_exception_list(expected_exception)
    try:
        return in_exception_list(*cast("Iterable[Any]", expected_exception))
    except TypeError:
        if callable(expected_exception) and not isclass(expected_exception):
            return cast("Predicate", expected_exception)
    msg = "expected_exception does not look like a predicate"
    raise ValueError(msg)


class CircuitBreakerError(StreakError):
    """A decorated function was refused: the circuit is open and has no fallback."""


class CircuitBreaker(Guarding):
    """A breaker for plain and coroutine functions, generators and async generators.

    Share one between threads and between tasks.

    Args:
        failure_threshold: Failures in a row that open the circuit. Default 5, also
            for 0.
        recovery_timeout: Seconds open before calls are let through again. Default 30,
            also for 0.
        expected_exception: What is a failure: a class, an iterable of classes, or a
            predicate that gets class and exception. Default `Exception`.
        name: For the monitor. Default: the name of the first function decorated.
        fallback_function: Called instead of a rejected call, with its arguments; of the
            same kind as the function. Default: raise `CircuitBreakerError`.
        late_results: See `Streaks`, also for the other two. Not in the original.
        single_probe: Not in the original.
        neutral_cancellation: Not in the original.

    Raises:
        ValueError: `expected_exception` is a string or nothing usable.
    """

    FAILURE_THRESHOLD: Any = 5
    RECOVERY_TIMEOUT: Any = 30
    EXPECTED_EXCEPTION: Any = Exception
    FALLBACK_FUNCTION: Any = None

    _closed_state: ClassVar[Any] = STATE_CLOSED
    _open_state: ClassVar[Any] = STATE_OPEN
    _error = CircuitBreakerError

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        expected_exception: Expected | None = None,
        name: str | None = None,
        fallback_function: Callable[..., Any] | None = None,
        *,
        late_results: bool = False,
        single_probe: bool = False,
        neutral_cancellation: bool = False,
    ) -> None:
        super().__init__(
            late_results=late_results,
            single_probe=single_probe,
            neutral_cancellation=neutral_cancellation,
        )
        self._failure_threshold = failure_threshold or self.FAILURE_THRESHOLD
        self._recovery_timeout = recovery_timeout or self.RECOVERY_TIMEOUT
        # From this very class: a function there must not become a method.
        own = vars(type(self)).get("EXPECTED_EXCEPTION", Exception)
        self.is_failure: Predicate = build_failure_predicate(expected_exception or own)
        self._fallback_function = fallback_function or self.FALLBACK_FUNCTION
        self._name = name
        self._opened = monotonic()

    def __call__(self, wrapped: FuncT) -> FuncT:
        """Guard a function: `decorate`."""
        return self.decorate(wrapped)

    def decorate(self, function: FuncT) -> FuncT:
        """Return a function of the same kind that is refused while the circuit is open.

        Registers the breaker with the monitor. A generator is checked at its first
        item, the others when they are called or awaited.

        Raises:
            AttributeError: The breaker has no name, and neither has the function.
        """
        if self._name is None:
            try:
                self._name = function.__qualname__
            except AttributeError:
                self._name = function.__name__
        CircuitBreakerMonitor.register(self)
        guarded: Callable[..., Any]
        if isgeneratorfunction(function):
            guarded = self._generator(function)
        elif isasyncgenfunction(function):
            guarded = self._async_generator(function)
        elif is_coroutine_function(function):
            guarded = self._coroutine(function)
        else:
            guarded = self._plain(function)
        return cast("FuncT", wraps(function)(guarded))

    def reset(self) -> None:
        """Close the circuit and forget the failures."""
        if (
            self._failure_count
            or self._last_failure is not None
            or self._state != STATE_CLOSED
        ):
            self._clear()

    @property
    def state(self) -> str:
        """What is stored, except that an opening whose time is over is half-open."""
        if self._state == STATE_OPEN and self.open_remaining <= 0:
            return STATE_HALF_OPEN
        return cast("str", self._state)

    @property
    def opened(self) -> bool:
        """Whether decorated functions are refused."""
        cls = type(self)
        if cls.state is not _STATE or cls.open_remaining is not _OPEN_REMAINING:
            return self.state == STATE_OPEN
        return (
            self._state == STATE_OPEN
            and self._opened + self._recovery_timeout - monotonic() > 0
        )

    @property
    def closed(self) -> bool:
        """Whether the circuit is closed; False in half-open."""
        return self.state == STATE_CLOSED

    @property
    def open_until(self) -> datetime:
        """When the wait is over, in UTC, to the second of `open_remaining`."""
        return datetime.now(UTC) + timedelta(seconds=self.open_remaining)

    @property
    def open_remaining(self) -> int:
        """Whole seconds of the wait: rounded up while positive, else down (so -1).

        Counted from the last opening, and before the first one from construction.
        """
        left = self._opened + self._recovery_timeout - monotonic()
        return ceil(left) if left > 0 else floor(left)

    @property
    def name(self) -> str | None:
        """The given name, or that of the first function decorated."""
        return self._name

    @property
    def fallback_function(self) -> Callable[..., Any] | None:
        """What is called instead of a rejected call, or None."""
        return self._fallback_function

    def __str__(self) -> str:
        return self._name or "unnamed_CircuitBreaker"

    def _start_wait(self) -> None:
        self._opened = monotonic()

    def _wait_began(self) -> float:
        return self._opened

    def _facts(self) -> Facts:
        left = self._opened + self._recovery_timeout - monotonic()
        culprit = self._culprit or self._describe()
        return self._name or "", self._state, left, self._failure_count, culprit


_STATE = CircuitBreaker.state
_OPEN_REMAINING = CircuitBreaker.open_remaining


class CircuitBreakerMonitor:
    """Every breaker that has decorated something, by name; the newest of a name."""

    circuit_breakers: ClassVar[dict[str | None, CircuitBreaker]] = {}

    @classmethod
    def register(cls, circuit_breaker: CircuitBreaker) -> None:
        """Add a breaker, in the place of another of its name."""
        cls.circuit_breakers[circuit_breaker.name] = circuit_breaker

    @classmethod
    def all_closed(cls) -> bool:
        """Tell whether none is open. Half-open ones are not."""
        return not list(cls.get_open())

    @classmethod
    def get_circuits(cls) -> ValuesView[CircuitBreaker]:
        """Return all of them, in the order of their first registration."""
        return cls.circuit_breakers.values()

    @classmethod
    def get(cls, name: str | None) -> CircuitBreaker | None:
        """Return the breaker of this name, or None."""
        return cls.circuit_breakers.get(name)

    @classmethod
    def get_open(cls) -> Generator[CircuitBreaker]:
        """Iterate over the open ones."""
        for circuit in list(cls.get_circuits()):  # others may come meanwhile
            if circuit.opened:
                yield circuit

    @classmethod
    def get_closed(cls) -> Generator[CircuitBreaker]:
        """Iterate over the closed ones."""
        for circuit in list(cls.get_circuits()):
            if circuit.closed:
                yield circuit


@overload
def circuit(failure_threshold: FuncT) -> FuncT: ...


@overload
def circuit(
    failure_threshold: int | None = None,
    recovery_timeout: float | None = None,
    expected_exception: Expected | None = None,
    name: str | None = None,
    fallback_function: Callable[..., Any] | None = None,
    cls: type[CircuitBreaker] = CircuitBreaker,
    **options: bool,
) -> CircuitBreaker: ...


def circuit(  # noqa: PLR0917 - the original's
    failure_threshold: Any = None,
    recovery_timeout: float | None = None,
    expected_exception: Expected | None = None,
    name: str | None = None,
    fallback_function: Callable[..., Any] | None = None,
    cls: type[CircuitBreaker] = CircuitBreaker,
    **options: bool,
) -> Any:
    """Guard a function with a breaker of its own: `@circuit` or `@circuit(...)`.

    Takes what `CircuitBreaker` takes; `cls` makes the breaker. Returns the guarded
    function, or with arguments the breaker, which is the decorator.
    """
    if callable(failure_threshold):
        return cls().decorate(failure_threshold)
    return cls(
        failure_threshold=failure_threshold,
        recovery_timeout=recovery_timeout,
        expected_exception=expected_exception,
        name=name,
        fallback_function=fallback_function,
        **options,
    )
