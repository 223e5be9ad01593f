"""What a breaker must do, said naively: lists of everything, and no cleverness.

It is written from the design alone and shares with the breaker nothing but names of
states. It is fast enough for a few hundred calls, and forgets nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from recloser._core.outcomes import Kind
from recloser._core.phases import Origin, Word
from recloser._core.states import State
from recloser._core.windows import Counts, Window

from .ledger import Ledger

FAILED, GOOD, NEUTRAL = Kind.FAILURE, Kind.SUCCESS, Kind.NEUTRAL
SHUT: Final = [State.DISABLED, State.CLOSED, State.OPEN, State.FORCED_OPEN]
LONGEST_HINT: Final = 300.0


class Row(NamedTuple):
    """Trip on so many failures in a row."""

    failures: int
    within: float | None = None
    slow_too: bool = False

    def holds(self, ledger: Ledger, now: float) -> bool:
        """Look at the end of the ledger; a slow call may have woken the rule."""
        last = ledger.ended[-1]
        if last.kind is not FAILED and not (self.slow_too and last.slow):
            return False
        row = ledger.row(slow=self.slow_too)
        if len(row) < self.failures:
            return False
        return self.within is None or now - row[-self.failures].at <= self.within


class Share(NamedTuple):
    """Trip when a share of the calls in a window failed, or was slow."""

    rate: float
    window: Window
    minimum: int
    slow: bool = False

    def holds(self, ledger: Ledger, now: float) -> bool:
        """Count the window anew."""
        last = ledger.ended[-1]
        if not (last.slow if self.slow else last.kind is FAILED):
            return False
        counts = ledger.counts(self.window, now)
        part = counts.slow if self.slow else counts.failures
        whole = counts.slow_calls if self.slow else counts.calls
        return whole >= self.minimum and part / whole >= self.rate


class Plan(NamedTuple):
    """The settings, as plain numbers. Any of the rules trips."""

    rules: tuple[Row | Share, ...]
    slower_than: float | None
    wait: float
    factor: float
    longest: float
    fade: float | None
    probes: int
    concurrency: int
    lease: float

    def wait_after(self, trips: int) -> float:
        """Return how long the circuit stays open."""
        wait = self.wait
        for _ in range(trips - 1):
            wait = min(wait * self.factor, self.longest)
        return wait


class Flight:
    """One call that is out, and whether that was too long already."""

    def __init__(self) -> None:
        """Begin in time."""
        self.is_out = True
        self.counted = False


class Cohort(NamedTuple):
    """The calls that entered within a quarter of the slow limit."""

    until: float
    flights: list[Flight]


class Call(NamedTuple):
    """One admitted call."""

    epoch: int
    page: Ledger | None
    started: float
    probe: int | None = None
    inside: bool = False
    """A part of the probe around it: it takes no place and reports nothing."""
    flight: Flight | None = None


class Rejection(NamedTuple):
    """One rejected call."""

    state: State
    retry_after: float | None


class Prediction:
    """A breaker, as anybody would write it first."""

    def __init__(self, plan: Plan, state: State = State.CLOSED) -> None:
        """Begin in a state: closed, open or metrics only."""
        self.plan = plan
        self.now = 0.0
        self.state = state
        self.epoch = 1
        self.since = self.until = 0.0
        self.origin = Origin.HERE
        self.trips = 0
        self.shadow: float | None = None
        self.page: Ledger | None = Ledger()
        self.pages: list[Ledger] = [self.page]
        self.cohorts: list[Cohort] = []
        self._open_cohort()
        self.probes = Ledger()
        self.places: dict[int, float] = {}
        self.without_place: set[int] = set()
        self.issued = self.successes = 0
        self.moves: list[tuple[State, State, int]] = []
        self.rejected = self.late = self.lost = self.tripped = 0
        self.neutral = self.cancelled = self.would_trip = self.would_reject = 0
        self.said: Word | None = None
        if state == State.OPEN:
            self.page, self.trips, self.tripped = None, 1, 1
            self.until = plan.wait_after(1)

    # -- calls -------------------------------------------------------------------------

    def admit(
        self, around: Call | None = None, *, watched: bool = True
    ) -> Call | Rejection:
        """Admit one call, made inside another or not, looked at while out or not."""
        if self.state in {State.CLOSED, State.METRICS_ONLY}:
            self._look()
        if self._is_part_of_a_probe(around):
            return Call(self.epoch, None, self.now, inside=True)
        wait = self.retry_after()
        if wait is None or wait > 0:
            self.rejected += 1
            return Rejection(self.state, wait)
        if self.state == State.OPEN:
            self._begin(State.HALF_OPEN)
        if self.state == State.HALF_OPEN:
            return Call(self.epoch, None, self.now, self._place())
        if self.shadow is not None and self.now < self.shadow:
            self.would_reject += 1
        flight = Flight()
        if watched and self.plan.slower_than is not None:
            self.cohorts[-1].flights.append(flight)
        return Call(self.epoch, self.page, self.now, flight=flight)

    def _open_cohort(self) -> None:
        if self.plan.slower_than is not None:
            until = self.now + self.plan.slower_than / 4
            self.cohorts.append(Cohort(until, []))

    def _look(self) -> None:
        """Count what entered a limit ago and is still out."""
        limit, page = self.plan.slower_than, self.page
        if limit is None:
            return
        if self.now >= self.cohorts[-1].until:
            self._open_cohort()
        for cohort in list(self.cohorts):
            for flight in cohort.flights:
                late = self.now >= cohort.until + limit
                if late and self.page is page and flight.is_out and not flight.counted:
                    flight.counted = True
                    self._note(NEUTRAL, slow=True)

    def retry_after(self) -> float | None:
        """Return how long a caller has to wait from now; None is for ever."""
        if self.state == State.FORCED_OPEN:
            return None
        if self.state == State.OPEN:
            return max(0.0, self.until - self.now)
        if self.state != State.HALF_OPEN:
            return 0.0
        moments = sorted({self.now, *self.alive()})
        return next(then - self.now for then in moments if self._is_room(then))

    def alive(self, then: float | None = None) -> list[float]:
        """Return the ends of the leases that last beyond a moment."""
        moment = self.now if then is None else then
        return [end for end in self.places.values() if end > moment]

    def _is_room(self, then: float) -> bool:
        out = len(self.alive(then))
        needed = max(1, self.plan.probes - self.successes)
        return out < self.plan.concurrency and out < needed

    def _is_part_of_a_probe(self, around: Call | None) -> bool:
        if around is None or around.epoch != self.epoch:
            return False
        return around.inside or self.places.get(around.probe or 0, 0.0) > self.now

    def _place(self) -> int:
        over = [probe for probe, end in self.places.items() if end <= self.now]
        for probe in over:
            del self.places[probe]
            self.without_place.add(probe)
            self.lost += 1
        self.issued += 1
        self.places[self.issued] = self.now + self.plan.lease
        return self.issued

    def end(self, call: Call, kind: Kind, *, cancelled: bool = False) -> None:
        """End one admitted call."""
        if call.inside:
            return
        counted = call.flight is not None and call.flight.counted
        if call.flight is not None:
            call.flight.is_out = False
        limit = self.plan.slower_than
        slow = limit is not None and self.now - call.started >= limit
        slow = slow and (kind is not NEUTRAL or cancelled)
        late = call.epoch != self.epoch or call.page is not self.page
        if late:
            self.late += call.probe is not None or slow or kind is not GOOD
        elif self.state != State.DISABLED:
            self._count_neutral(kind, cancelled=cancelled)
            if counted and self.page is not None:
                if kind is not NEUTRAL:
                    self._note(kind, slow=False, counted=True)
            else:
                self._judge(call, kind, slow=slow)

    def _count_neutral(self, kind: Kind, *, cancelled: bool) -> None:
        if kind is NEUTRAL:
            self.neutral += 1
            self.cancelled += cancelled

    def _judge(self, call: Call, kind: Kind, *, slow: bool) -> None:
        if call.probe is not None:
            self._judge_probe(call.probe, kind, slow=slow)
        elif self.page is not None and (kind is not NEUTRAL or slow):
            self._note(kind, slow=slow)

    def _note(self, kind: Kind, *, slow: bool, counted: bool = False) -> None:
        """Write down what counts, and trip if a rule holds."""
        assert self.page is not None
        self.page.add(kind, self.now, slow=slow, counted=counted)
        if any(rule.holds(self.page, self.now) for rule in self.plan.rules):
            self._trip()

    def _judge_probe(self, probe: int, kind: Kind, *, slow: bool) -> None:
        self.places.pop(probe, None)
        self.without_place.discard(probe)
        if kind is NEUTRAL and not slow:
            return
        self.probes.add(kind, self.now, slow=slow)
        if kind is FAILED or slow:
            self._open(self.trips + 1)
            return
        self.successes += 1
        if self.successes >= self.plan.probes:
            self._begin(State.CLOSED)

    def _trip(self) -> None:
        if self.state == State.CLOSED:
            self._open(self._remembered() + 1)
        elif self.shadow is None or self.now >= self.shadow:
            self.would_trip += 1
            self.shadow = self.now + self.plan.wait_after(1)
            self._turn_the_page()

    def _remembered(self) -> int:
        """Return how many trips in a row count before this moment."""
        if self.state == State.HALF_OPEN:
            return self.trips
        if self.state != State.CLOSED or self.plan.fade is None:
            return 0
        faded = int((self.now - self.since) / self.plan.fade)
        return max(0, self.trips - faded)

    # -- periods -----------------------------------------------------------------------

    def _open(self, trips: int, origin: Origin = Origin.HERE) -> None:
        self._begin(State.OPEN, origin)
        self.trips = trips
        self.until = self.now + self.plan.wait_after(trips)

    def _begin(self, state: State, origin: Origin | None = None) -> None:
        """Begin a period that has seen nothing."""
        self.epoch += 1
        self.moves.append((self.state, state, self.epoch))
        self.tripped += state == State.OPEN
        self.state, self.since = state, self.now
        if state != State.HALF_OPEN:
            self.origin = origin or Origin.HERE
        self.places, self.without_place = {}, set()
        self.issued = self.successes = 0
        self.shadow = None
        if state in {State.CLOSED, State.DISABLED, State.METRICS_ONLY}:
            self._turn_the_page()
        else:
            self.page = None

    def _turn_the_page(self) -> None:
        self.page = Ledger()
        self.pages.append(self.page)
        self.cohorts = []
        self._open_cohort()

    # -- operators and links -----------------------------------------------------------

    def command(self, wanted: State) -> bool:
        """Do what an operator asks for; return whether it is allowed."""
        held = {State.FORCED_OPEN, State.DISABLED, State.METRICS_ONLY}
        if wanted == State.OPEN:
            if self.state in held:
                return False
            if self.state != State.OPEN:
                self._open(self._remembered() + 1)
            return True
        same = self.state == wanted and self.origin == Origin.HERE
        if wanted == State.CLOSED or not same:
            self._begin(wanted)
            self.trips = 0
        return True

    def hear(self, word: Word, origin: Origin) -> None:
        """Take in what a link says."""
        said, self_held = self.said, self.state in {State.FORCED_OPEN, State.DISABLED}
        if said is not None and (word.epoch, SHUT.index(word.state)) <= (
            said.epoch,
            SHUT.index(said.state),
        ):
            return
        self.said = word
        foreign = self.origin == origin
        until = self.now + min(word.remaining, max(LONGEST_HINT, self.plan.wait))
        if word.state in {State.FORCED_OPEN, State.DISABLED}:
            if not (foreign and self.state == word.state):
                self._begin(word.state, origin)
                self.trips = 0
        elif word.state == State.OPEN and self.state == State.OPEN:
            self.until = max(self.until, until)
        elif word.state == State.OPEN:
            free = self.state in {State.CLOSED, State.HALF_OPEN}
            if free or (self_held and foreign):
                trips = self._remembered()
                self._begin(State.OPEN, origin)
                self.trips, self.until = trips, until
        elif foreign and self.state != State.CLOSED:
            self._begin(State.CLOSED)

    # -- what is shown -----------------------------------------------------------------

    def counts(self, window: Window) -> Counts:
        """Return what a window adds up to now."""
        return (self.page or Ledger()).counts(window, self.now)

    def totals(self) -> Counts:
        """Return everything that ever counted."""
        parts = [page.totals() for page in (*self.pages, self.probes)]
        return Counts(*(sum(column) for column in zip(*parts, strict=True)))
