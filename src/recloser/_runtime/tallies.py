"""What a breaker adds up over all its periods."""

from __future__ import annotations

from .._core.hints import TYPE_CHECKING, NamedTuple
from .._core.outcomes import Kind
from .._core.phases import (
    Closed,
    Disabled,
    HalfOpen,
    Observing,
    Open,
    Shedding,
)
from .._core.states import State
from .._core.windows import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._core.outcomes import Outcome
    from .._core.phases import Phase
    from .recorders import Recorder

NO_COUNTS = Counts()


class History(NamedTuple):
    """Which states came after which, and how long they lasted."""

    transitions: Mapping[tuple[State, State], int] = {}
    """How often one state followed another, as (before, after)."""
    seconds: Mapping[State, float] = {}
    """What was spent in each state, in seconds of the breaker's clock."""

    def moved(self, before: Phase, after: Phase, now: float) -> History:
        """Return the history with one change of state more."""
        if before.state is after.state is State.HALF_OPEN:  # a step of a ramp
            return self._replace(seconds=self.spent(before, now))
        pair = (before.state, after.state)
        times = self.transitions.get(pair, 0) + 1
        return History({**self.transitions, pair: times}, self.spent(before, now))

    def spent(self, phase: Phase, now: float) -> Mapping[State, float]:
        """Return the seconds with those of a period that is over now."""
        spent = self.seconds.get(phase.state, 0.0) + max(0.0, now - phase.since)
        return {**self.seconds, phase.state: spent}


class Tally(NamedTuple):
    """What happened since the breaker was made, beside what recorders count."""

    neutral: int = 0
    cancelled: int = 0
    late: int = 0
    lost: int = 0
    trips: int = 0
    would_trip: int = 0
    would_reject: int = 0
    fallbacks: int = 0
    history: History = History()

    def raised(self, **amounts: int) -> Tally:
        """Return the tally with some of its numbers raised."""
        return self._replace(
            **{name: getattr(self, name) + n for name, n in amounts.items()}
        )

    def moved(self, before: Phase, after: Phase, now: float) -> Tally:
        """Return the tally after a swap of phases."""
        tally = self.raised(**amounts_of(before, after))
        if before.epoch in {0, after.epoch}:  # 0 is before the first
            return tally
        return tally._replace(history=self.history.moved(before, after, now))


NO_TALLY = Tally()


def amounts_of(before: Phase, after: Phase) -> dict[str, int]:
    """Return what a swap of phases adds to the tally."""
    if isinstance(after, HalfOpen) and isinstance(before, HalfOpen):
        return {"lost": max(0, after.lost - before.lost)}
    if isinstance(after, Open) and not isinstance(before, Open):
        return {"trips": 1}
    if isinstance(after, Shedding) and isinstance(before, Closed):
        return {"trips": 1}
    if isinstance(after, Observing) and isinstance(before, Observing):
        return {"would_trip": after.trips - before.trips}
    return {}


def counts_of(phase: Phase, recorder: Recorder | None) -> Counts:
    """Return what a period adds to the totals; a disabled one counts nothing."""
    if recorder is None or isinstance(phase, Disabled):
        return NO_COUNTS
    return recorder.totals()


def counts_of_probe(outcome: Outcome) -> Counts:
    """Return what one probe adds to the totals: no recorder counts it."""
    settled, slow = int(outcome.kind is not Kind.NEUTRAL), int(outcome.slow)
    failed = int(outcome.kind is Kind.FAILURE)
    return Counts(settled, failed, slow, settled or slow)


def plus(left: Counts, right: Counts) -> Counts:
    """Add two sets of counts."""
    return Counts(*(one + other for one, other in zip(left, right, strict=True)))
