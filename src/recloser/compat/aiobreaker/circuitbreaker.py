"""The breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from datetime import UTC, datetime, timedelta
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction
from math import inf
from types import GeneratorType
from typing import Any, NoReturn, TypeVar, cast, overload

from ... import State
from .._async_calls import AsyncCalls
from .._settings import Exclusion
from .._trial import Trial
from .listener import CircuitBreakerListener
from .state import CircuitBreakerBaseState, CircuitBreakerError, CircuitBreakerState
from .storage.base import CircuitBreakerStorage
from .storage.memory import CircuitMemoryStorage

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class CircuitBreaker(
    AsyncCalls[
        CircuitBreakerState,
        CircuitBreakerBaseState,
        CircuitBreakerStorage,
        CircuitBreakerListener,
    ]
):
    """A circuit breaker with aiobreaker's interface. Share it between tasks and threads.

    Use it as a decorator, or with `call` and `call_async`. Settings may be changed at
    any time and act at their next use; none is checked before.
    """

    _closed = CircuitBreakerState.CLOSED
    _open = CircuitBreakerState.OPEN
    _half_open = CircuitBreakerState.HALF_OPEN
    _tripped_message = "Failures threshold reached, circuit breaker opened."
    _trial_failed_message = "Trial call failed, circuit breaker opened."

    def __init__(  # noqa: PLR0917  the original's positions
        self,
        fail_max: int = 5,
        timeout_duration: timedelta | None = None,
        exclude: Iterable[Exclusion] | None = None,
        listeners: Iterable[CircuitBreakerListener] | None = None,
        state_storage: CircuitBreakerStorage | None = None,
        name: str | None = None,
        *,
        bound_trials: bool = True,
        trial_lease: float = 30.0,
    ) -> None:
        """Take the storage's state; tell nobody.

        Args:
            fail_max: Failures in a row that open the circuit. Default 5; 0 acts like 1.
            timeout_duration: Time from opening until a trial. Default 60 s, also for 0.
            exclude: Exception classes, and predicates that get the exception, that
                count as a success.
            listeners: Who is told; see `CircuitBreakerListener`.
            state_storage: Where the state is kept. Default: in memory, closed.
            name: For people and errors.
            bound_trials: Let one trial through at a time in half-open (default), or
                all calls, as the original does. An attribute, too.
            trial_lease: Seconds after which a trial that has not ended gives its place
                to another call, > 0. An attribute, too. Default 30.

        Raises:
            AttributeError: The storage's state is no member of `CircuitBreakerState`.
        """
        if state_storage is None:
            state_storage = CircuitMemoryStorage(CircuitBreakerState.CLOSED)
        self._timeout_duration = timeout_duration or timedelta(seconds=60)
        self._name = name
        self._wait: tuple[datetime, timedelta, datetime, datetime] | None = None
        self.bound_trials = bound_trials
        super().__init__(state_storage, fail_max, exclude, listeners, trial_lease)

    @property
    def timeout_duration(self) -> timedelta:
        """Time from opening until a trial."""
        return self._timeout_duration

    @timeout_duration.setter
    def timeout_duration(self, timeout: timedelta) -> None:
        self._timeout_duration = timeout

    @property
    def name(self) -> str | None:
        """What the breaker is called, or None."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name

    @property
    def opens_at(self) -> datetime | None:
        """When a trial may start, as a naive UTC time; None once past, or never opened.

        It stays when the circuit is closed before that.
        """
        return self._opens_after(_utc_now())

    @property
    def time_until_open(self) -> timedelta | None:
        """Time until `opens_at`, or None."""
        now = _utc_now()
        opens_at = self._opens_after(now)
        return None if opens_at is None else opens_at - now

    async def sleep_until_open(self) -> None:
        """Sleep until a trial may start; not at all if there is nothing to wait for."""
        remaining = self.time_until_open
        if remaining is not None:
            await asyncio.sleep(remaining.total_seconds())

    def _opens_after(self, now: datetime) -> datetime | None:
        opened_at = self._state_storage.opened_at
        if opened_at is None:
            return None
        opens_at = _naive(opened_at) + self._timeout_duration
        return None if opens_at < now else opens_at

    def open(self) -> None:
        """Reject calls from now on; the timeout starts afresh."""
        with self._lock:
            self._state_storage.opened_at = _utc_now()
            self._move(CircuitBreakerState.OPEN)

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `func` and count how it ends. An `Exception` is a failure, unless excluded.

        Other exceptions are no evidence. A generator it returns is guarded, and counted
        when it ends. A coroutine is not: use `call_async`. A function that this breaker
        or another one guards already is called straight, so as to be counted once.

        Raises:
            CircuitBreakerError: The call was rejected, or it opened the circuit.
        """
        if getattr(func, "_ignore_on_call", False):
            return func(*args, **kwargs)
        permit = self._admit(func, args, kwargs)
        try:
            result: Any = func(*args, **kwargs)
        except Exception as error:
            self._failed(permit, error)
            raise
        except BaseException:
            self._released(permit)
            raise
        if isinstance(result, GeneratorType):
            generator = cast("Generator[Any, Any, Any]", result)
            result = self._guarded_generator(permit, generator)
        else:
            self._succeeded(permit)
        returned: T = result
        return returned

    async def call_async(
        self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Await what `func` returns and count how it ends, as `call` does.

        A cancelled call is no evidence.
        """
        if getattr(func, "_ignore_on_call", False):
            return await func(*args, **kwargs)
        permit = self._admit(func, args, kwargs)
        try:  # as `_settled`, without another coroutine on every call
            result = await func(*args, **kwargs)
        except Exception as error:
            self._failed(permit, error)
            raise
        except BaseException:
            self._released(permit)
            raise
        self._succeeded(permit)
        return result

    def _guarded_generator(
        self, permit: object, inner: Generator[Any, Any, Any]
    ) -> Generator[Any, Any, None]:
        """Run `inner`; count it when it ends.

        An error thrown in is counted and raised; `inner` never sees it. Leaving half-way
        is no evidence.
        """
        try:
            given = yield next(inner)
            while True:
                given = yield inner.send(given)
        except StopIteration:
            self._succeeded(permit)
        except Exception as error:
            self._failed(permit, error)
            raise
        except BaseException:
            self._released(permit)
            raise

    @overload
    def __call__(self, func: F, /, *, ignore_on_call: bool = True) -> F: ...
    @overload
    def __call__(self, *, ignore_on_call: bool = True) -> Callable[[F], F]: ...
    def __call__(self, *call_args: Any, ignore_on_call: bool = True) -> Any:
        """Guard a function: `@breaker` or `@breaker()`. Keeps its name and signature.

        Coroutine functions stay coroutine functions. Directly it takes functions only;
        `breaker()(anything_callable)` takes the rest.

        Args:
            call_args: The function.
            ignore_on_call: Whether `call` and `call_async` then call the guarded
                function straight, so that it is counted once. Default yes.

        Raises:
            TypeError: Something else than one function was given.
        """

        def guard(func: Any) -> Any:
            guarded = self._guarded(func)
            guarded._ignore_on_call = ignore_on_call  # noqa: SLF001  of its own making
            return guarded

        if not call_args:
            return guard
        if len(call_args) == 1 and isfunction(call_args[0]):
            return guard(call_args[0])
        msg = "Decorator does not accept positional arguments."
        raise TypeError(msg)

    def _guarded(self, func: Callable[..., Any]) -> Any:
        if iscoroutinefunction(func):

            @wraps(func)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                return await self.call_async(func, *args, **kwargs)

            return awaited
        if isasyncgenfunction(func):
            return self._guarded_async_generator_function(func)

        @wraps(func)
        def called(*args: Any, **kwargs: Any) -> Any:
            return self.call(func, *args, **kwargs)

        return called

    def _create_new_state(
        self,
        new_state: CircuitBreakerState,
        prev_state: CircuitBreakerBaseState | None = None,
        notify: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> CircuitBreakerBaseState:
        state_class: Callable[..., CircuitBreakerBaseState] = new_state.value
        if notify and new_state is CircuitBreakerState.CLOSED:
            self._state_storage.reset_counter()
        return state_class(self, prev_state=prev_state, notify=notify)

    def _leave_open(self) -> None:
        opened_at, timeout = self._state_storage.opened_at, self._timeout_duration
        if opened_at:
            wait = self._wait
            if wait is None or opened_at is not wait[0] or timeout is not wait[1]:
                reopen_time = _naive(opened_at) + timeout
                ends_at = reopen_time.replace(tzinfo=UTC)
                wait = self._wait = opened_at, timeout, reopen_time, ends_at
            left = wait[3] - datetime.now(UTC)
            if left > _NOTHING:
                raise self._error(_STILL_OPEN, wait[2], left)
        self.half_open()

    def _trial(self) -> Trial:
        if self.bound_trials:
            return super()._trial()
        return Trial(self._period, inf)

    def _reject_trial(self) -> CircuitBreakerError:
        left = timedelta(seconds=self._place.seconds_left())
        return self._error(_STILL_OPEN, _utc_now() + left, left, State.HALF_OPEN)

    def _trial_succeeded(self) -> None:
        self.close()

    def _raise_tripped(
        self,
        error: BaseException,
        opened: Any,  # noqa: ARG002  open() returns nothing here
        message: str,
    ) -> NoReturn:
        raise self._error(message, self.opens_at, self._timeout_duration) from error

    def _error(
        self,
        message: str,
        reopen_time: datetime | None,
        left: timedelta,
        state: State = State.OPEN,
    ) -> CircuitBreakerError:
        error = CircuitBreakerError(message, reopen_time)
        error.facts = (self._name, state, left, self._reason, self._last_failure)
        return error


_STILL_OPEN = "Timeout not elapsed yet, circuit breaker still open"
_NOTHING = timedelta()


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _naive(time: datetime) -> datetime:
    """Return a time from a storage as naive UTC; a naive one is that already."""
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)
