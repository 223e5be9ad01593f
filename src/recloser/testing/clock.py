"""A clock that moves only when told to."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

from .._core import ranges

if TYPE_CHECKING:
    from collections.abc import Callable


@final
class FakeClock:
    """A clock for tests: `CircuitBreaker("payments", clock=clock)`.

    Callers that wait for a permit are woken when the clock is moved to their time. Safe
    for threads; they all see one time.

    Args:
        start: The first reading, in seconds. Default 0.
    """

    def __init__(self, start: float = 0.0) -> None:
        """Stand at `start`."""
        self._now = ranges.number("start", start)
        self._lock = threading.Lock()
        self._alarms: dict[int, tuple[float, Callable[[], None]]] = {}
        self._number = 0

    def __call__(self) -> float:
        """Return the time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on, and call whatever is due by then, in order of its time.

        Args:
            seconds: At least 0; a clock does not go back.

        Raises:
            ValueError: It is negative; the clock stays.
        """
        step = ranges.at_least("seconds", seconds, 0)
        with self._lock:
            self._now += step
            due = {
                n: alarm for n, alarm in self._alarms.items() if alarm[0] <= self._now
            }
            for number in due:
                del self._alarms[number]
        for _, callback in sorted(due.values(), key=lambda alarm: alarm[0]):
            callback()

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the clock reaches `when`; return how to cancel that.

        This is how the library waits on a clock that does not run by itself.
        """
        with self._lock:
            self._number += 1
            number = self._number
            self._alarms[number] = (when, callback)
        return lambda: self._cancel(number)

    @property
    def sleepers(self) -> int:
        """How many callers wait for this clock: what a test waits for before it advances."""
        return len(self._alarms)

    def _cancel(self, number: int) -> None:
        with self._lock:
            self._alarms.pop(number, None)

    def __repr__(self) -> str:
        """Show the time."""
        return f"FakeClock({self._now:g})"
