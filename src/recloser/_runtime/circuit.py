"""The only lock: read phase, ask the rules, swap phase and ticket, publish unlocked.

Who writes what, under what, and what a reader can see:

- `current` is one tuple (phase, recorder), replaced in one store under `_lock`. Any
  thread may read it at any time without the lock and sees a phase with its recorder.
- `ticket` is a cell that compiled wrappers read once per call: the recorder, or None for
  "ask the circuit". It follows from `current` and is set after it, under the lock.
  Between the two stores a caller can see an old ticket: it then runs as a call of the
  old period, which is legal, and its outcome is late. If an interrupt tears the two
  apart, the next locked visit of any call sets the ticket right (`_sync`).
- Tallies are written under the lock, except `rejected`, stepped without it.
- The clock, the random number, classification, listeners and waking all run outside the
  lock; inside it there are only our own values. It is an `RLock`, because a signal
  handler or a finaliser can call the breaker in the middle of a locked section; the
  swap compares before it stores, so such a visitor's change is never overwritten.
- After `fork` the child gets a new lock, frees the places of threads that are gone, and
  sets its ticket from `current`.
"""

from __future__ import annotations

import threading
import weakref
from math import inf
from types import CellType

from .._core import rules
from .._core.events import CallEnded, difference
from .._core.hints import TYPE_CHECKING
from .._core.outcomes import Kind, Outcome
from .._core.phases import (
    Admission,
    Closed,
    Command,
    Disabled,
    HalfOpen,
    Link,
    Observing,
    Open,
    Phase,
    admitted_share,
)
from .._core.rules import Refused
from .._core.states import State
from .._core.windows import Counts, Evidence, TimeWindow
from . import forks, reentry
from .baselines import answered, updated, usual_of
from .counters import counter, steps_of
from .entries import INSIDE, Entry, Refusal
from .flights import Cohort, look
from .narration import ended, late, started
from .recorders import Recorder, is_new
from .rejecting import pass_by
from .senses import Senses
from .tallies import NO_COUNTS, NO_TALLY, counts_of, counts_of_probe, plus
from .waiting import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._core.events import Event
    from .._core.policy import Policy
    from .baselines import Baselines
    from .keys import Key
    from .recorders import Swapped, Tap
    from .scores import Readings, Usual
    from .tallies import Tally
    from .waiting import Clock

_NOTHING = Evidence()


class Circuit(Senses):
    """One breaker's phase, record and lock. Shared by threads and tasks at will."""

    __slots__ = (
        "__weakref__",
        "_links",
        "_lock",
        "_owners",
        "_queue",
        "_rejected_before",
        "_retired",
        "_tally",
        "_tap",
        "_usual",
        "blocks",
        "current",
        "level",
        "policy",
        "rejected",
        "slow_limit",
        "ticket",
    )

    def __init__(
        self,
        name: str,
        policy: Policy,
        clock: Clock,
        state: State,
        baseline: Baselines | None = None,
        *,
        chance: Callable[[], float] | None = None,
    ) -> None:
        """Begin in `state`, knowing what is usual if somebody says so."""
        super().__init__(name, clock, chance)
        self._lock = threading.RLock()
        self._retired = NO_COUNTS
        self._usual: Usual = usual_of(baseline, self.seen)
        self._tally = NO_TALLY
        self._owners: dict[int, int] | None = None
        self._links: dict[object, Link] | None = None
        self._tap: Tap | None = None
        self._queue: Queue | None = None
        self.rejected: Iterator[object] = counter()
        self._rejected_before = 0
        self.blocks: weakref.ref[Swapped] | None = None
        self.ticket: CellType = CellType(None)
        self.level: int = 0
        self._configure(policy)
        before = Closed(epoch=0, since=self.seen)
        self.current: tuple[Phase, Recorder | None] = (before, None)
        self._install(
            before, rules.enter(policy, before, state, self.seen, self.draw())
        )
        forks.watch(self)

    def _configure(self, policy: Policy) -> None:
        """Take a policy, and the template that its wrappers need.

        Level 0 reads no clock, 1 reads it after the call, 2 around it. A wrapper of a
        higher level serves a policy of a lower one; the other way it must ask.
        """
        self.policy: Policy = policy
        limit = policy.trip.slow_limit
        self.slow_limit: float = inf if limit is None else limit
        timed = any(isinstance(window, TimeWindow) for window in policy.trip.windows)
        level = 2 if limit is not None else int(timed)
        if level > self.level:
            self.ticket.cell_contents = None
            self.ticket = CellType(None)
            self.level = level

    # -- reading ---------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """The phase at this moment."""
        return self.current[0]

    @property
    def queue(self) -> Queue:
        """Callers that wait; made when the first one does."""
        queue = self._queue
        if queue is None:
            with self._lock:  # not `or`: an empty queue is false
                queue = self._queue = Queue() if (now := self._queue) is None else now
        return queue

    @property
    def demand(self) -> int:
        """Calls rejected since the circuit last opened."""
        return steps_of(self.rejected) - self._rejected_before

    def is_healthy(self) -> bool:
        """Tell whether the circuit is closed and the last call that counts was good."""
        phase, recorder = self.current
        return (
            isinstance(phase, Closed) and recorder is not None and not recorder.streak()
        )

    def is_waiting(self) -> bool:
        """Tell whether the circuit is open and nobody has ended its wait."""
        phase = self.current[0]
        return isinstance(phase, Open) and not phase.permitted

    def mishap(self, callback: str, error: Exception) -> None:
        """Report that a callback of the user's raised."""
        self.publisher.mishap(callback, error, self.current[0].epoch, self.seen)

    def read(
        self, now: float
    ) -> tuple[Phase, Evidence, Counts, Tally, Readings, Usual]:
        """Return everything at one moment, changing nothing."""
        with self._lock:
            phase, recorder = self.current
            evidence = recorder.evidence(now) if recorder else _NOTHING
            counts = plus(self._retired, counts_of(phase, recorder))
            usual = self._usual_after(phase, recorder, now)
            readings = recorder.readings(now) if recorder else ()
            return phase, evidence, counts, self._tally, readings, usual

    # -- admission -------------------------------------------------------------------

    def attempt(self, key: Key | None = None) -> Entry | Refusal:
        """Admit one call, or say why not; count nothing yet if it is refused."""
        now = self.now()
        phase, recorder = self.current
        if phase.state is State.HALF_OPEN and reentry.is_inside(self, phase, now):
            return Entry(None, Admission(phase.epoch, INSIDE), None)
        chance, demand = 0.0, 0
        shut = isinstance(phase, Open) and now < phase.until
        if recorder is None and not shut:
            chance, demand = self.draw(key), self.demand
        verdict = rules.admit(self.policy, phase, now, chance, demand)
        if isinstance(verdict, Refused):
            if verdict.phase is None:
                return Refusal(verdict, phase)
            return self._admit_probe(now, chance)
        if verdict.phase is not phase or recorder is None:
            return self._admit_probe(now, chance)
        if isinstance(ticket := recorder.ticket, Cohort) and now >= ticket.deadline:
            look(self, ticket, now)
            if self.current[1] is not recorder:  # too much is out for too long
                return self.attempt(key)
        if verdict.would_reject:
            pass_by(self, phase, now)
        elif self.ticket.cell_contents is not recorder.ticket:
            with self._lock:
                self._sync()
        return recorder.entry(self._start(now))

    def _admit_probe(self, now: float, chance: float) -> Entry | Refusal:
        with self._lock:
            while True:
                before = self.current[0]
                verdict = rules.admit(self.policy, before, now, chance, self.demand)
                after = verdict.phase or before
                events = self._install(before, after, now)
                if self.current[0] is after:
                    break
            recorder = self.current[1]
            place = None if isinstance(verdict, Refused) else verdict.admission.place
            if place is not None:
                self._owners = {**(self._owners or {}), place: threading.get_ident()}
        if isinstance(verdict, Refused):  # and yet the call may have ended a round
            self._publish(events)
            return Refusal(verdict, after)
        entry = Entry(recorder, verdict.admission, self._start(now))
        self._announce(entry, events, now)
        return entry

    def _announce(self, entry: Entry, events: tuple[Event, ...], now: float) -> None:
        """Tell listeners of a probe; if one interrupts, the place goes back."""
        try:
            self._publish((*events, *started(self.publisher, entry.admission, now)))
        except BaseException:
            self.settle(entry, Outcome(Kind.NEUTRAL), now)
            raise

    def _start(self, now: float) -> float | None:
        return now if self.slow_limit < inf else None

    def note(self, **amounts: int) -> None:
        """Count what is no outcome: calls that passed by, fallbacks."""
        with self._lock:
            self._add(**amounts)

    # -- outcomes --------------------------------------------------------------------

    def is_slow(self, started: float | None, now: float) -> bool:
        """Tell whether a call that began then is slow now."""
        return started is not None and now - started >= self.slow_limit

    def succeed(self, entry: Entry, now: float) -> None:
        """Count a success: one step of the counter, unless it was slow or a probe."""
        recorder, started = entry.recorder, entry.started
        slow, cohort = self.is_slow(started, now), entry.cohort
        if recorder is None or slow or entry.counted or (cohort and cohort.owed):
            self.settle(entry, Outcome(Kind.SUCCESS, slow), now)
            return
        if now >= recorder.deadline:
            self.turn(recorder)
        next(recorder.ok if cohort is None else cohort.ok)

    def turn(self, recorder: Recorder) -> None:
        """Move a recorder's time windows on to the present."""
        now = self.now()
        with self._lock:
            recorder.turn(now)

    def settle(self, entry: Entry, outcome: Outcome, now: float) -> None:
        """Count how an admitted call ended, and swap the phase if a rule says so."""
        if entry.admission.place == INSIDE:
            return
        chance = self.draw()
        with self._lock:
            events = self._settle(entry, outcome, entry.land(), now, chance)
        self._publish(events)

    def _settle(
        self,
        entry: Entry,
        outcome: Outcome,
        hung: bool,  # noqa: FBT001 - whether it was counted while it was out
        now: float,
        chance: float,
    ) -> tuple[Event, ...]:
        before, current = self.current
        admission = rules.counting(before, entry.admission)
        recorder = entry.recorder if admission is entry.admission else current
        if admission.epoch != before.epoch or recorder is not current:
            return self._late(before, admission, outcome, now)
        if isinstance(before, Disabled):
            return ()
        evidence = self._count(recorder, outcome, now, hung)
        judged = outcome.counted() if hung else outcome
        events = self.judge(admission, judged, evidence, now, chance)
        if events is None:
            return self._late(self.current[0], admission, outcome, now)
        if admission.place is not None and self._owners:
            self._owners.pop(admission.place, None)
        if self.publisher.listeners:
            told = ended(self.publisher, before.epoch, admission, outcome, now)
            return (*told, *events)
        return events

    def judge(
        self,
        admission: Admission,
        outcome: Outcome,
        evidence: Evidence,
        now: float,
        chance: float,
    ) -> tuple[Event, ...] | None:
        """Swap the phase if a rule says so, under the lock; None if its period is over."""
        while admission.epoch == (before := self.current[0]).epoch:
            after = rules.settle(
                self.policy, before, admission, outcome, evidence, now, chance
            )
            events = self._install(before, after, now)
            if self.current[0] is after:
                return events
        return None

    def _count(
        self,
        recorder: Recorder | None,
        outcome: Outcome,
        now: float,
        hung: bool,  # noqa: FBT001 - as in `_settle`
    ) -> Evidence:
        """Record an outcome once, and return what the rules may look at."""
        kind, slow = outcome.kind, outcome.slow
        if kind is Kind.NEUTRAL:
            self._add(neutral=1, cancelled=int(outcome.cancelled))
            if hung or not slow:
                return _NOTHING
        if recorder is not None:
            return recorder.record(outcome, now, int(hung))
        self._retired = plus(self._retired, counts_of_probe(outcome))
        return _NOTHING

    def _late(
        self, phase: Phase, admission: Admission, outcome: Outcome, now: float
    ) -> tuple[Event, ...]:
        self._add(late=1)
        self._sync()
        return late(self.publisher, phase.epoch, admission, outcome, now)

    # -- operators, links, settings --------------------------------------------------

    def command(self, command: Command) -> None:
        """Do what an operator asks for."""

        def override(phase: Phase, now: float, chance: float) -> Phase:
            return rules.override(self.policy, phase, command, now, chance)

        self._move(override)

    def enter(self, state: State) -> None:
        """Begin a fresh period of any state."""

        def enter(phase: Phase, now: float, chance: float) -> Phase:
            return rules.enter(self.policy, phase, state, now, chance)

        self._move(enter)

    def reconfigure(self, change: Callable[[Policy], Policy]) -> None:
        """Swap the policy; state stays, and evidence of windows that stay."""
        now = self.now()
        with self._lock:
            policy = change(self.policy)
            self._configure(policy)
            phase, recorder = self.current
            if recorder is not None:
                self._usual = self._usual_after(phase, recorder, now)
                recorder.reshape(policy.trip, now, policy.settle, self._usual)
                recorder.begin(self.clock, self.level, self._tap, now)
            self._sync()
        if self._queue:
            self._queue.wake(policy.probe_concurrency)

    def listen(self, tap: Tap) -> None:
        """Have every success pass through a listener's iterator if one wants it now."""
        with self._lock:  # asked in here: the last to come sees every change before it
            self._tap = tap if self.publisher.wants(CallEnded) else None
            phase, recorder = self.current
            if recorder is not None and not isinstance(phase, Disabled):
                recorder.listen(self._tap)

    def watch_swaps(self, blocks: Swapped) -> None:
        """Tell `blocks` of the ticket, now and at each swap, under the lock."""
        with self._lock:
            self.blocks = weakref.ref(blocks)
            self._sync()

    def _move(self, rule: Callable[[Phase, float, float], Phase]) -> None:
        now, chance = self.now(), self.draw()
        with self._lock:
            events = self._swap(lambda phase: rule(phase, now, chance), now)
        self._publish(events)

    def _swap(self, rule: Callable[[Phase], Phase], now: float) -> tuple[Event, ...]:
        """Apply a rule until the phase it was applied to is still there to be swapped."""
        while True:
            before = self.current[0]
            after = rule(before)
            events = self._install(before, after, now)
            if self.current[0] is after:
                return events

    # -- the swap --------------------------------------------------------------------

    def _install(
        self, before: Phase, after: Phase, now: float = 0.0
    ) -> tuple[Event, ...]:
        """Swap in `after` if the phase is still `before`; return what to publish."""
        phase, recorder = self.current
        if phase is not before or after is before:
            return ()
        following = self._recorder_of(before, after, recorder)
        # Made first, since only the comparison may precede the store. "Ask" is right in
        # every phase, should the rest be torn off.
        current = (after, following)
        self._admit_by(None)
        if self.current[0] is not before:
            self._sync()
            return ()
        self.current = current
        if recorder is not None and following is not recorder:
            self._retired = plus(self._retired, counts_of(before, recorder))
            self._usual = self._usual_after(before, recorder, self.seen)
            recorder.flights = None  # its cohorts know it: no cycle is left behind
        if isinstance(after, Open) and after.epoch != before.epoch:
            self._rejected_before = steps_of(self.rejected)
        self._tally = self._tally.moved(before, after, now)
        self._sync()
        self._wake(before, after)
        return difference(self.name, before, after, now)

    def _recorder_of(
        self, before: Phase, after: Phase, recorder: Recorder | None
    ) -> Recorder | None:
        if not is_new(before, after, recorder):
            return (
                recorder if isinstance(after, Closed | Disabled | Observing) else None
            )
        policy, now = self.policy, self.seen
        usual = self._usual_after(before, recorder, now)
        if before.state is State.HALF_OPEN:
            usual = answered(usual)
        recorder = Recorder(policy.trip, after.epoch, now, policy.settle, usual)
        tap = None if isinstance(after, Disabled) else self._tap
        recorder.begin(self.clock, self.level, tap, now)
        return recorder

    def _usual_after(
        self, phase: Phase, recorder: Recorder | None, now: float
    ) -> Usual:
        """Return what is usual at the end of a period; a disabled one teaches nothing."""
        if recorder is None or isinstance(phase, Disabled):
            return self._usual
        return updated(self._usual, recorder.usual(now))

    def _sync(self) -> None:
        """Set the ticket that follows from the phase; the last step of every swap."""
        current: object = None
        while self.current is not current:  # unless a visitor swapped in between
            current = phase, recorder = self.current
            until = phase.until if isinstance(phase, Observing) else None
            shadow = until is not None and until > self.seen
            self._admit_by(None if shadow or recorder is None else recorder.ticket)

    def _admit_by(self, ticket: Recorder | Cohort | None) -> None:
        """Give wrappers and blocks a ticket, or have them ask."""
        self.ticket.cell_contents = ticket
        blocks = self.blocks and self.blocks()
        if blocks:
            blocks.swap(ticket)

    def _wake(self, before: Phase, after: Phase) -> None:
        """Wake as many waiters as there are places now (they only ask again)."""
        if self._queue and admitted_share(after) > admitted_share(before):
            self._queue.wake(None)
        elif self._queue and isinstance(before, HalfOpen):
            self._queue.wake(self.policy.probe_concurrency)

    def _add(self, **amounts: int) -> None:
        self._tally = self._tally.raised(**amounts)

    def _publish(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self.publisher.publish(event)

    # -- fork ------------------------------------------------------------------------

    def after_fork(self) -> None:
        """In a child: a new lock, and the places of threads that are gone are free."""
        self._lock = threading.RLock()
        self._queue = None
        phase, recorder = self.current
        if recorder is not None and recorder.flights is not None:
            recorder.flights.forget()
        if isinstance(phase, HalfOpen):
            self.current = (forks.surviving(phase, self._owners or {}), None)
        self._sync()
