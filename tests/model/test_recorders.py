"""The recorder against a ledger of everything, over random histories. Findings 13, 30."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from recloser._core.outcomes import Kind, Outcome
from recloser._core.trips import (
    ConsecutiveFailures,
    FailureRate,
    SlowCallRate,
    TripRule,
)
from recloser._core.windows import CountWindow, Evidence, TimeWindow, Window
from recloser._runtime.recorders import Recorder

from .ledger import Ledger

# Every length has buckets of a power of two, and time moves in eighths: all sums are
# exact, so a difference is a mistake and not a rounding.
windows: st.SearchStrategy[Window] = st.one_of(
    st.builds(CountWindow, st.sampled_from([1, 2, 3, 7, 20])),
    st.builds(TimeWindow, st.sampled_from([1.25, 2.5, 10, 40])),
)
limits = st.sampled_from([None, 1.0])
ages = st.sampled_from([None, 1.0, 5.0])
rules = st.one_of(
    st.builds(ConsecutiveFailures, st.integers(1, 5), slower_than=limits, within=ages),
    st.builds(FailureRate, st.just(0.5), window=windows, minimum_calls=st.just(1)),
    st.builds(
        SlowCallRate,
        st.just(0.5),
        slower_than=st.just(1.0),
        window=windows,
        minimum_calls=st.just(1),
    ),
)
trips = st.lists(rules, min_size=1, max_size=4).map(lambda some: reduce(or_, some))

GOOD = (Kind.SUCCESS, False)
BAD = (Kind.FAILURE, False)
endings = st.sampled_from(
    [
        GOOD,
        GOOD,
        BAD,
        (Kind.SUCCESS, True),
        (Kind.FAILURE, True),
        (Kind.NEUTRAL, True),
        (Kind.NEUTRAL, False),
    ]
)
eighths = st.integers(0, 24).map(lambda number: number / 8)
pauses = st.one_of(st.just(0.0), eighths, st.sampled_from([9.0, 10.0, 11.0, 1000.0]))


class Burst(NamedTuple):
    """Calls that end alike, a moment after the last ones, in short order."""

    pause: float
    ending: tuple[Kind, bool]
    times: int
    apart: float
    look: bool


bursts = st.builds(
    Burst,
    pauses,
    endings,
    st.integers(1, 6),
    st.sampled_from([0, 0.125]),
    st.booleans(),
)
histories = st.one_of(
    st.lists(st.one_of(bursts, trips), max_size=12),
    st.lists(bursts, min_size=20, max_size=40),
)


class Twin:
    """A recorder and a ledger that are told the same."""

    def __init__(self, trip: TripRule, now: float) -> None:
        self.now = now
        self.ledger = Ledger()
        self.opened: dict[Window, int] = {}
        self.slow_begun: int | None = None
        self.times: dict[bool, list[float]] = {False: [], True: []}
        self.spans = {False: 0, True: 0}
        self._follow(trip)
        self.recorder = Recorder(trip, 1, now)

    def reshape(self, trip: TripRule) -> None:
        """Follow another rule from now on; a window that stays keeps what it has."""
        self._follow(trip)
        self.recorder.reshape(trip, self.now)

    def _follow(self, trip: TripRule) -> None:
        present = len(self.ledger.ended)
        self.opened = {
            window: self.opened.get(window, present) for window in trip.windows
        }
        if not trip.watches_slow_streak:
            self.slow_begun = None
        elif self.slow_begun is None:
            self.slow_begun, self.times[True] = present, []
        for slow in (False, True):
            span = max((n for n, kind in trip.spans if kind is slow), default=0)
            kept = min(span, self.spans[slow])  # no more was asked for until now
            self.times[slow] = self.times[slow][-kept:] if kept else []
            self.spans[slow] = span

    def end(self, kind: Kind, *, slow: bool) -> Evidence | None:
        """End one call, in the way that the circuit does."""
        self.ledger.add(kind, self.now, slow=slow)
        if kind is Kind.FAILURE:
            self.times[False].append(self.now)
        if slow or kind is Kind.FAILURE:
            self.times[True].append(self.now)
            return self.recorder.record(Outcome(kind, slow), self.now)
        if kind is Kind.SUCCESS:
            if self.now >= self.recorder.deadline:
                self.recorder.turn(self.now)
            next(self.recorder.ok)
        return None

    def check(self, evidence: Evidence) -> None:
        """Compare all that rules may look at with the ledger."""
        streak, slow_streak = len(self.ledger.row()), 0
        if self.slow_begun is not None:
            slow_streak = len(self.ledger.row(self.slow_begun, slow=True))
        counts = {
            window: self.ledger.counts(window, self.now, begun)
            for window, begun in self.opened.items()
        }
        assert (evidence.streak, evidence.slow_streak) == (streak, slow_streak)
        assert evidence.counts == counts
        for (length, slow), began in evidence.since.items():
            if length <= (slow_streak if slow else streak):
                times = [float("-inf")] * length + self.times[slow]
                assert began == times[-length]
        assert self.recorder.totals() == self.ledger.totals()
        assert self.recorder.streak() == streak


@settings(max_examples=max(300, settings().max_examples))
@given(trips, st.integers(-80, 8000), histories)
@example(
    ConsecutiveFailures(3, within=5.0),
    0,
    [Burst(0.0, BAD, 2, 0.125, look=True), ConsecutiveFailures(3, within=5.0)],
)
def test_recorder_agrees_with_a_ledger_of_everything(
    trip: TripRule, start: int, history: list[Any]
) -> None:
    twin = Twin(trip, start / 8)

    for step in history:
        if not isinstance(step, Burst):
            twin.reshape(step)
            continue
        twin.now += step.pause
        for _ in range(step.times):
            evidence = twin.end(*step.ending[:1], slow=step.ending[1])
            if evidence is not None:
                twin.check(evidence)
            twin.now += step.apart
        if step.look:
            twin.check(twin.recorder.evidence(twin.now))

    twin.check(twin.recorder.evidence(twin.now))
    event(f"calls ended: {len(twin.ledger.ended) // 50 * 50}+")


@given(st.lists(st.sampled_from([GOOD, BAD]), max_size=60), st.integers(1, 20))
def test_no_count_window_is_too_small_for_the_log(
    endings_in_turn: list[tuple[Kind, bool]], repeats: int
) -> None:
    twin = Twin(FailureRate(0.5, window=CountWindow(1), minimum_calls=1), 0.0)

    for kind, slow in endings_in_turn * repeats:
        evidence = twin.end(kind, slow=slow)
        if evidence is not None:
            twin.check(evidence)

    twin.check(twin.recorder.evidence(0.0))
