"""The API of aiocircuitbreaker 2.0 on a small machine of its own (`_streaks`).

    from recloser.compat.aiocircuitbreaker import circuit

Not the core's machine, because its rules cannot express the original: blocks are counted
and never refused, an unexpected exception closes the circuit, half-open lets everybody
through, and the state may be written from outside.

Better by the switch:

1. Late results change nothing. A call that began before the circuit changed its state
   neither opens nor closes it when it ends. Off with `late_results=True`.
2. A clock that is set back does not keep the circuit open: the wait ends by the steady
   clock at the latest. `open_until` still tells the time of day.
3. `CircuitBreakerError` is a `recloser.CircuitOpenError` too: `retry_after`, `state`,
   `reason` and `last_failure` of the rejection; it can be pickled.

On offer, off because the original does otherwise: `single_probe=True` (half-open lets one
call through at a time), `neutral_cancellation=True` (a cancelled call is no success). All
are keyword-only options, and attributes to set on a subclass.

Kept although surprising: an exception that is not expected closes the circuit and clears
the count, `CancelledError` too; 0 and other false settings mean the default; the name is
never taken from the function; a list of exceptions fails only when a call does; `call`
and `with` never refuse.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import wraps
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, overload

from .._streaks import StreakError, Streaks, is_coroutine_function

if TYPE_CHECKING:
    from .._rejections import Facts

FuncT = TypeVar("FuncT", bound=Callable[..., Awaitable[Any]])
ResultT = TypeVar("ResultT")
Expected = type[BaseException] | tuple[type[BaseException], ...]
"""What counts as a failure: a class or a tuple of classes."""

_CLOCK_SKEW = 1.0  # seconds; by less than this, two clocks may tell a wait differently


class State(Enum):
    """What `CircuitBreaker.state` tells."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


# Names of their own: looking a member up costs more than comparing it.
_CLOSED = State.CLOSED
_OPEN = State.OPEN


class CircuitBreakerError(StreakError):
    """A decorated function was refused: the circuit is open and has no fallback."""


class CircuitBreaker(Streaks):
    """A breaker for coroutine functions. Share one between tasks, and between threads.

    Args:
        failure_threshold: Failures in a row that open the circuit. Default 5, also
            for 0.
        recovery_timeout: Seconds open before calls are let through again. Default 30,
            also for 0.
        expected_exception: What is a failure: a class or a tuple of classes, not
            looked at before a call raises. Default `Exception`.
        name: Default "".
        fallback_function: Called instead of a rejected call, with its arguments, and
            awaited if it is a coroutine function. Default: raise `CircuitBreakerError`.
        late_results: See `Streaks`, also for the other two. Not in the original.
        single_probe: Not in the original.
        neutral_cancellation: Not in the original.
    """

    FAILURE_THRESHOLD: Any = 5
    RECOVERY_TIMEOUT: Any = 30
    EXPECTED_EXCEPTION: Any = Exception
    FALLBACK_FUNCTION: Any = None

    _closed_state: ClassVar[Any] = _CLOSED
    _open_state: ClassVar[Any] = _OPEN

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        expected_exception: Expected | None = None,
        name: str = "",
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
        self._expected_exception = expected_exception or self.EXPECTED_EXCEPTION
        self._fallback_function: Callable[..., Any] | None = (
            fallback_function or self.FALLBACK_FUNCTION
        )
        self._name = name
        self._start_wait()

    def __call__(self, wrapped: FuncT) -> FuncT:
        """Guard a coroutine function: `decorate`."""
        return self.decorate(wrapped)

    def decorate(self, function: FuncT) -> FuncT:
        """Return a coroutine function that is refused while the circuit is open.

        Raises:
            ValueError: `function` is no coroutine function.
        """
        if not is_coroutine_function(function):
            msg = f'function "{function.__name__}" is not awaitable'
            raise ValueError(msg)
        cls = type(self)

        @wraps(function)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            if self.opened:
                if not self.fallback_function:
                    raise CircuitBreakerError(self)
                return await self._refused(args, kwargs)
            if self.single_probe:
                with self._probe() as admitted:
                    if not admitted:
                        return await self._refused(args, kwargs)
                    return await self.call(function, *args, **kwargs)
            if cls.call is not _CALL or cls.__exit__ is not _EXIT:
                return await self.call(function, *args, **kwargs)
            period = self._period
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                self._raised(period, type(error), error)
                raise
            if period == self._period or self.late_results:
                self._succeed()
            return result

        return cast("FuncT", guarded)

    async def _refused(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        fallback = self.fallback_function
        if fallback:
            if is_coroutine_function(fallback):
                return await fallback(*args, **kwargs)
            return fallback(*args, **kwargs)
        error = CircuitBreakerError(self)
        if self._place is not None and error.retry_after == 0:
            error.retry_after = self._probe_left()
        raise error

    async def call(
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
            self._succeed()
        return result

    def _raised(
        self, period: int, kind: type[BaseException], error: BaseException | None
    ) -> None:
        if issubclass(kind, self._expected_exception):
            self._fail(period, error)
        else:
            self._pass(period, error)

    def _succeed(self) -> None:
        if (
            self._failure_count
            or self._last_failure is not None
            or self._state is not _CLOSED
        ):
            self._clear()

    @property
    def state(self) -> State:
        """What is stored, except that an opening whose time is over is half-open."""
        if self._state is _OPEN and self.open_remaining <= 0:
            return State.HALF_OPEN
        return cast("State", self._state)

    @property
    def opened(self) -> bool:
        """Whether decorated functions are refused."""
        cls = type(self)
        if cls.state is not _STATE or cls.open_remaining is not _OPEN_REMAINING:
            return self.state is _OPEN
        return self._state is _OPEN and self._wait_left() > 0

    @property
    def closed(self) -> bool:
        """Whether closed is what is stored; so not in half-open."""
        return self._state is _CLOSED

    @property
    def open_until(self) -> datetime:
        """When the wait is over: UTC, without a time zone.

        Counted from the last opening, and before the first one from construction.
        """
        return self._opened + timedelta(seconds=self._recovery_timeout)

    @property
    def open_remaining(self) -> float:
        """Seconds of the wait, negative once it is over.

        By the time of day, unless that clock has been set back.
        """
        return round(self._wait_left(), 6)

    def _wait_left(self) -> float:
        timeout: float = self._recovery_timeout
        left = timeout - (datetime.now(UTC) - self._opened_at).total_seconds()
        steady = timeout - (monotonic() - self._ticks)
        return left if left - steady < _CLOCK_SKEW else steady

    @property
    def name(self) -> str:
        """The given name, or ""."""
        return self._name

    @property
    def fallback_function(self) -> Callable[..., Any] | None:
        """What is called instead of a rejected call, or None."""
        return self._fallback_function

    @property
    def _opened(self) -> datetime:
        return self._opened_at.replace(tzinfo=None)

    @_opened.setter
    def _opened(self, at: datetime) -> None:
        self._opened_at = at.replace(tzinfo=UTC)
        elapsed = datetime.now(UTC) - self._opened_at
        self._ticks = monotonic() - elapsed.total_seconds()

    def _start_wait(self) -> None:
        self._opened_at = datetime.now(UTC)
        self._ticks = monotonic()

    def _wait_began(self) -> float:
        return self._ticks

    def _facts(self) -> Facts:
        culprit = self._culprit or self._describe()
        left = self._wait_left()
        return self._name, self._state, left, self._failure_count, culprit


_CALL = CircuitBreaker.call
_EXIT = CircuitBreaker.__exit__
_STATE = CircuitBreaker.state
_OPEN_REMAINING = CircuitBreaker.open_remaining


@overload
def circuit(failure_threshold: FuncT) -> FuncT: ...


@overload
def circuit(
    failure_threshold: int | None = None,
    recovery_timeout: float | None = None,
    expected_exception: Expected | None = None,
    name: str = "",
    fallback_function: Callable[..., Any] | None = None,
    cls: type[CircuitBreaker] = CircuitBreaker,
    **options: bool,
) -> CircuitBreaker: ...


def circuit(  # noqa: PLR0917 - the original's
    failure_threshold: Any = None,
    recovery_timeout: float | None = None,
    expected_exception: Expected | None = None,
    name: str = "",
    fallback_function: Callable[..., Any] | None = None,
    cls: type[CircuitBreaker] = CircuitBreaker,
    **options: bool,
) -> Any:
    """Guard a coroutine function with a breaker of its own: `@circuit`, `@circuit(...)`.

    Takes what `CircuitBreaker` takes; `cls` makes the breaker. Returns the guarded
    function, or with arguments the breaker, which is the decorator.
    """
    if callable(failure_threshold):
        return cls().decorate(cast("Any", failure_threshold))
    return cls(
        failure_threshold=failure_threshold,
        recovery_timeout=recovery_timeout,
        expected_exception=expected_exception,
        name=name,
        fallback_function=fallback_function,
        **options,
    )
