"""What is known: one closed period as a success counter and a log of failures.

Who writes what, under what, and what a reader can see:

- `ok` is stepped by every success with `next(recorder.ok)`, without a lock. It is one C
  operation on an exact built-in iterator: with the GIL nothing can run in its middle;
  without the GIL `itertools.count` steps by compare-and-swap (`repeat` does not, and
  loses counts, so it serves only with the GIL). Nothing else is written on success.
- `deadline` and `ok` are replaced only under the circuit's lock. A success that reads
  one just before it changes is counted by the object it read; its bucket is off by at
  most the time between its clock read and its step.
- Everything else is written and read under the circuit's lock, by `record`, `turn`,
  `reshape` and `evidence`. They read the counter without changing it. A success that
  slips in between a failure's record and its evidence gives the state of the serial
  order "success, then failure", so each outcome counts once and every trip has a
  valid order.
- A period's end is the end of its recorder: a call that outlives the period steps a
  counter that nobody reads again, and its failure is told by identity.

Everything is derived from monotone totals. A streak is failures with an unchanged count
of successes between them; a count window of N is the failures whose sequence number is
within N of the newest; a time window is the totals now less the totals when its first
bucket began. So nothing is moved or zeroed, and no cost grows with a window: reading a
count window is one binary search, a time window the removal of buckets that are over.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from math import inf

from .._core.hints import TYPE_CHECKING
from .._core.outcomes import Kind
from .._core.phases import Admission, Closed, Disabled, Observing
from .._core.windows import Counts, CountWindow, Evidence, TimeWindow, Window
from .baselines import NOTHING_USUAL
from .counters import counter, steps_of
from .entries import Entry
from .flights import Flights
from .scores import Scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._core.hints import Protocol
    from .._core.outcomes import Outcome
    from .._core.phases import Phase
    from .._core.trips import TripRule
    from .flights import Cohort
    from .scores import Readings, Usual

    Tap = Callable[[Iterator[object]], Iterator[object]]

    class Swapped(Protocol):
        """What holds callables that step the recorder of the moment."""

        def swap(self, recorder: Recorder | Cohort | None) -> None:
            """Take the next one; None for "ask the circuit"."""


_NO_TOTALS = Counts()
_NO_NUMBERS = array("q")


class Streak:
    """Failures in a row: as many as came with the same number of successes before."""

    __slots__ = ("_before", "_length", "_times")

    def __init__(self, span: int) -> None:
        """Remember the times of the last `span` failures; 0 for none."""
        self._before = 0
        self._length = 0
        self._times: deque[float] | None = deque(maxlen=span) if span else None

    def add(self, successes: int, now: float) -> None:
        """Count one failure that came after so many successes."""
        if successes != self._before:
            self._before = successes
            self._length = 0
        self._length += 1
        if self._times is not None:
            self._times.append(now)

    def fitted(self, span: int) -> Streak:
        """Return the same streak with room for the times of `span` failures."""
        if span == (self._times.maxlen if self._times is not None else 0):
            return self
        other = Streak(span)
        other._before, other._length = self._before, self._length
        if other._times is not None:
            other._times.extend(self._times or ())
        return other

    def length(self, successes: int) -> int:
        """Return the length of the streak, if it is not over."""
        return self._length if successes == self._before else 0

    def began(self, length: int) -> float:
        """Return when the `length`-th last failure came, or never if there were fewer."""
        times = self._times
        return times[-length] if times and len(times) >= length else -inf


class CountTally:
    """A count window: sequence numbers of failures and of slow calls."""

    __slots__ = ("_failures", "_slow", "_start", "window")

    def __init__(self, window: CountWindow, start: Counts) -> None:
        """Begin empty at the totals `start`."""
        self.window = window
        self._start = start
        self._failures = self._slow = _NO_NUMBERS

    def add(self, totals: Counts, *, failed: bool, slow: bool) -> None:
        """Note the call that brought the totals to this."""
        if failed:
            self._failures = self._appended(self._failures, totals.calls)
        if slow:
            self._slow = self._appended(self._slow, totals.slow_calls)

    def _appended(self, numbers: array[int], newest: int) -> array[int]:
        if not numbers:
            return array("q", (newest,))
        numbers.append(newest)
        size = self.window.size
        if len(numbers) > 2 * size:  # one memory move for each `size` failures
            del numbers[: bisect_right(numbers, newest - size)]
        return numbers

    def counts(self, totals: Counts) -> Counts:
        """Return what is inside the window now."""
        calls, failures = self._inside(self._failures, totals.calls, self._start.calls)
        timed, slow = self._inside(
            self._slow, totals.slow_calls, self._start.slow_calls
        )
        return Counts(calls, failures, slow, timed)

    def _inside(self, numbers: array[int], newest: int, start: int) -> tuple[int, int]:
        edge = max(newest - self.window.size, start)
        return newest - edge, len(numbers) - bisect_right(numbers, edge)


class TimeTally:
    """A time window: the totals at the start of each bucket in which calls ended."""

    __slots__ = ("_marks", "window")

    def __init__(self, window: TimeWindow, totals: Counts, now: float) -> None:
        """Begin empty at `totals`."""
        self.window = window
        self._marks: list[tuple[int, Counts]] = []
        self.turn(totals, now)

    def add(self, totals: Counts, *, failed: bool, slow: bool) -> None:
        """Note nothing: the totals say it all."""

    def turn(self, totals: Counts, now: float) -> float:
        """Move on to the bucket of `now`; return when it will be over."""
        marks, window = self._marks, self.window
        bucket = window.bucket(now)
        if not marks or marks[-1][0] < bucket:
            marks.append((bucket, totals))
        first = marks[-1][0] - window.BUCKETS + 1
        while marks[0][0] < first:
            del marks[0]  # one of at most `BUCKETS` + 1
        return (marks[-1][0] + 1) * window.width

    def counts(self, totals: Counts) -> Counts:
        """Return what ended since the first bucket inside the window began."""
        return totals.minus(self._marks[0][1])


class Recorder:
    """One closed period. It is the ticket of the calls that it admits."""

    __slots__ = (
        "_failures",
        "_scores",
        "_slow",
        "_slow_cancelled",
        "_slow_good",
        "_slow_streak",
        "_spans",
        "_streak",
        "_tallies",
        "admission",
        "counter",
        "deadline",
        "flights",
        "limit",
        "ok",
    )

    def __init__(
        self,
        trip: TripRule,
        epoch: int,
        now: float,
        settle: float = 0.0,
        usual: Usual = NOTHING_USUAL,
    ) -> None:
        """Begin with no evidence, in the shape that the rule needs.

        Args:
            trip: The rule.
            epoch: Which period this is.
            now: When it begins.
            settle: Seconds of trouble that open nothing, where a budget does not say.
            usual: What earlier periods have learned.
        """
        self.admission: Admission = Admission(epoch)
        self.counter: Iterator[object] = counter()
        self.ok: Iterator[object] = self.counter
        """Stepped by each fast success: the counter, or a listener's tap on it."""
        self.limit: float = inf
        """Seconds from which a call is slow, for wrappers that time it."""
        self.deadline: float = inf
        """When a success must call `turn` before it counts: the end of a bucket."""
        self.flights: Flights | None = None
        """The calls in flight, where a wrapper or a rule may ask for them."""
        self._failures = self._slow = self._slow_good = self._slow_cancelled = 0
        self._tallies: tuple[CountTally | TimeTally, ...] = ()
        self._scores: Scores | None = None
        self.reshape(trip, now, settle, usual)

    def reshape(
        self,
        trip: TripRule,
        now: float,
        settle: float = 0.0,
        usual: Usual = NOTHING_USUAL,
    ) -> None:
        """Fit another rule; keep the evidence of windows and budgets that stay."""
        totals = self.totals()
        kept = {tally.window: tally for tally in self._tallies}
        self._tallies = tuple(
            kept.get(window) or _tally(window, totals, now) for window in trip.windows
        )
        self._spans = trip.spans
        self._streak = self._fitted(getattr(self, "_streak", None), slow=False)
        slow_streak = getattr(self, "_slow_streak", None)
        self._slow_streak = (
            self._fitted(slow_streak, slow=True) if trip.watches_slow_streak else None
        )
        self._scores = self._refitted(trip, settle, usual, totals, now)
        limit, limit_before = trip.slow_limit, self.limit
        self.limit = inf if limit is None else limit
        self.turn(now)
        if self.flights is not None and limit_before != self.limit:
            self.flights.refit(now)

    def _refitted(
        self,
        trip: TripRule,
        settle: float,
        usual: Usual,
        totals: Counts,
        now: float,
    ) -> Scores | None:
        if not trip.budgets:
            return None
        good, before = _good(totals), self._scores
        if before is None:
            return Scores(trip.budgets, settle, usual, good, now)
        return before.fitted(trip.budgets, settle, good, now)

    def _fitted(self, before: Streak | None, *, slow: bool) -> Streak:
        span = max((length for length, kind in self._spans if kind is slow), default=0)
        return Streak(span) if before is None else before.fitted(span)

    def totals(self) -> Counts:
        """Return everything of this period: a reading of the counter and the log."""
        return self._totals(self._fast())

    def _fast(self) -> int:
        """Return the successes that were not slow."""
        flights, fast = self.flights, steps_of(self.counter)
        return fast if flights is None else fast + flights.fast()

    @property
    def ticket(self) -> Recorder | Cohort:
        """What a call needs that is admitted now."""
        flights = self.flights
        return self if flights is None else flights.present

    def begin(
        self, clock: Callable[[], float], level: int, tap: Tap | None, now: float
    ) -> None:
        """Have successes heard, and calls in flight looked at where wrappers can."""
        if level > 1 and self.flights is None:
            self.flights = Flights(self, clock, now)
        self.listen(tap)

    def entry(self, started: float | None) -> Entry:
        """Return the entry of a call that was admitted by this period."""
        return Entry(self, self.admission, started)

    def listen(self, tap: Tap | None) -> None:
        """Have every success pass through a listener's iterator, or no longer."""
        self.ok = tap(self.counter) if tap else self.counter
        if self.flights is not None:
            self.flights.listen(tap)

    def _totals(self, fast: int) -> Counts:
        calls = fast + self._slow_good + self._failures
        return Counts(calls, self._failures, self._slow, calls + self._slow_cancelled)

    def turn(self, now: float) -> None:
        """Move every time window on to the bucket of `now`."""
        if self.flights is not None:
            self._slow_cancelled -= self.flights.back()
        tallies = self._tallies  # once: a signal handler may reshape in between
        if not tallies:
            self.deadline = inf
            return
        totals = self.totals()
        ends = (
            tally.turn(totals, now) for tally in tallies if isinstance(tally, TimeTally)
        )
        self.deadline = min(ends, default=inf)
        if self.flights is not None:
            self.flights.meet(now)

    def record(self, outcome: Outcome, now: float, hung: int = 0) -> Evidence:
        """Count a call that failed or was slow; return the evidence with it.

        Args:
            outcome: How it ended, or a slow neutral one while it is still out.
            now: When.
            hung: 1 if the call was counted as slow while it was out: then only how it
                ended is new.
        """
        if now >= self.deadline:
            self.turn(now)
        kind, slow = outcome.kind, outcome.slow
        failed = kind is Kind.FAILURE
        if kind is Kind.SUCCESS and not slow and not hung:
            next(self.counter)
        fast = self._fast()
        if slow or hung:
            self._slow += not hung
            self._slow_cancelled += (kind is Kind.NEUTRAL) - hung
            self._slow_good += kind is Kind.SUCCESS
        if failed:
            self._failures += 1
            self._streak.add(fast + self._slow_good, now)
        if self._slow_streak is not None and not hung:
            self._slow_streak.add(fast, now)
        slow = slow and not hung
        tallies, scores = self._tallies, self._scores
        if not tallies and scores is None:
            return self._read(fast, _NO_TOTALS)
        totals = self._totals(fast)
        for tally in tallies:
            tally.add(totals, failed=failed, slow=slow)
        if scores is not None:
            scores.add(_good(totals), now, failed=failed, slow=slow)
        return self._read(fast, totals)

    def streak(self) -> int:
        """Return the failures since the last success."""
        return self._streak.length(self._fast() + self._slow_good)

    def evidence(self, now: float) -> Evidence:
        """Return all that rules may look at, read once."""
        self.turn(now)
        fast = self._fast()
        return self._read(fast, self._totals(fast))

    def _read(self, fast: int, totals: Counts) -> Evidence:
        streak = self._streak.length(fast + self._slow_good)
        slow_streak = self._slow_streak
        slow = slow_streak.length(fast) if slow_streak is not None else 0
        tallies, scores = self._tallies, self._scores
        if not tallies and not self._spans:
            if scores is None:
                return Evidence(streak, slow)
            return Evidence(streak, slow, scores=scores.read(_good(totals)))
        counts: dict[Window, Counts] = {
            tally.window: tally.counts(totals) for tally in tallies
        }
        kept = {} if scores is None else scores.read(_good(totals))
        return Evidence(streak, slow, counts, self._began(), kept)

    def usual(self, now: float) -> Usual:
        """Return what the period has learned by now, to be given to the next."""
        scores = self._scores
        return (
            NOTHING_USUAL if scores is None else scores.usual(_good(self.totals()), now)
        )

    def readings(self, now: float) -> Readings:
        """Return the scores as people read them."""
        scores = self._scores
        return () if scores is None else scores.readings(_good(self.totals()), now)

    def _began(self) -> dict[tuple[int, bool], float]:
        return {
            (length, slow): (
                self._slow_streak or self._streak if slow else self._streak
            ).began(length)
            for length, slow in self._spans
        }


def is_new(before: Phase, after: Phase, recorder: Recorder | None) -> bool:
    """Tell whether a phase that admits calls needs a recorder of its own."""
    if not isinstance(after, Closed | Disabled | Observing):
        return False
    if recorder is None or after.epoch != before.epoch:
        return True
    return isinstance(after, Observing) and after.trips != getattr(before, "trips", 0)


def _good(totals: Counts) -> tuple[int, int]:
    """Return how many calls did not fail, and how many were not slow."""
    return totals.calls - totals.failures, totals.slow_calls - totals.slow


def _tally(window: Window, totals: Counts, now: float) -> CountTally | TimeTally:
    if isinstance(window, TimeWindow):
        return TimeTally(window, totals, now)
    return CountTally(window, totals)
