"""What a breaker says about itself: a snapshot for programs, a paragraph for people."""

from __future__ import annotations

from collections.abc import Mapping

from .._core import rules
from .._core.budget import Baseline, Reading
from .._core.durations import counted, in_words, percent
from .._core.hints import TYPE_CHECKING
from .._core.outcomes import FailureInfo
from .._core.phases import (
    Closed,
    Disabled,
    ForcedOpen,
    HalfOpen,
    Observing,
    Open,
    Ramping,
    Shedding,
    admitted_share,
)
from .._core.rules import Refused
from .._core.states import State
from .._core.values import Struct
from .._core.windows import Counts, Window
from .baselines import baselines_of
from .counters import steps_of

if TYPE_CHECKING:
    from .._core.phases import Phase
    from .circuit import Circuit
    from .tallies import History


class Totals(Struct):
    """What happened since the breaker was made.

    Calls that began in one period and succeeded in a later one are in none of these.
    """

    calls: int
    """Successes and failures."""
    successes: int
    failures: int
    slow: int
    """Calls that took `slower_than` or longer, cancelled ones too."""
    neutral: int
    """Calls that said nothing about the dependency."""
    cancelled: int
    """Of the neutral ones, those that were cancelled."""
    rejected: int
    fallbacks: int
    """Fallbacks that ran instead of a rejected call."""
    late: int
    """Outcomes of an earlier period, told by a failure or a probe; they changed nothing."""
    lost: int
    """Probes whose lease ended before their outcome came."""
    trips: int
    """How often the circuit opened, by rule, by a failed probe or by hand."""
    would_trip: int
    """Metrics only: how often it would have."""
    would_reject: int
    """Metrics only: calls that would have been rejected."""
    callback_errors: int
    """Errors raised by the user's predicates and listeners."""


class Snapshot(Struct):
    """A breaker at one moment. Frozen; reading it changed nothing.

    A figure that is not kept is None, never 0.

    Attributes:
        name: The breaker's name.
        state: What it does with calls.
        epoch: Which of its periods this is.
        since: When the period began, in seconds of the breaker's clock.
        opened_at: When the circuit opened, if it is open.
        retry_after: Seconds until a call may be admitted: 0.0 when one would be now,
            None only when forced open.
        reason: Why it opened, or would have (metrics only).
        last_failure: The failure that opened it.
        streak: Failures since the last success of this period.
        counts: What each window of the policy adds up to.
        rates: Failure rate and slow rate of each window, each None without calls.
        scores: For each budget of a `FalseTripBudget`: its score, capacity, usual rate,
            and how many failures in a row would open it now.
        baseline: What is usual, by kind ("failed", "slow"), once a call has succeeded;
            give it to the next breaker of this name. Kept in every state.
        probes: Probes in flight that hold a place.
        transitions: How often one state followed another, as (before, after). A reset
            of a closed breaker is one from closed to closed.
        seconds: What was spent in each state, in seconds of the breaker's clock, with
            the period that is not over. States that never were are not in it.
        admitting: The fraction of the calls that goes through: 1.0 while closed, disabled
            or only observing, 0.0 while open or probing, the share of a ramp or of `Shed`
            in between.
        totals: What happened since the breaker was made.
    """

    name: str
    state: State
    epoch: int
    since: float
    opened_at: float | None
    retry_after: float | None
    reason: str
    last_failure: FailureInfo | None
    streak: int | None
    counts: Mapping[Window, Counts]
    rates: Mapping[Window, tuple[float | None, float | None]]
    scores: tuple[Reading, ...]
    baseline: Mapping[str, Baseline]
    probes: int
    transitions: Mapping[tuple[State, State], int]
    seconds: Mapping[State, float]
    admitting: float
    totals: Totals

    @property
    def late(self) -> int:
        """Outcomes of an earlier period; they changed nothing."""
        return self.totals.late

    @property
    def lost(self) -> int:
        """Probes whose lease ended before their outcome came."""
        return self.totals.lost

    @property
    def rejected(self) -> int:
        """Calls that were not made."""
        return self.totals.rejected

    @property
    def cancelled(self) -> int:
        """Calls that were cancelled; they count for nothing unless they were slow."""
        return self.totals.cancelled

    @property
    def callback_errors(self) -> int:
        """Errors raised by the user's predicates and listeners."""
        return self.totals.callback_errors


def snapshot(circuit: Circuit) -> Snapshot:
    """Return the circuit at this moment."""
    return _snapshot(circuit, circuit.now())[1]


def last_snapshot(circuit: Circuit) -> Snapshot:
    """Return the circuit as of the last time that its clock was read."""
    return _snapshot(circuit, circuit.seen)[1]


def _snapshot(circuit: Circuit, now: float) -> tuple[Phase, Snapshot]:
    with circuit._lock:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a part of the circuit
        phase, evidence, counts, tally, scores, usual = circuit.read(now)
        turned_away = steps_of(circuit.rejected)  # of this phase and before, no later
    amounts = tally._asdict()
    history: History = amounts.pop("history")
    verdict = rules.admit(circuit.policy, phase, now, 0.0, circuit.demand)
    counting = isinstance(phase, Closed | Observing)
    learns = bool(circuit.policy.trip.budgets)
    return phase, Snapshot(
        name=circuit.name,
        state=phase.state,
        epoch=phase.epoch,
        since=phase.since,
        opened_at=phase.since if isinstance(phase, Open) else None,
        retry_after=verdict.retry_after if isinstance(verdict, Refused) else 0.0,
        reason=getattr(phase, "reason", ""),
        last_failure=getattr(phase, "failure", None),
        streak=evidence.streak if counting else None,
        counts=evidence.counts if counting else {},
        rates={w: (c.failure_rate, c.slow_rate) for w, c in evidence.counts.items()}
        if counting
        else {},
        scores=scores if counting else (),
        baseline=baselines_of(usual, now) if learns else {},
        probes=_in_flight(phase, now),
        transitions=history.transitions,
        seconds=history.spent(phase, now),
        admitting=admitted_share(phase),
        totals=Totals(
            calls=counts.calls,
            successes=counts.calls - counts.failures,
            failures=counts.failures,
            slow=counts.slow,
            rejected=turned_away,
            callback_errors=circuit.publisher.callback_errors,
            **amounts,
        ),
    )


def explain(circuit: Circuit) -> str:
    """Return one paragraph that a person can act on."""
    phase, now = _snapshot(circuit, circuit.now())
    sentences = [_state_sentence(circuit, phase, now)]
    if now.last_failure is not None:
        age = max(0.0, circuit.now() - now.last_failure.at)
        sentences.append(
            f"The last failure was {now.last_failure.type}, {in_words(age)} ago."
        )
    sentences.append(f"It trips on {circuit.policy.trip}.")
    sentences.extend(_remarks(circuit, now))
    return " ".join(sentences)


def _state_sentence(circuit: Circuit, phase: Phase, now: Snapshot) -> str:
    name, left = repr(circuit.name), now.retry_after or 0.0
    if isinstance(phase, Closed):
        seen = [
            f"{c.failures} of {c.calls} calls failed in {w}"
            for w, c in now.counts.items()
        ]
        seen.append(f"{counted(now.streak or 0, 'failure')} in a row")
        seen.extend(map(_score_words, now.scores))
        return f"{name} is closed: calls go through ({'; '.join(seen)})."
    if isinstance(phase, Open) and now.retry_after == 0.0:
        return f"{name} is open ({phase.reason}); its wait is over and the next call is the probe."
    if isinstance(phase, Open) and phase.until <= circuit.now():
        missing = circuit.policy.recovery.missing(circuit.demand, 0.0)
        more = _how_many(missing, "more call was", "more calls were")
        return f"{name} is open ({phase.reason}); its wait is over, and a probe follows when {more} rejected, or in {in_words(left)}."
    if isinstance(phase, Open):
        return f"{name} is open ({phase.reason}): calls are rejected for another {in_words(left)}, then a probe decides."
    if isinstance(phase, HalfOpen):
        return _half_open_sentence(circuit, phase, name)
    if isinstance(phase, Ramping | Shedding):
        return _share_sentence(phase, name)
    if isinstance(phase, ForcedOpen):
        return f"{name} is forced open ({phase.reason}): every call is rejected until reset()."
    if isinstance(phase, Disabled):
        return f"{name} is disabled: calls go through and nothing is counted, until reset()."
    times = {0: "not have tripped yet", 1: "have tripped once"}
    would = f"it would {times.get(phase.trips, f'have tripped {phase.trips} times')}"
    if phase.trips:
        would += f", last for this reason: {phase.reason}"
    return f"{name} only observes: calls go through, and {would}."


def _score_words(one: Reading) -> str:
    score = (
        f"score {one.score:.3g} of {one.capacity:.3g} for calls that {_KINDS[one.kind]}"
    )
    row = f"{one.needed} in a row would open it"
    if one.needed is None:
        row = "at this traffic no number in a row would open it"
    return f"{score}, usual is {one.usual * 100:.3g} %, {row}"


_KINDS = {"failed": "failed", "slow": "were slow"}


def _half_open_sentence(circuit: Circuit, phase: HalfOpen, name: str) -> str:
    done = f"{phase.successes} of {circuit.policy.probes} probes succeeded"
    out = f"{_in_flight(phase, circuit.now())} in flight"
    return f"{name} is half-open (it opened for this reason: {phase.reason}): {done}, {out}; other calls are rejected."


def _share_sentence(phase: Ramping | Shedding, name: str) -> str:
    share, why = percent(phase.share), f"it opened for this reason: {phase.reason}"
    if isinstance(phase, Shedding):
        seen = f"of about {phase.calls:.0f} recent calls {phase.accepted:.0f} were answered"
        return f"{name} lets {share} of the calls through ({phase.reason}): {seen}; the others are rejected."
    seen = f"{phase.good} good and {phase.bad} bad answers in this round"
    return f"{name} is half-open ({why}) and traffic returns: {share} of the calls go through, {seen}; the others are rejected."


def _in_flight(phase: Phase, now: float) -> int:
    """Count the probes that hold a place."""
    places = phase.places if isinstance(phase, HalfOpen) else ()
    return sum(now < place.until for place in places)


def _remarks(circuit: Circuit, now: Snapshot) -> list[str]:
    remarks: list[str] = []
    if now.cancelled and circuit.policy.trip.slow_limit is None:
        cancelled = _how_many(
            now.cancelled,
            "call was cancelled and counts",
            "calls were cancelled and count",
        )
        remarks.append(
            f"{cancelled} for nothing; put the timeout inside the guarded function, "
            "or set slower_than."
        )
    elif now.cancelled:
        cancelled = _how_many(now.cancelled, "call was", "calls were")
        remarks.append(f"{cancelled} cancelled, which says nothing unless it was slow.")
    if now.callback_errors:
        errors = _how_many(now.callback_errors, "error", "errors")
        remarks.append(f"{errors} came from your own callbacks; see the log.")
    return remarks


def _how_many(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def describe(circuit: Circuit) -> str:
    """Return the one line for `repr`."""
    phase = circuit.phase
    state = str(phase.state).replace("_", "-")
    if isinstance(phase, Open):
        left = max(0.0, phase.until - circuit.now())
        state += f", retry in {left:.1f} s" if left else ", next call is the probe"
    return f"<CircuitBreaker {circuit.name!r} {state}>"
