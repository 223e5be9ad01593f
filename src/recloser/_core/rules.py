"""What may change: every decision about a breaker's state, and nothing else.

Theory of operation. A breaker is a phase (what it does with the next call) and a record
of outcomes (what it knows). These functions take both as values, with the time as a
number, and return the next phase. They read no clock, hold no lock, keep no state, and
are safe to run twice; whoever calls them swaps the phase by comparison.

Invariants, cited by number in tests and code:

I1  Legal moves. closed -> open; open -> half_open; half_open -> open or closed. With
    `Shed`, closed -> half_open. An operator's command, or a link's word, may reach any
    state but half_open; only a word that ends an outage begins a ramp.
I2  Places. No admission brings the probes that hold a place above `probe_concurrency`, or
    together with the round's successes above `probes`.
I3  No wedge. A half-open circuit where I2 leaves room admits the next caller. A place is
    held no longer than its lease, so within one lease there is room, whatever is lost.
I4  Late is nothing. An outcome admitted in another epoch changes nothing. Only what a ramp
    admitted since its last cut counts in the closed period that it led to.
I5  Epochs only grow, by one with each change of state, and with each new period of a
    state: a reset, the start of a ramp, a cut of its share. Any other change keeps it.
I6  `retry_after` is honest. A call made that many seconds later is not refused for the
    same reason, unless somebody else took the place, or the draw for a share that was
    looked at again. It is None only when forced open.
I7  Reset works from every phase, and leads to closed with no trips remembered.
I8  A fast success never opens a circuit; a neutral call that was not slow changes nothing
    but the place that it gives back.
I9  An illegal move raises and changes nothing.
I10 A word changes nothing unless it is newer for its link, or as new and more closed-off;
    a foreign `closed` ends only what came from that link.
I11 Shares. A share is never below its floor nor above 1. It changes only when a call
    comes after the end of a round; a ramp's falls only after a bad round. While one is
    let through, exactly the calls whose chance is below it are admitted.
I12 Closing. With a ramp a circuit closes only after a round at 1 that had its good
    answers or lasted its patience; probes alone begin the ramp.
I13 Aborts. So many bad answers in a row open the circuit at once, with half of the share
    remembered and the wait of an outage that begins; a failed probe keeps its beginning.
I14 Demand. With a reject rule nobody probes before so many calls were rejected in this
    opening, unless its waiver is over or somebody permitted it. A permission never
    admits, closes or counts: it ends the wait.

Late outcomes, in prose: gobreaker drops them by generation, cockatiel by object
identity, resilience4j credits them to whatever state is current and was wedged by it
(its issues 903, 935, 1389). We drop them, and say so in an event.
"""

from __future__ import annotations

import math

from . import shares
from .durations import percent
from .hints import NamedTuple, assert_never
from .outcomes import Kind, Outcome
from .phases import (
    Admission,
    Closed,
    Command,
    Disabled,
    ForcedOpen,
    HalfOpen,
    Link,
    Observing,
    Open,
    Origin,
    Phase,
    Place,
    Ramping,
    Shedding,
    Word,
)
from .policy import Policy
from .recovery import Shed
from .states import State
from .windows import Evidence


class Admitted(NamedTuple):
    """The call may be made, and the phase to swap in."""

    phase: Phase
    admission: Admission
    would_reject: bool = False
    """Metrics only: in earnest the call would have been rejected."""


class Refused(NamedTuple):
    """The call is rejected."""

    reason: str
    retry_after: float | None
    phase: Phase | None = None
    """The phase to swap in, where the call changed something though it is rejected."""


def admit(
    policy: Policy, phase: Phase, now: float, chance: float = 0.0, rejected: int = 0
) -> Admitted | Refused:
    """Decide whether one call may be made now.

    Args:
        policy: The settings in force.
        phase: What there is.
        now: The time, in seconds of the circuit's clock.
        chance: A number in [0, 1) that says which share of the calls this one is of.
        rejected: Calls rejected since the circuit opened, if it is open.
    """
    if isinstance(phase, Open):
        if now < phase.until:
            left = time_left(phase.until, now)
            return Refused(phase.reason, left)
        return _end_wait(policy, phase, now, chance, rejected)
    if isinstance(phase, HalfOpen):
        return _give_place(policy, phase, now)
    if isinstance(phase, Ramping | Shedding):
        return _give_share(policy, phase, now, chance)
    if isinstance(phase, ForcedOpen):
        return Refused(phase.reason, None)
    shadow = isinstance(phase, Observing) and _is_shut(phase, now)
    return Admitted(phase, Admission(phase.epoch), shadow)


def shut_for(phase: Open, now: float) -> float | None:
    """Return for how long `admit` would refuse every call; None if it might not."""
    left = phase.until - now
    if not left > 0:
        return None
    return left if now + left >= phase.until else time_left(phase.until, now)


def counting(phase: Phase, admission: Admission) -> Admission:
    """Return the admission as which an outcome counts now.

    A ramp closes while calls of it are still out, and overload shows only when they time
    out. A closed circuit that knew nothing of them would be blind for that long, so they
    count in the closed period that their ramp led to.
    """
    if not isinstance(phase, Closed) or not phase.ramped:
        return admission
    of_ramp = admission.place is None and admission.epoch == phase.epoch - 1
    return Admission(phase.epoch) if of_ramp else admission  # I4


def settle(
    policy: Policy,
    phase: Phase,
    admission: Admission,
    outcome: Outcome,
    evidence: Evidence,
    now: float,
    chance: float,
) -> Phase:
    """Return the phase after one admitted call ended.

    `evidence` is read after the outcome was recorded; it is empty for probes.

    Raises:
        ValueError: The phase cannot have given this admission.
    """
    if admission.epoch > phase.epoch:
        raise _illegal(phase, admission)
    if admission.epoch < phase.epoch:
        return phase  # I4
    if isinstance(phase, HalfOpen):
        return _settle_probe(policy, phase, admission, outcome, now, chance)
    if isinstance(phase, Ramping | Shedding) and admission.place is None:
        return _settle_share(policy, phase, outcome, now, chance)
    if admission.place is not None or isinstance(phase, Open | ForcedOpen):
        raise _illegal(phase, admission)
    if not isinstance(phase, Closed | Observing) or not policy.trip.wakes(outcome):
        return phase  # I8
    if isinstance(phase, Observing) and _is_shut(phase, now):
        return phase
    reason = policy.trip.judge(evidence, outcome, now)
    if reason is None:
        return phase
    return _trip(policy, phase, outcome, evidence, reason, now, chance)


def override(
    policy: Policy, phase: Phase, command: Command, now: float, chance: float
) -> Phase:
    """Return the phase after an operator's command.

    Asking again for the state that is already there changes nothing, but for `RESET`,
    which always begins a new closed period.

    Raises:
        ValueError: `TRIP` on a breaker that an operator holds: reset it first.
    """
    epoch = phase.epoch + 1
    if command is Command.RESET:
        return Closed(epoch=epoch, since=now)  # I7
    if command is Command.FORCE_OPEN:
        same = isinstance(phase, ForcedOpen) and phase.origin is Origin.HERE
        return phase if same else ForcedOpen(epoch=epoch, since=now)
    if command is Command.DISABLE:
        same = isinstance(phase, Disabled) and phase.origin is Origin.HERE
        return phase if same else Disabled(epoch=epoch, since=now)
    if command is Command.OBSERVE:
        same = isinstance(phase, Observing)
        return phase if same else Observing(epoch=epoch, since=now)
    if command is Command.TRIP:
        return _trip_by_hand(policy, phase, now, chance)
    if command is Command.PERMIT:
        if not isinstance(phase, Open) or phase.permitted:
            return phase
        return phase.replace(until=min(phase.until, now), permitted=True)  # I14
    assert_never(command)


def adopt(policy: Policy, phase: Phase, link: Link, word: Word, now: float) -> Phase:
    """Return the phase after a link brought a word about this breaker.

    One phase, not an "effective" one: a word is an input like any other. The longest
    wait that can be adopted is the longest that the policy can make itself, so that a
    clock that jumped elsewhere cannot shut this process for days.
    """
    if not is_news(link, word):
        return phase  # I10
    epoch, origin = phase.epoch + 1, link.origin
    if word.state is State.FORCED_OPEN:
        reason = word.reason or f"held open by the {origin}"
        same = isinstance(phase, ForcedOpen) and phase.origin is origin
        return (
            phase
            if same
            else ForcedOpen(epoch=epoch, since=now, reason=reason, origin=origin)
        )
    if word.state is State.DISABLED:
        same = isinstance(phase, Disabled) and phase.origin is origin
        return phase if same else Disabled(epoch=epoch, since=now, origin=origin)
    if word.state is State.OPEN:
        return _adopt_open(policy, phase, link, word, now)
    if not isinstance(phase, Open | HalfOpen | ForcedOpen | Disabled):
        return phase
    if word.state is State.CLOSED and phase.origin is origin:
        return _end_outage(policy, phase, now)
    return phase


def is_news(link: Link, word: Word) -> bool:
    """Tell whether a word is newer for its link, or as new and more closed-off."""
    last = link.last
    if last is None or word.epoch > last.epoch:
        return True
    shut = _SHUT.index
    return word.epoch == last.epoch and shut(word.state) > shut(last.state)


def enter(
    policy: Policy, phase: Phase, state: State, now: float, chance: float
) -> Phase:
    """Return a fresh phase of any state, for the state to begin in and for tests."""
    if state is State.HALF_OPEN:
        opened = _trip_by_hand(
            policy, Closed(epoch=phase.epoch, since=now), now, chance
        )
        assert isinstance(opened, Open)  # noqa: S101 - narrows the type
        return _half_open(policy, opened, now).replace(epoch=phase.epoch + 1)
    if state is State.CLOSED:
        return override(policy, phase, Command.RESET, now, chance)
    closed = Closed(epoch=phase.epoch, since=now)
    return override(policy, closed, _ENTERED_BY[state], now, chance)


_SHUT = (
    State.DISABLED,
    State.METRICS_ONLY,
    State.CLOSED,
    State.HALF_OPEN,
    State.OPEN,
    State.FORCED_OPEN,
)
_ENTERED_BY = {
    State.OPEN: Command.TRIP,
    State.FORCED_OPEN: Command.FORCE_OPEN,
    State.DISABLED: Command.DISABLE,
    State.METRICS_ONLY: Command.OBSERVE,
}


def _end_wait(
    policy: Policy, phase: Open, now: float, chance: float, rejected: int
) -> Admitted | Refused:
    missing = policy.recovery.missing(rejected, now - phase.since)
    if missing and not phase.permitted:  # I14
        calls = "1 more call is" if missing == 1 else f"{missing} more calls are"
        reason = f"the wait is over; a probe follows when {calls} rejected"
        waived = phase.since + policy.recovery.waived_after
        return Refused(f"{reason} ({phase.reason})", time_left(waived, now))
    after = _half_open(policy, phase, now)
    if isinstance(after, Shedding):
        return _give_share(policy, after, now, chance)
    return _give_place(policy, after, now)


def _half_open(policy: Policy, phase: Open, now: float) -> HalfOpen | Shedding:
    if isinstance(policy.recovery, Shed):
        return shares.shedding(phase, phase, now)
    return HalfOpen(
        epoch=phase.epoch + 1,
        since=now,
        trips=phase.trips,
        reason=phase.reason,
        failure=phase.failure,
        evidence=phase.evidence,
        origin=phase.origin,
        outage=phase.since if phase.outage is None else phase.outage,
        safe=phase.safe,
    )


def _give_place(policy: Policy, phase: HalfOpen, now: float) -> Admitted | Refused:
    alive = tuple(place for place in phase.places if now < place.until)
    needed = max(1, policy.probes - phase.successes)
    most = min(policy.probe_concurrency, needed)  # I2
    if len(alive) >= most:
        leases = sorted(place.until for place in alive)
        left = time_left(leases[len(alive) - most], now)
        return Refused(phase.reason, left)
    place = Place(phase.issued + 1, now + policy.probe_lease)
    lost = phase.lost + len(phase.places) - len(alive)
    after = phase.replace(places=(*alive, place), issued=place.number, lost=lost)
    return Admitted(after, Admission(phase.epoch, place.number))


def _settle_probe(
    policy: Policy,
    phase: HalfOpen,
    admission: Admission,
    outcome: Outcome,
    now: float,
    chance: float,
) -> Phase:
    after = _take_back(phase, admission)
    if outcome.kind is Kind.FAILURE or outcome.slow:
        how = "failed" if outcome.kind is Kind.FAILURE else "was slow"
        what = f" ({outcome.cause.type})" if outcome.cause else ""
        reason = f"a probe {how}{what}"
        trips, outage = phase.trips + 1, phase.outage
        opened = _open(policy, phase, trips, outcome, None, reason, now, chance, outage)
        return opened.replace(safe=phase.safe) if phase.safe else opened
    if outcome.kind is Kind.NEUTRAL:
        return after
    if after.successes + 1 < policy.probes:
        return after.replace(successes=after.successes + 1)
    return _end_outage(policy, phase, now)


def _end_outage(
    policy: Policy, phase: Open | HalfOpen | ForcedOpen | Disabled, now: float
) -> Closed | Ramping:
    """Close, or begin the ramp: all that is known is that the dependency answers."""
    epoch, ramp = phase.epoch + 1, policy.ramp
    if ramp is None or isinstance(phase, ForcedOpen | Disabled):
        return Closed(epoch=epoch, since=now, trips=getattr(phase, "trips", 0))
    return shares.ramping(ramp, phase, now)


def _give_share(
    policy: Policy, phase: Ramping | Shedding, now: float, chance: float
) -> Admitted | Refused:
    after = shares.turned(policy.ramp, policy.recovery, phase, now)
    if isinstance(after, Closed):
        return Admitted(after, Admission(after.epoch))
    if isinstance(after, Shedding):
        after = after.replace(calls=after.calls + 1)
    if chance < after.share:  # I11
        return Admitted(after, Admission(after.epoch))
    looked, why = after.began + shares.ROUND, "are answered"
    if isinstance(after, Ramping) and policy.ramp:
        looked, why = shares.next_look(policy.ramp, after, now), "return"
    reason = f"only {percent(after.share)} of the calls go through while "
    reason += f"they {why} ({after.reason})"
    changed = None if after is phase else after
    return Refused(reason, time_left(looked, now), changed)


def _settle_share(
    policy: Policy,
    phase: Ramping | Shedding,
    outcome: Outcome,
    now: float,
    chance: float,
) -> Phase:
    kind = outcome.kind
    if kind is Kind.NEUTRAL and not outcome.slow:
        return phase  # I8
    good = kind is Kind.SUCCESS
    if isinstance(phase, Shedding):
        return phase.replace(accepted=phase.accepted + 1) if good else phase
    after = shares.answered(phase, good=good)
    ramp = policy.ramp
    if ramp is None or after.row < ramp.failures:
        return after
    share, trips = phase.share, max(1, phase.trips)
    reason = f"{after.row} bad answers in a row with {share:.3g} of the calls"
    opened = _open(policy, phase, trips, outcome, None, reason, now, chance)
    return opened.replace(safe=ramp.halved(share))  # I13


def _take_back(phase: HalfOpen, admission: Admission) -> HalfOpen:
    """Free the place of a probe that came back, be its lease over or not."""
    number = admission.place
    if number is None or not 0 < number <= phase.issued:
        raise _illegal(phase, admission)
    rest = tuple(place for place in phase.places if place.number != number)
    if len(rest) < len(phase.places):
        return phase.replace(places=rest)
    if not phase.lost:
        raise _illegal(phase, admission)
    return phase.replace(lost=phase.lost - 1)


def _trip(
    policy: Policy,
    phase: Closed | Observing,
    outcome: Outcome,
    evidence: Evidence,
    reason: str,
    now: float,
    chance: float,
) -> Phase:
    if isinstance(phase, Closed):
        trips, ramp = _remembered(policy, phase, now) + 1, policy.ramp
        opened = _open(policy, phase, trips, outcome, evidence, reason, now, chance)
        if isinstance(policy.recovery, Shed):
            return shares.shedding(phase, opened, now)
        if ramp and phase.ramped and now - phase.since < ramp.fade:
            return opened.replace(safe=ramp.halved(1.0))
        return opened
    wait = policy.recovery.wait(1, chance, outcome.retry_after)
    if isinstance(policy.recovery, Shed):
        wait = 0.0
    return phase.replace(
        trips=phase.trips + 1,
        until=now + wait,
        reason=reason,
        failure=outcome.cause,
        evidence=evidence,
    )


def _trip_by_hand(policy: Policy, phase: Phase, now: float, chance: float) -> Phase:
    if isinstance(phase, Closed | HalfOpen | Ramping | Shedding):
        trips = _remembered(policy, phase, now) + 1
        asked, why = Outcome(Kind.NEUTRAL), "tripped by hand"
        opened = _open(policy, phase, trips, asked, None, why, now, chance)
        safe = getattr(phase, "safe", None)
        return opened.replace(safe=safe) if safe else opened
    if isinstance(phase, Open):
        return phase
    msg = f"cannot trip a breaker that is {phase.state}: reset it first"
    raise ValueError(msg)


def _open(
    policy: Policy,
    phase: Phase,
    trips: int,
    outcome: Outcome,
    evidence: Evidence | None,
    reason: str,
    now: float,
    chance: float,
    outage: float | None = None,
) -> Open:
    dead = 0.0 if outage is None else now - outage
    wait = policy.recovery.wait(trips, chance, outcome.retry_after, dead)
    return Open(
        epoch=phase.epoch + 1,
        since=now,
        until=now + wait,
        trips=trips,
        reason=reason,
        failure=outcome.cause,
        evidence=evidence,
        outage=outage,
    )


def _adopt_open(
    policy: Policy, phase: Phase, link: Link, word: Word, now: float
) -> Phase:
    until = now + min(max(word.remaining, 0.0), policy.recovery.longest)
    if isinstance(phase, Open):
        later = until > phase.until
        return phase.replace(until=until, permitted=False) if later else phase
    held = isinstance(phase, ForcedOpen | Disabled) and phase.origin is not link.origin
    if held or isinstance(phase, Observing):
        return phase
    return Open(
        epoch=phase.epoch + 1,
        since=now,
        until=until,
        trips=_remembered(policy, phase, now),
        reason=word.reason or f"opened by the {link.origin}",
        origin=link.origin,
        safe=_failed_elsewhere(policy, phase),
    )


def _failed_elsewhere(policy: Policy, phase: Phase) -> float | None:
    """Return what is safe when a link opens: its trip speaks against this share, too."""
    if isinstance(phase, Ramping) and policy.ramp:
        return policy.ramp.halved(phase.share)
    return phase.safe if isinstance(phase, HalfOpen) else None


def _remembered(policy: Policy, phase: Phase, now: float) -> int:
    """Return the trips in a row before this moment: closed, they fade."""
    if isinstance(phase, Closed):
        return policy.recovery.remembered(phase.trips, now - phase.since)
    return phase.trips if isinstance(phase, HalfOpen | Ramping | Shedding) else 0


def _is_shut(phase: Observing, now: float) -> bool:
    """Tell whether the circuit would be open now, were it in earnest."""
    return phase.until is not None and now < phase.until


def time_left(until: float, now: float) -> float:
    """Return how long to wait so that `now` plus it is not before `until` (I6)."""
    left = until - now
    return left if now + left >= until else left + math.ulp(max(abs(until), left))


def _illegal(phase: Phase, admission: Admission) -> ValueError:
    return ValueError(f"{admission} was not given by {phase}")
