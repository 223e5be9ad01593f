"""What may change: every decision about a breaker's state, and nothing else.

Theory of operation. A breaker is a phase (what it does with the next call) and a record
of outcomes (what it knows). These functions take both as values, with the time as a
number, and return the next phase. They read no clock, hold no lock, keep no state, and
are safe to run twice; whoever calls them swaps the phase by comparison.

Invariants, cited by number in tests and code:

I1  Legal moves. closed -> open; open -> half_open; half_open -> open or closed. An
    operator's command, or a link's word, may reach any state but half_open.
I2  Places. No admission brings the probes that hold a place above `probe_concurrency`, or
    together with the round's successes above `probes`.
I3  No wedge. A half-open circuit where I2 leaves room admits the next caller. A place is
    held no longer than its lease, so within one lease there is room, whatever is lost.
I4  Late is nothing. An outcome admitted in another epoch changes nothing.
I5  Epochs only grow, by one with each change of state; a change within a state keeps it.
I6  `retry_after` is honest. A call made that many seconds later is not refused for the
    same reason, unless somebody else took the place. It is None only when forced open.
I7  Reset works from every phase, and leads to closed with no trips remembered.
I8  A fast success never opens a circuit; a neutral call that was not slow changes nothing
    but the place that it gives back.
I9  An illegal move raises and changes nothing.
I10 A word changes nothing unless it is newer for its link, or as new and more closed-off;
    a foreign `closed` ends only what came from that link.

Late outcomes, in prose: gobreaker drops them by generation, cockatiel by object
identity, resilience4j credits them to whatever state is current and was wedged by it
(its issues 903, 935, 1389). We drop them, and say so in an event.
"""

from __future__ import annotations

import math

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
    Word,
)
from .policy import Policy
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


def admit(policy: Policy, phase: Phase, now: float) -> Admitted | Refused:
    """Decide whether one call may be made now."""
    if isinstance(phase, Open):
        if now < phase.until:
            left = time_left(phase.until, now)
            return Refused(phase.reason, left)
        return _give_place(policy, _first_round(phase, now), now)
    if isinstance(phase, HalfOpen):
        return _give_place(policy, phase, now)
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
    if admission.place is not None or isinstance(phase, Open | ForcedOpen):
        raise _illegal(phase, admission)
    if isinstance(phase, Disabled) or not policy.trip.wakes(outcome):
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
    mine = isinstance(phase, Closed | HalfOpen | Observing) or phase.origin is origin
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
    foreign = (
        isinstance(phase, Open | HalfOpen | ForcedOpen | Disabled)
        and phase.origin is origin
    )
    if word.state is State.CLOSED and mine and foreign:
        return Closed(epoch=epoch, since=now, trips=getattr(phase, "trips", 0))
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
        return _first_round(opened, now).replace(epoch=phase.epoch + 1)
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


def _first_round(phase: Open, now: float) -> HalfOpen:
    return HalfOpen(
        epoch=phase.epoch + 1,
        since=now,
        trips=phase.trips,
        reason=phase.reason,
        failure=phase.failure,
        evidence=phase.evidence,
        origin=phase.origin,
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
        return _open(policy, phase, phase.trips + 1, outcome, None, reason, now, chance)
    if outcome.kind is Kind.NEUTRAL:
        return after
    if after.successes + 1 < policy.probes:
        return after.replace(successes=after.successes + 1)
    return Closed(epoch=phase.epoch + 1, since=now, trips=phase.trips)


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
        trips = _remembered(policy, phase, now) + 1
        return _open(policy, phase, trips, outcome, evidence, reason, now, chance)
    wait = policy.recovery.wait(1, chance, outcome.retry_after)
    return phase.replace(
        trips=phase.trips + 1,
        until=now + wait,
        reason=reason,
        failure=outcome.cause,
        evidence=evidence,
    )


def _trip_by_hand(policy: Policy, phase: Phase, now: float, chance: float) -> Phase:
    if isinstance(phase, Closed | HalfOpen):
        trips = _remembered(policy, phase, now) + 1
        asked = Outcome(Kind.NEUTRAL)
        return _open(policy, phase, trips, asked, None, "tripped by hand", now, chance)
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
) -> Open:
    wait = policy.recovery.wait(trips, chance, outcome.retry_after)
    return Open(
        epoch=phase.epoch + 1,
        since=now,
        until=now + wait,
        trips=trips,
        reason=reason,
        failure=outcome.cause,
        evidence=evidence,
    )


def _adopt_open(
    policy: Policy, phase: Phase, link: Link, word: Word, now: float
) -> Phase:
    until = now + min(max(word.remaining, 0.0), policy.recovery.longest)
    if isinstance(phase, Open):
        return phase.replace(until=max(phase.until, until))
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
    )


def _remembered(policy: Policy, phase: Phase, now: float) -> int:
    """Return the trips in a row before this moment: closed, they fade."""
    if isinstance(phase, Closed):
        return policy.recovery.remembered(phase.trips, now - phase.since)
    return phase.trips if isinstance(phase, HalfOpen) else 0


def _is_shut(phase: Observing, now: float) -> bool:
    """Tell whether the circuit would be open now, were it in earnest."""
    return phase.until is not None and now < phase.until


def time_left(until: float, now: float) -> float:
    """Return how long to wait so that `now` plus it is not before `until` (I6)."""
    left = until - now
    return left if now + left >= until else left + math.ulp(max(abs(until), left))


def _illegal(phase: Phase, admission: Admission) -> ValueError:
    return ValueError(f"{admission} was not given by {phase}")
