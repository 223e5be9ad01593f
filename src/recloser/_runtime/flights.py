"""Calls in flight: those that are out for longer than the slow limit count as slow.

Only where a rule asks for slow calls, and only calls of functions and streams: a permit
that is lost, or a block that ends in another context, would look like one that hangs.
A call that never returns would otherwise say
nothing until its own timeout; here it is counted when a later call enters.

Calls are kept in cohorts: all that entered within a quarter of the limit, as one pair of
counters. A cohort is the ticket of its calls, so a call needs no more to find it again.
When a call enters after the end of the present cohort, it opens the next one, and looks at
those that ended a limit ago: what is still out of them is older than the limit. So a call
that hangs counts when the first one enters after it has been out for 1 to 1.25 limits.

Who writes what, under what:

- `entries` is stepped by every call that enters, without a lock. One C operation reads the
  clock and counts the call: with the GIL a `starmap` of the clock over a `repeat`, without
  it a `compress` of the clock's readings by an `itertools.count`, whose step is atomic.
- `ok` is stepped by every fast success, without a lock. It is a count of the cohort's own,
  and the recorder's successes are the sum over its cohorts, so nothing is counted twice.
- `moved` is stepped, without a lock, by every call that entered too late and goes to ask:
  a herd that comes after a pause must not wait for the lock as calls that seem to hang.
- `left` (ended in any other way) and `owed` (counted while they were out, and not back
  yet) are written under the circuit's lock. In flight are entered less `ok`, `moved` and
  `left`.
- `began`, `until` and `deadline` are written under the lock and read without it. A call
  that enters before `began` (the clock went back) or after `deadline` asks. So a slow call
  began at `began` or later, ends at `began` plus the limit or later, and that is after
  `deadline`: one comparison finds it, and whoever sees an old `deadline` only asks.

A call is counted once. If it was counted while it was out, its return takes one off `owed`
and says only how it ended. A cohort is used again only when nobody of it is out, read in
the order that cannot err (ends first, then entries), so whoever reads a cohort's `owed`
means its own. A thread that was held up between its last look at the clock and
its step for as long as the limit is out for that long, by all that anyone can know. It
counts as slow, and as the success that it then is (`back`).
A call that entered too late, and was held up before it could step `moved` while another
thread made a whole look, is taken for one that hangs, too. A look reads twice, so that
this takes a switch of threads within those few bytecodes.
An interrupt (Ctrl-C) in the few bytecodes between the count of an entry and the `try` that
follows leaves a call that seems to be out for ever: it counts as one slow call, once.
Cohorts with calls out are kept, so memory grows with the calls that hang, not with traffic.
"""

from __future__ import annotations

import sys
from itertools import compress, count, repeat, starmap
from math import inf

from .._core.hints import TYPE_CHECKING
from .._core.outcomes import Kind, Outcome
from .counters import HAS_GIL, counter, steps_of
from .entries import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._core.events import Event
    from .circuit import Circuit
    from .recorders import Recorder, Tap

_PARTS = 4  # cohorts in a limit: a hung call counts after 1 to 1.25 limits
_AT_ONCE = 1000  # calls counted at one look; the next looks take the rest
_HUNG = Outcome(Kind.NEUTRAL, slow=True)
_NEVER = object()


class Cohort:
    """Calls that entered within a short time of each other: the ticket of timed calls."""

    __slots__ = (
        "_entered",
        "began",
        "counter",
        "deadline",
        "entries",
        "left",
        "moved",
        "ok",
        "owed",
        "recorder",
        "until",
    )

    def __init__(self, recorder: Recorder, clock: Callable[[], float]) -> None:
        """Begin with nobody."""
        self.recorder: Recorder = recorder
        self.counter: Iterator[object] = counter()
        self.ok: Iterator[object] = self.counter
        self.moved: Iterator[object] = counter()
        self.left: int = 0
        self.owed: int = 0
        self.began: float = -inf
        self.until: float = inf
        self.deadline: float = inf
        self.entries: Iterator[float]
        if HAS_GIL:
            calls = repeat((), sys.maxsize)
            self._entered: Iterator[object] = calls
            self.entries = starmap(clock, calls)
        else:
            numbers = count(1)
            self._entered = numbers
            self.entries = compress(iter(clock, _NEVER), numbers)

    def enter(self) -> None:
        """Count one call that enters by another way than `entries`."""
        next(self._entered)

    def land(self) -> bool:
        """Count one call that ended; tell whether it was counted while it was out."""
        self.left += 1
        if not self.owed:
            return False
        self.owed -= 1
        return True

    def out(self) -> int:
        """Return how many calls are out, or fewer while one of them is ending."""
        entered = self.entered()
        return entered - self._ended()

    def entered(self) -> int:
        """Return how many calls ever entered."""
        return steps_of(self._entered) - (not HAS_GIL)  # that one begins at 1

    def at_most(self) -> int:
        """Return how many calls are out, or more while one of them is ending."""
        ended = self._ended()
        return self.entered() - ended

    def _ended(self) -> int:
        return steps_of(self.counter) + steps_of(self.moved) + self.left

    def entry(self, started: float | None) -> Entry:
        """Return the entry of a call that entered here."""
        recorder = self.recorder
        return Entry(recorder, recorder.admission, started, self)


class Flights:
    """The cohorts of one recorder. Everything here happens under the circuit's lock."""

    __slots__ = ("_clock", "_cohorts", "_limit", "_recorder", "_tap", "present")

    def __init__(
        self, recorder: Recorder, clock: Callable[[], float], now: float
    ) -> None:
        """Open the first cohort."""
        self._recorder = recorder
        self._clock = clock
        self._tap: Tap | None = None
        self._cohorts: list[Cohort] = []
        self._limit = recorder.limit
        self.present: Cohort = self._open(now)
        self.meet(now)

    def fast(self) -> int:
        """Return the fast successes of all cohorts."""
        return sum(steps_of(cohort.counter) for cohort in self._cohorts)

    def listen(self, tap: Tap | None) -> None:
        """Have every success pass through a listener's iterator, or no longer."""
        self._tap = tap
        for cohort in self._cohorts:
            cohort.ok = tap(cohort.counter) if tap else cohort.counter

    def refit(self, now: float) -> None:
        """Take another limit: what entered before has to ask when it ends."""
        self._limit = self._recorder.limit
        for cohort in self._cohorts:
            cohort.until = min(cohort.until, now)
            cohort.deadline = -inf
        self.present = self._open(now)
        self.meet(now)

    def overdue(self, now: float) -> int:
        """Move on to the present; return how many calls are out for too long."""
        suspects = [
            (cohort, cohort.out())
            for cohort in self._cohorts
            if cohort.until + self._limit <= now
        ]
        if now >= self.present.until:
            self.present = self._open(now)
        found = 0
        for cohort, out in suspects:
            if cohort.until <= now:  # it was not opened again
                due = min(out, cohort.out()) - cohort.owed
                due = min(due, _AT_ONCE - found)
                if due > 0:
                    cohort.owed += due
                    found += due
        self.meet(now)
        return found

    def meet(self, now: float) -> None:
        """Set when the next call that enters or ends has to look again."""
        due = (cohort.until + self._limit for cohort in self._cohorts)
        self.present.deadline = min(
            self.present.until,
            self._recorder.deadline,
            min((when for when in due if when > now), default=inf),
        )

    def _open(self, now: float) -> Cohort:
        cohort = next(filter(self._is_over, self._cohorts), None)
        if cohort is None:
            cohort = Cohort(self._recorder, self._clock)
            if self._tap:
                cohort.ok = self._tap(cohort.counter)
            self._cohorts.append(cohort)
        cohort.began = now
        cohort.until = now + self._limit / _PARTS
        return cohort

    def _is_over(self, cohort: Cohort) -> bool:
        return not cohort.owed and not cohort.at_most()

    def back(self) -> int:
        """Return how many counted calls came back by a step of `ok`, each once."""
        found = 0
        for cohort in self._cohorts:
            if cohort.owed:
                back = max(0, cohort.owed - cohort.at_most())
                cohort.owed -= back
                found += back
        return found

    def forget(self) -> None:
        """In a forked child: the calls of other threads will not come back."""
        for cohort in self._cohorts:
            cohort.left += cohort.out()
            cohort.owed = 0


def renewed(circuit: Circuit, cohort: Cohort, started: float) -> Cohort | None:
    """Return the present cohort for a call that entered an old one, or None to ask.

    What is out for too long is counted first, so this call may be the first to be
    rejected.
    """
    next(cohort.moved)  # before the look, for it is not out there
    look(circuit, cohort, started)
    with circuit._lock:  # pyright: ignore[reportPrivateUsage] - a part of the circuit
        present = circuit.ticket.cell_contents
        if not isinstance(present, Cohort):
            return None
        present.enter()
        return present


def watched(entry: Entry) -> Entry:
    """Return the entry of a call whose time in flight is looked at from now on."""
    recorder = entry.recorder
    flights = None if recorder is None else recorder.flights
    if flights is None or entry.started is None:
        return entry
    cohort = flights.present
    cohort.enter()
    return cohort.entry(entry.started)


def arrived(circuit: Circuit, entry: Entry) -> Entry:
    """Return the entry of a call that is not to be looked at any more."""
    if entry.cohort is None:
        return entry
    with circuit._lock:  # pyright: ignore[reportPrivateUsage] - a part of the circuit
        counted = entry.land()
    return Entry(entry.recorder, entry.admission, entry.started, None, counted)


def look(circuit: Circuit, cohort: Cohort, started: float) -> None:
    """Move on to the present, and count what is out for too long as slow."""
    now, chance = circuit.now(), circuit.draw()
    events: list[Event] = []
    with circuit._lock:  # pyright: ignore[reportPrivateUsage] - a part of the circuit
        recorder = cohort.recorder
        flights = recorder.flights
        if circuit.current[1] is recorder and flights is not None:
            recorder.turn(now)
            for _ in range(flights.overdue(now)):
                if circuit.current[1] is recorder:
                    evidence = recorder.record(_HUNG, now)
                    told = circuit.judge(
                        recorder.admission, _HUNG, evidence, now, chance
                    )
                    events.extend(told or ())
            if started < cohort.began:  # the clock went back: whoever ends has to ask
                flights.present.deadline = -inf
        circuit._sync()  # pyright: ignore[reportPrivateUsage] - a part of the circuit
    for event in events:
        circuit.publisher.publish(event)
