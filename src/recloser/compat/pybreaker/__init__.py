"""pybreaker's names on a small machine of this facade's own (`compat/_machine.py`).

    from recloser.compat import pybreaker

One call at a time it does what pybreaker 1.4.1 does; pybreaker need not be installed.
What gets better by the switch:

1. Calls run side by side: the lock is for the books, never held while yours runs.
   `serialize_calls=True` brings the lock around the call back.
2. Half-open lets one trial through at a time, and a trial that hangs or is dropped
   frees its place. Results that come too late no longer open or close the circuit.
3. A decorated `async def` or async generator function is guarded; the original lets it
   through uncounted. `call_async` works without Tornado, and calls once, not twice.

Every difference is listed in docs/migrating/pybreaker.md.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from importlib.util import find_spec
from inspect import isasyncgenfunction, iscoroutinefunction
from types import GeneratorType
from typing import Any, NoReturn, TypeVar, cast, overload

from ... import State
from .._settings import Exclusion
from ._calls import Calls
from ._errors import STILL_OPEN, TRIAL_FAILED, TRIPPED, CircuitBreakerError
from ._listener import CircuitBreakerListener
from ._redis import CircuitRedisStorage
from ._states import (
    STATE_CLOSED,
    STATE_HALF_OPEN,
    STATE_OPEN,
    CircuitBreakerState,
    CircuitClosedState,
    CircuitHalfOpenState,
    CircuitOpenState,
)
from ._storage import CircuitBreakerStorage, CircuitMemoryStorage

__all__ = (
    "STATE_CLOSED",
    "STATE_HALF_OPEN",
    "STATE_OPEN",
    "CircuitBreaker",
    "CircuitBreakerError",
    "CircuitBreakerListener",
    "CircuitMemoryStorage",
    "CircuitRedisStorage",
)

HAS_REDIS_SUPPORT = find_spec("redis") is not None
HAS_TORNADO_SUPPORT = find_spec("tornado") is not None

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class CircuitBreaker(Calls):
    """A circuit breaker with pybreaker's interface. Share it between threads and tasks.

    Use it as a decorator, with `call`, or with `calling`. Settings may be changed at
    any time and act at their next use; none is checked before.
    """

    _closed = STATE_CLOSED
    _open = STATE_OPEN
    _half_open = STATE_HALF_OPEN
    _tripped_message = TRIPPED
    _trial_failed_message = TRIAL_FAILED

    def __init__(  # noqa: PLR0917  the original's positions
        self,
        fail_max: int = 5,
        reset_timeout: float = 60,
        success_threshold: int = 1,
        exclude: Iterable[Exclusion] | None = None,
        listeners: Iterable[CircuitBreakerListener] | None = None,
        state_storage: CircuitBreakerStorage | None = None,
        name: str | None = None,
        throw_new_error_on_trip: bool = True,  # noqa: FBT001, FBT002  the original's
        *,
        serialize_calls: bool = False,
        trial_lease: float = 30.0,
    ) -> None:
        """Take the storage's state; tell nobody.

        Args:
            fail_max: Failures in a row that open the circuit. Default 5; 0 acts like 1.
            reset_timeout: Seconds from opening until a trial. Default 60.
            success_threshold: Trials in a row that must succeed to close. Default 1.
            exclude: Exception classes, and predicates that get the exception, that
                count as a success.
            listeners: Who is told; see `CircuitBreakerListener`.
            state_storage: Where the state is kept. Default: in memory, closed.
            name: For people and errors.
            throw_new_error_on_trip: Whether the call that opens the circuit raises
                `CircuitBreakerError` (default) or its own error.
            serialize_calls: Hold the breaker's lock around each plain call, so that
                threads call one after another, as the original does. Not for
                generators and coroutines. An attribute, too. Default off.
            trial_lease: Seconds after which a half-open trial that has not ended gives
                its place to another call, > 0. An attribute, too. Default 30.

        Raises:
            ValueError: The storage is in a state there is no such thing as.
        """
        if state_storage is None:
            state_storage = CircuitMemoryStorage(STATE_CLOSED)
        self._reset_timeout = reset_timeout
        self._wait: tuple[float, timedelta] | None = None  # making one is slow
        self._success_threshold = success_threshold
        self._name = name
        self._throw_new_error_on_trip = throw_new_error_on_trip
        self.serialize_calls = serialize_calls
        super().__init__(state_storage, fail_max, exclude, listeners, trial_lease)

    @property
    def reset_timeout(self) -> float:
        """Seconds from opening until a trial."""
        return self._reset_timeout

    @reset_timeout.setter
    def reset_timeout(self, timeout: float) -> None:
        self._reset_timeout = timeout

    @property
    def success_threshold(self) -> int:
        """Trials in a row that must succeed to close; 0 acts like 1."""
        return self._success_threshold

    @success_threshold.setter
    def success_threshold(self, threshold: int) -> None:
        self._success_threshold = threshold

    @property
    def success_counter(self) -> int:
        """Trials in a row that succeeded, as the storage has it."""
        return self._state_storage.success_counter

    @property
    def name(self) -> str | None:
        """What the breaker is called, or None."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name

    def open(self) -> bool:
        """Reject calls from now on; the timeout starts afresh.

        Returns:
            The value of `throw_new_error_on_trip`.
        """
        with self._lock:
            self._state_storage.opened_at = datetime.now(UTC)
            self._move(STATE_OPEN)
            return self._throw_new_error_on_trip

    def close(self) -> None:
        """Let calls through; start both counts afresh."""
        with self._lock:
            self._state_storage.reset_success_counter()
            super().close()

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `func` and count how it ends. Any exception is a failure, unless excluded.

        A generator it returns is guarded, and counted when it ends. A coroutine is not:
        decorate the function, or use `call_async`.

        Raises:
            CircuitBreakerError: The call was rejected, or it opened the circuit; then
                `__context__` is its own error.
        """
        lock = self._lock if self.serialize_calls else None
        if lock:
            lock.acquire()
        try:
            permit = self._admit(func, args, kwargs)
            try:
                result: Any = func(*args, **kwargs)
            except BaseException as error:
                self._failed(permit, error)
                raise
            if isinstance(result, GeneratorType):
                generator = cast("Generator[Any, Any, Any]", result)
                result = self._guarded_generator(permit, generator)
            else:
                self._succeeded(permit)
            returned: T = result
            return returned
        finally:
            if lock:
                lock.release()

    @contextmanager
    def calling(self) -> Generator[None, None, None]:
        """Guard the block: `with breaker.calling(): ...`."""

        def _wrapper() -> Generator[None, None, None]:
            yield

        yield from self.call(_wrapper)

    @overload
    def __call__(self, func: F, /, **options: bool) -> F: ...
    @overload
    def __call__(self, **options: bool) -> Callable[[F], F]: ...
    def __call__(  # type: ignore[misc]  # mypy: no `/` beside `**` in *call_args
        self, *call_args: Any, **call_kwargs: Any
    ) -> Any:
        """Guard a function: `@breaker` or `@breaker()`. Keeps its name and signature.

        Coroutine functions stay coroutine functions and are counted when they end; there
        a cancelled call is no evidence. `__pybreaker_call_async=True` guards through
        `call_async` instead, and wants Tornado installed, as the original does.
        """
        call_async = call_kwargs.pop("__pybreaker_call_async", False)
        if call_async and not HAS_TORNADO_SUPPORT:
            msg = "No module named tornado"
            raise ImportError(msg)

        def guard(func: Any) -> Any:
            return self._guarded(func, call_async=call_async)

        return guard(*call_args) if call_args else guard

    def _guarded(
        self, func: Callable[..., Any], *, call_async: bool
    ) -> Callable[..., Any]:
        if call_async:

            @wraps(func)
            def asynchronous(*args: Any, **kwargs: Any) -> Any:
                return self.call_async(func, *args, **kwargs)

            return asynchronous
        if iscoroutinefunction(func):
            return self._guarded_coroutine_function(func)
        if isasyncgenfunction(func):
            return self._guarded_async_generator_function(func)

        @wraps(func)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return self.call(func, *args, **kwargs)

        return guarded

    def _create_new_state(
        self,
        new_state: str,
        prev_state: CircuitBreakerState | None = None,
        notify: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> CircuitBreakerState:
        classes: dict[str, Callable[..., CircuitBreakerState]] = {
            STATE_CLOSED: CircuitClosedState,
            STATE_OPEN: CircuitOpenState,
            STATE_HALF_OPEN: CircuitHalfOpenState,
        }
        try:
            state_class = classes[new_state]
        except KeyError as unknown:
            msg = (
                f"Unknown state {new_state!r}, valid states:"
                f" {STATE_CLOSED}, {STATE_OPEN}, {STATE_HALF_OPEN}"
            )
            raise ValueError(msg) from unknown
        if notify and new_state == STATE_CLOSED:
            self._state_storage.reset_counter()
        elif notify:
            self._state_storage.reset_success_counter()
        return state_class(self, prev_state=prev_state, notify=notify)

    def _leave_open(self) -> None:
        if self._wait is None or self._wait[0] != self._reset_timeout:
            seconds = self._reset_timeout
            self._wait = (seconds, timedelta(seconds=seconds))
        opened_at = self._state_storage.opened_at
        if opened_at:
            ends_at = opened_at + self._wait[1]
            now = datetime.now(UTC)
            if now < ends_at:
                raise self._error(STILL_OPEN, ends_at - now)
        self.half_open()

    def _reject_trial(self) -> CircuitBreakerError:
        left = self._place.seconds_left()
        return self._error(STILL_OPEN, left, State.HALF_OPEN)

    def _trial_succeeded(self) -> None:
        self._state_storage.increment_success_counter()
        if self._state_storage.success_counter >= self._success_threshold:
            self.close()

    def _raise_tripped(
        self,
        error: BaseException,
        opened: Any,
        message: str,
    ) -> NoReturn:
        if opened:
            raise self._error(message, self._reset_timeout)
        raise error

    def _error(
        self, message: str, left: float | timedelta, state: State = State.OPEN
    ) -> CircuitBreakerError:
        error = CircuitBreakerError(message)
        error.facts = (self._name, state, left, self._reason, self._last_failure)
        return error
