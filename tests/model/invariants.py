"""I1 to I14 of `recloser._core.rules`, said once more in words of their own.

Each function judges one move. It knows what the design says, and takes nothing from the
rules but what they returned.
"""

from __future__ import annotations

from typing import Final

from recloser._core import rules
from recloser._core.events import (
    ProbeLost,
    ShareChanged,
    Transition,
    WouldTrip,
    difference,
)
from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import (
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
    admitted_share,
)
from recloser._core.policy import Policy
from recloser._core.recovery import Adaptive, Shed
from recloser._core.rules import Admitted, Refused
from recloser._core.states import State

from .scopes import GOOD, NEUTRAL
from .worlds import NOW, STREAK, World

COMMANDED: Final = {
    Command.TRIP: State.OPEN,
    Command.FORCE_OPEN: State.FORCED_OPEN,
    Command.DISABLE: State.DISABLED,
    Command.OBSERVE: State.METRICS_ONLY,
    Command.RESET: State.CLOSED,
    Command.PERMIT: None,
}
MORE_AND_MORE_SHUT: Final = (
    State.DISABLED,
    State.CLOSED,
    State.OPEN,
    State.FORCED_OPEN,
)


def check_epochs(before: Phase, after: Phase) -> None:
    """I5, and the events that tell of it."""
    grown = after.epoch - before.epoch
    assert grown in {0, 1}, "I5: epochs grow by one"
    assert grown or after.state == before.state, "I5: a change of state"
    assert not grown or after.since == NOW, "I5: a period begins with its change"
    told = difference("explored", before, after, NOW)
    kinds = [type(event) for event in told]
    inside = grown == 1 and isinstance(after, Ramping) and before.state == after.state
    assert kinds.count(Transition) == grown - inside, "one transition for each epoch"
    steps = kinds.count(ShareChanged)
    let = admitted_share(after) not in {admitted_share(before), 0.0}
    assert steps == (isinstance(after, Ramping | Shedding) and (let or inside))
    lost = isinstance(after, HalfOpen) and after.lost > getattr(before, "lost", 0)
    assert kinds.count(ProbeLost) == lost, "each lost probe is told"
    assert set(kinds) <= {Transition, ProbeLost, WouldTrip, ShareChanged}


# -- a call comes ------------------------------------------------------------------------


def check_refusal(policy: Policy, world: World, refused: Refused, luck: float) -> None:
    """I1, I3 and I6: who refuses, until when, and not a moment longer."""
    phase = world.phase
    if refused.phase is not None or isinstance(phase, Ramping | Shedding):
        _check_bad_luck(policy, phase, refused, luck)
        return
    if isinstance(phase, ForcedOpen):
        assert refused.retry_after is None, "I6: None only when forced open"
        return
    assert isinstance(phase, Open | HalfOpen), f"I1: {phase.state} refuses"
    wait = refused.retry_after
    assert wait is not None, "I6: None only when forced open"
    assert wait > 0, "I6: refused although it may come now"
    rejected = world.rejected
    then = rules.admit(policy, phase, NOW + wait, luck, rejected)
    told = isinstance(then, Refused) and then.reason != refused.reason
    assert isinstance(then, Admitted) or told, f"I6: still refused after {wait} s"
    if phase.state is State.OPEN and phase.until <= NOW:
        _check_demand(policy, phase, rejected)
    earlier = rules.admit(policy, phase, NOW + wait / 2, luck, rejected)
    assert isinstance(earlier, Refused), f"I6: admitted before {wait} s had passed"
    if isinstance(phase, HalfOpen):
        assert len(_alive(phase)) >= _room(policy, phase), "I3: a place is free"


def _check_demand(policy: Policy, phase: Open, rejected: int) -> None:
    """I14: who refuses a probe after the wait."""
    recovery = policy.recovery
    assert isinstance(recovery, Adaptive), "I14: no reject rule"
    assert not phase.permitted, "I14: somebody permitted it"
    assert rejected < recovery.rejections, "I14: there were enough"
    assert phase.since + recovery.waiver > NOW, "I14: it is waived"


def _check_bad_luck(
    policy: Policy, phase: Phase, refused: Refused, luck: float
) -> None:
    """I5, I6 and I11 of a call that is not of the share."""
    after = refused.phase or phase
    assert isinstance(after, Ramping | Shedding), "I11: no share"
    check_epochs(phase, after)
    check_share(policy, phase, after)
    assert luck >= after.share, "I11: its chance was good enough"
    assert refused.retry_after is not None
    assert refused.retry_after > 0, "I6"
    then = NOW + refused.retry_after
    length = policy.ramp.round if isinstance(after, Ramping) and policy.ramp else 1
    assert then >= after.began + length, "I6: nobody looks at the share before"


def check_share(policy: Policy, before: Phase, after: Ramping | Shedding) -> None:
    """I11: how large a share is, and when it may change."""
    recovery, ramp = policy.recovery, policy.ramp
    floor = recovery.floor if isinstance(recovery, Shed) else ramp and ramp.floor
    assert floor is not None
    assert floor <= after.share <= 1, "I11: bounds"
    if not isinstance(before, Ramping) or not isinstance(after, Ramping) or not ramp:
        return
    if after.share != before.share or after.began != before.began:
        assert before.began + ramp.round <= NOW, "I11: in the middle of a round"
    if after.epoch != before.epoch:
        assert before.bad >= ramp.failure_rate * (before.good + before.bad), "I11"
        assert after.safe == after.share, "I11: what is safe"
    else:
        assert after.share >= before.share, "I11: it fell after a good round"


def _check_end_of_ramp(policy: Policy, phase: Ramping | Shedding) -> None:
    """I12: what may close without a probe."""
    ramp = policy.ramp
    assert admitted_share(phase) == 1 or isinstance(phase, Shedding), "I12: too early"
    if isinstance(phase, Ramping) and ramp is not None:
        served = phase.good >= ramp.evidence or phase.began + ramp.patience <= NOW
        assert served, "I12: no evidence"
        assert phase.began + ramp.round <= NOW, "I12: in the middle of a round"


def check_admission(
    policy: Policy, world: World, admitted: Admitted, luck: float
) -> None:
    """I1, I2, I4 and I5 of a call that may be made."""
    phase, (after, admission, would_reject) = world.phase, admitted
    check_epochs(phase, after)
    moves = {State.OPEN: State.HALF_OPEN}
    if isinstance(phase, Ramping | Shedding) and isinstance(after, Closed):
        _check_end_of_ramp(policy, phase)
        moves = {State.HALF_OPEN: State.CLOSED}
    assert after.state == moves.get(phase.state, phase.state), "I1"
    if isinstance(after, Ramping | Shedding):
        check_share(policy, phase, after)
        assert luck < after.share, "I11: its chance was not good enough"
    elif isinstance(phase, Open):
        missing = world.rejected < getattr(policy.recovery, "rejections", 0)
        waived = phase.since + getattr(policy.recovery, "waiver", 0.0) <= NOW
        assert not missing or waived or phase.permitted, "I14: too few rejections"
    assert admission.epoch == after.epoch, "I4: admitted in another epoch"
    assert would_reject == _would_be_open(phase), "what would have been"
    if isinstance(after, HalfOpen):
        _check_place(policy, world, after, admission)
    else:
        assert admission.place is None, "I2: a place where there is no round"
        assert after is phase or isinstance(phase, Open | Ramping | Shedding)


def _check_place(
    policy: Policy, world: World, after: HalfOpen, given: Admission
) -> None:
    alive = _alive(after)
    assert len(alive) == len(after.places), "I3: an ended lease holds its place"
    assert len(alive) <= policy.probe_concurrency, "I2: concurrency"
    assert len(alive) + after.successes <= policy.probes, "I2: probes"
    assert Place(given.place or 0, NOW + policy.probe_lease) in alive, "I3: its lease"
    assert given not in [call.admission for call in world.calls], "I2: given twice"


def _would_be_open(phase: Phase) -> bool:
    if not isinstance(phase, Observing) or phase.until is None:
        return False
    return phase.until > NOW


def _alive(phase: HalfOpen) -> list[Place]:
    return [place for place in phase.places if place.until > NOW]


def _room(policy: Policy, phase: HalfOpen) -> int:
    return min(policy.probe_concurrency, policy.probes - phase.successes)


# -- a call ends -------------------------------------------------------------------------


def check_outcome(
    policy: Policy, world: World, given: Admission, outcome: Outcome, after: Phase
) -> None:
    """I1, I4, I5 and I8. The world has counted the outcome already."""
    before = world.phase
    check_epochs(before, after)
    if given.epoch != before.epoch:
        assert after is before, "I4: a late outcome changed something"
    elif isinstance(before, HalfOpen):
        _check_probe(policy, world, before, outcome, after)
    elif isinstance(before, Ramping):
        _check_answer(policy, before, outcome, after)
    elif isinstance(before, Shedding):
        good = outcome.kind is Kind.SUCCESS
        assert after == before.replace(accepted=before.accepted + good), "I8, I11"
    elif isinstance(before, Closed):
        trips = _trips(policy, world, outcome)
        shed = isinstance(policy.recovery, Shed)
        tripped = State.HALF_OPEN if shed else State.OPEN
        assert after.state == (tripped if trips else State.CLOSED), "I1, I8"
        assert not trips or isinstance(after, Shedding if shed else Open), "I1"
        assert trips or after is before, "I8"
    elif isinstance(before, Observing):
        assert isinstance(after, Observing), "I1: metrics only never trips"
        crossed = _trips(policy, world, outcome) and not _would_be_open(before)
        assert after.trips == before.trips + crossed, "one crossing, noted once"
        assert crossed or after is before, "I8"
    else:
        assert isinstance(before, Disabled), "I1: it admitted nobody"
        assert after is before, "I8"


def _trips(policy: Policy, world: World, outcome: Outcome) -> bool:
    slow = policy.trip.watches_slow_streak
    streak = world.slow_streak if slow else world.streak
    return outcome not in {GOOD, NEUTRAL} and streak >= STREAK


def _check_probe(
    policy: Policy, world: World, before: HalfOpen, outcome: Outcome, after: Phase
) -> None:
    if outcome.kind is Kind.FAILURE or outcome.slow:
        assert isinstance(after, Open), "I1: a failed probe reopens at once"
        assert after.trips == before.trips + 1
        assert after.until > NOW
        assert after.safe == before.safe, "I13: what is safe"
        assert after.outage == before.outage, "I13: when the outage began"
    elif outcome == GOOD and world.successes == policy.probes:
        ends = Closed if policy.ramp is None else Ramping
        assert isinstance(after, ends), "I1, I12: enough successes"
        assert after.trips == before.trips
        if isinstance(after, Ramping) and policy.ramp:
            assert after.share == (before.safe or policy.ramp.steps[0]), "I12"
    else:
        assert isinstance(after, HalfOpen), "I1"
        assert after.successes == world.successes, "I8: successes of the round"
        out = len(before.places) + before.lost
        assert len(after.places) + after.lost == out - 1, "I8: one place back"


def _check_answer(
    policy: Policy, before: Ramping, outcome: Outcome, after: Phase
) -> None:
    """I8, I11 and I13 of a call of the share."""
    ramp = policy.ramp
    assert ramp is not None
    if outcome.kind is Kind.NEUTRAL and not outcome.slow:
        assert after is before, "I8"
    elif outcome.kind is Kind.SUCCESS:
        assert after == before.replace(good=before.good + 1, row=0), "I11"
    elif before.row + 1 < ramp.failures:
        assert after == before.replace(bad=before.bad + 1, row=before.row + 1), "I13"
    else:
        assert isinstance(after, Open), "I13"
        assert after.outage is None, "I13: another outage begins"
        assert after.safe == max(ramp.floor, before.share / 2), "I13"
        shortest = policy.recovery.wait(max(1, before.trips), 0.5)
        assert after.until == NOW + shortest, "I13: the wait of an outage that begins"


# -- time --------------------------------------------------------------------------------


def check_that_time_heals(policy: Policy, world: World) -> None:
    """I3: whatever is lost, a call is admitted when the wait or a lease is over."""
    phase = world.phase
    if isinstance(phase, Open):
        waived = getattr(policy.recovery, "waiver", 0.0)
        moment = max(NOW, phase.until, phase.since + waived)
        verdict = rules.admit(policy, phase, moment)
        assert isinstance(verdict, Admitted), "I3: open for ever"
    if isinstance(phase, Ramping | Shedding):
        verdict = rules.admit(policy, phase, NOW)
        assert isinstance(verdict, Admitted), "I3: nobody is of the share"
    if isinstance(phase, HalfOpen):
        verdict = rules.admit(policy, phase, NOW + policy.probe_lease)
        assert isinstance(verdict, Admitted), "I3: half-open for ever"
        out = sum(call.admission.epoch == phase.epoch for call in world.calls)
        assert len(phase.places) + phase.lost == out, "a probe is nowhere"
        assert phase.successes == world.successes, "a success is nowhere"


# -- operators and links -----------------------------------------------------------------


def is_held(phase: Phase) -> bool:
    """Tell whether an operator decided what happens, so that nothing trips."""
    return isinstance(phase, ForcedOpen | Disabled | Observing)


def check_command(before: Phase, command: Command, after: Phase) -> None:
    """I1, I5, I7 and I9: a command does what it says."""
    check_epochs(before, after)
    assert not (is_held(before) and command is Command.TRIP), "I9"
    assert after.state == (COMMANDED[command] or before.state), "I1"
    if command in {Command.FORCE_OPEN, Command.DISABLE}:
        assert getattr(after, "origin", None) == Origin.HERE, "a link could release it"
    if command is Command.RESET:
        assert after == Closed(epoch=before.epoch + 1, since=NOW), "I7"
    elif after.epoch == before.epoch and command is not Command.PERMIT:
        assert after is before, "asking again changes nothing"


def check_permission(
    policy: Policy, before: Phase, command: Command, after: Phase
) -> None:
    """I14: a permission ends the wait, and nothing else."""
    if command is not Command.PERMIT:
        return
    if not isinstance(before, Open):
        assert after is before, "I14"
        return
    assert isinstance(after, Open), "I14: it never closes"
    assert after.replace(until=0, permitted=True) == before.replace(
        until=0, permitted=True
    ), "I14: it ends the wait"
    assert isinstance(rules.admit(policy, after, NOW), Admitted), "I14"


def is_news(link: Link, word: Word) -> bool:
    """Tell whether a link has not said this, or something later, before."""
    if link.last is None or word.epoch > link.last.epoch:
        return True
    shut = MORE_AND_MORE_SHUT.index
    return word.epoch == link.last.epoch and shut(word.state) > shut(link.last.state)


def check_word(
    policy: Policy, before: Phase, link: Link, word: Word, after: Phase
) -> None:
    """I1, I5 and I10: the table of what each word does in each phase."""
    check_epochs(before, after)
    if not is_news(link, word):
        assert after is before, "I10: old news changed something"
        return
    expected = _adopted(before, link.origin, word.state)
    ramps = isinstance(before, Open | HalfOpen) and policy.ramp is not None
    if expected is State.CLOSED and ramps:
        assert isinstance(after, Ramping), "I12: a word begins the ramp"
        return
    assert after.state == (expected or before.state), "I10"
    if expected is None and not isinstance(before, Open):
        assert after is before, "I10"
    elif expected is None:
        plain = {"until": 0, "permitted": False}
        assert after.replace(**plain) == before.replace(**plain), "I10"
    elif expected is not State.CLOSED:
        assert getattr(after, "origin", None) == link.origin, "I10: who decided"
    if word.state is State.OPEN and isinstance(after, Open):
        known = before.until if isinstance(before, Open) else NOW
        assert after.until == max(known, NOW + word.remaining), "I10: the later end"


def _adopted(phase: Phase, origin: Origin, said: State) -> State | None:
    """Return the state that a word leads to, or None if it stays what it is."""
    held = isinstance(phase, ForcedOpen | Disabled)
    its_own = getattr(phase, "origin", None) == origin
    if said in {State.FORCED_OPEN, State.DISABLED}:
        return None if its_own and phase.state == said else said
    if said is State.OPEN:
        whose = Closed | HalfOpen | Ramping | Shedding
        may = isinstance(phase, whose) or (held and its_own)
        return State.OPEN if may else None
    ended = its_own and not isinstance(phase, Ramping | Shedding)
    return State.CLOSED if ended else None
