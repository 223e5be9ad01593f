"""The one place for a trial call of a half-open circuit, for the facades that need it.

The originals let every caller of a half-open circuit through. Here one call at a time
holds the place. It is given back when the call ends, when its object is collected (a
generator nobody ever ran), or when its lease is over (a call that hangs). Whatever runs
inside the trial, that is in its context, belongs to it and is let through: a guarded
function that calls another one of the same breaker must not be refused by itself.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable


class Trial:
    """A call let through in half-open, and the stay in half-open it belongs to."""

    __slots__ = ("__weakref__", "ends_at", "period")

    def __init__(self, period: object, ends_at: float) -> None:
        """Belong to `period`; keep the place until `ends_at`, on the place's clock."""
        self.period = period
        self.ends_at = ends_at


_entered: ContextVar[tuple[ref[Trial], ...]] = ContextVar("trials", default=())


class TrialPlace:
    """Who holds the place. Not locked: its owner calls it under its own lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start free. `clock` gives seconds and never goes back."""
        self._clock = clock
        self._holder: ref[Trial] | None = None

    def take(
        self, period: object, lease: float, now: float | None = None
    ) -> Trial | None:
        """Return a trial for this call, or None if another call holds the place.

        Args:
            period: The stay in half-open the trial belongs to.
            lease: Seconds until the place is given to another call, > 0.
            now: The time, where the clock must not be asked under the owner's lock.
        """
        now = self._clock() if now is None else now
        holder = self._held_by(now)
        if holder is None:
            trial = Trial(period, now + lease)
            self._holder = ref(trial)
            _entered.set((*_around(), self._holder))
            return trial
        if any(entered() is holder for entered in _around()):
            return Trial(period, holder.ends_at)
        return None

    def seconds_left(self, now: float | None = None) -> float:
        """Return the seconds until the place is free at the latest; 0 if it is."""
        now = self._clock() if now is None else now
        holder = self._held_by(now)
        return 0.0 if holder is None else holder.ends_at - now

    def free(self, trial: Trial) -> None:
        """Give the place back, if `trial` holds it."""
        if self._holder is not None and self._holder() is trial:
            self._holder = None

    def clear(self) -> None:
        """Make the place free, whoever holds it."""
        self._holder = None

    def _held_by(self, now: float) -> Trial | None:
        holder = None if self._holder is None else self._holder()
        return None if holder is None or holder.ends_at <= now else holder


def _around() -> list[ref[Trial]]:
    """Return the trials this context runs inside of; those that ended are forgotten."""
    return [entered for entered in _entered.get() if entered() is not None]
