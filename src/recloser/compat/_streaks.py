"""The machine of circuitbreaker and of its asyncio twin: failures in a row.

It is not the core's: an opening is stored, half-open is only how it reads once its time
is over, blocks are counted but never refused, and any success closes. What it adds:

1. A period lasts from one stored change of state to the next. A result counts in the
   period its call began in; later it changes nothing.
2. The books change under a lock, held for a few assignments and never while code of
   the user runs: not the call, not a predicate, not a finaliser of a dropped error.
3. Three switches, off because the originals do otherwise: see `Streaks`.

Counting stands where the call is made, several times over: a context manager of our own
around it would cost more than the originals do.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from ._rejections import NO_FACTS, Facts, RejectionError, described
from ._trial import TrialPlace

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from .. import FailureInfo

if sys.version_info >= (3, 14):
    from inspect import iscoroutinefunction
else:
    from asyncio import iscoroutinefunction

# One lock for all breakers: breakers stay copyable, and a fork has one lock to renew.
# Re-entrant, because signal handlers and finalisers run in the middle of anything.
# Taken with acquire and release: `with` on a lock costs twice as much.
_books = threading.RLock()


def _renew_lock() -> None:
    global _books  # noqa: PLW0603 - a child process cannot release its parent's lock
    _books = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def is_coroutine_function(function: object) -> bool:
    """Tell whether calling `function` gives a coroutine, as the originals see it."""
    # asyncio's test knows objects marked the old way; it goes away after 3.13
    return iscoroutinefunction(function)  # pyright: ignore[reportDeprecated]


class Streaks:
    """Counts and state of one breaker. Shared by threads and by tasks.

    Attributes:
        late_results: Let a result count although the state changed while its call ran,
            as the original does. Default False.
        single_probe: In half-open, let one call through at a time and reject the
            others; the original lets all through. Default False.
        probe_lease: With `single_probe`: seconds until a probe that has not come back
            loses its place to another call, > 0. Default 30.
        neutral_cancellation: Leave the books alone when a call ends by what is no
            `Exception` (cancellation, Ctrl-C) and is not expected either; the original
            takes it for a success. Default False.
    """

    late_results: bool = False
    single_probe: bool = False
    probe_lease: float = 30.0
    neutral_cancellation: bool = False

    _closed_state: ClassVar[Any]  # a string in one library, a member in the other
    _open_state: ClassVar[Any]

    _failure_threshold: Any
    _place: TrialPlace | None = None
    _culprit: FailureInfo | None = None

    def __init__(
        self, *, late_results: bool, single_probe: bool, neutral_cancellation: bool
    ) -> None:
        """Start closed. An option that is off leaves the class attribute in force."""
        self._last_failure: BaseException | None = None
        self._failure_count = 0
        self._state = self._closed_state
        self._period = 0
        if late_results:
            self.late_results = True
        if single_probe:
            self.single_probe = True
        if neutral_cancellation:
            self.neutral_cancellation = True

    def _start_wait(self) -> None:
        """Store that the circuit opens now. Runs locked."""
        raise NotImplementedError

    def _wait_began(self) -> float:
        """Return when the circuit opened, in seconds of the monotonic clock."""
        raise NotImplementedError

    def _facts(self) -> Facts:
        """Return what a rejection says."""
        raise NotImplementedError

    def _succeed(self) -> None:
        """Record a success of this period."""
        raise NotImplementedError

    def __enter__(self) -> None:
        """Begin a block. It is counted and never refused."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Literal[False]:
        """Count the block in the period it ends in. Its error goes on."""
        if exc_type is None:
            self._succeed()
        else:
            self._raised(self._period, exc_type, exc_value)
        return False

    @property
    def failure_count(self) -> int:
        """Failures in a row."""
        return self._failure_count

    @property
    def last_failure(self) -> BaseException | None:
        """The last failure of the row, or None."""
        return self._last_failure

    def _raised(
        self, period: int, kind: type[BaseException], error: BaseException | None
    ) -> None:
        """Count a call of `period` that raised, by whether that is a failure."""
        raise NotImplementedError

    def _clear(self) -> None:
        books = _books
        books.acquire()
        try:
            dropped = self._last_failure  # finalised after the lock
            self._last_failure = None
            self._failure_count = 0
            if self._state != self._closed_state:
                self._become(self._closed_state)
        finally:
            books.release()
        del dropped

    def _fail(self, period: int, error: BaseException | None) -> None:
        """Count a failure of a call of `period`."""
        books = _books
        books.acquire()
        try:
            dropped = self._last_failure  # finalised after the lock
            if period == self._period or self.late_results:
                self._last_failure = error
                self._failure_count = count = self._failure_count + 1
                if count >= self._failure_threshold:
                    self._become(self._open_state)
                    self._start_wait()
        finally:
            books.release()
        del dropped

    def _pass(self, period: int, error: BaseException | None) -> None:
        """Count a call of `period` that raised what is no failure."""
        if self.neutral_cancellation and not isinstance(error, Exception):
            return
        if period == self._period or self.late_results:
            self._succeed()

    def _become(self, state: Any) -> None:
        self._state = state
        self._period += 1
        self._culprit = None
        if self._place is not None:
            self._place.clear()

    @contextmanager
    def _probe(self) -> Generator[bool]:
        """Hold the place of the one probe; False if another call has it."""
        if self._state == self._closed_state:
            yield True
            return
        with _books:
            place = self._place = self._place or TrialPlace()
            trial = place.take(self._period, self.probe_lease)
        try:
            yield trial is not None
        finally:
            if trial is not None:
                with _books:
                    place.free(trial)

    def _probe_left(self) -> float:
        with _books:
            return 0.0 if self._place is None else self._place.seconds_left()

    def _describe(self) -> FailureInfo | None:
        """Describe the failure that opened the circuit, once for all rejections."""
        error = self._last_failure
        if error is not None:
            self._culprit = described(error, self._wait_began())
        return self._culprit


class StreakError(RejectionError):
    """A call was rejected.

    The text is made when it is printed and shows the breaker as it is then, like the
    original's. `state`, `retry_after`, `reason` and `last_failure` are of the rejection.
    """

    __slots__ = ("_circuit_breaker",)

    _circuit_breaker: Any

    def __init__(self, circuit_breaker: Any, *args: object) -> None:
        """Keep the breaker, and what it says now. `args` are the error's own."""
        self.args = args
        self._circuit_breaker = circuit_breaker
        try:
            self._facts = circuit_breaker._facts()  # noqa: SLF001 - its own machine
        except AttributeError:  # somebody's stand-in for a breaker
            self._facts = NO_FACTS

    def __str__(self) -> str:
        """Say which circuit is open, until when, and why."""
        breaker = self._circuit_breaker
        if isinstance(breaker, _Absent):
            return breaker.text
        return (
            f'Circuit "{breaker.name}" OPEN until {breaker.open_until} '
            f"({breaker.failure_count} failures, "
            f"{round(breaker.open_remaining)} sec remaining) "
            f"(last_failure: {breaker.last_failure!r})"
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the facts and the text as it is now; the breaker stays behind."""
        return type(self), (_Absent(str(self), self._facts), *self.args), vars(self)


class _Absent(NamedTuple):
    """Stands for the breaker in an error that came out of a pickle."""

    text: str
    facts: Facts

    def _facts(self) -> Facts:
        return self.facts
