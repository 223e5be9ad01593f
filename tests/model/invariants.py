"""I1 to I10 of `recloser._core.rules`, said once more in words of their own.

Each function judges one move. It knows what the design says, and takes nothing from the
rules but what they returned.
"""

from __future__ import annotations

from typing import Final

from recloser._core import rules
from recloser._core.events import ProbeLost, Transition, WouldTrip, difference
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
    Word,
)
from recloser._core.policy import Policy
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
    assert kinds.count(Transition) == grown, "one transition for each epoch"
    lost = isinstance(after, HalfOpen) and after.lost > getattr(before, "lost", 0)
    assert kinds.count(ProbeLost) == lost, "each lost probe is told"
    assert set(kinds) <= {Transition, ProbeLost, WouldTrip}


# -- a call comes ------------------------------------------------------------------------


def check_refusal(policy: Policy, phase: Phase, refused: Refused) -> None:
    """I1, I3 and I6: who refuses, until when, and not a moment longer."""
    if isinstance(phase, ForcedOpen):
        assert refused.retry_after is None, "I6: None only when forced open"
        return
    assert isinstance(phase, Open | HalfOpen), f"I1: {phase.state} refuses"
    wait = refused.retry_after
    assert wait is not None, "I6: None only when forced open"
    assert wait > 0, "I6: refused although it may come now"
    then = rules.admit(policy, phase, NOW + wait)
    assert isinstance(then, Admitted), f"I6: still refused after {wait} s"
    earlier = rules.admit(policy, phase, NOW + wait / 2)
    assert isinstance(earlier, Refused), f"I6: admitted before {wait} s had passed"
    if isinstance(phase, HalfOpen):
        assert len(_alive(phase)) >= _room(policy, phase), "I3: a place is free"


def check_admission(policy: Policy, world: World, admitted: Admitted) -> None:
    """I1, I2, I4 and I5 of a call that may be made."""
    phase, (after, admission, would_reject) = world.phase, admitted
    check_epochs(phase, after)
    moves = {State.OPEN: State.HALF_OPEN}
    assert after.state == moves.get(phase.state, phase.state), "I1"
    assert admission.epoch == after.epoch, "I4: admitted in another epoch"
    assert would_reject == _would_be_open(phase), "what would have been"
    if isinstance(after, HalfOpen):
        _check_place(policy, world, after, admission)
    else:
        assert admission.place is None, "I2: a place where there is no round"
        assert after is phase


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
    elif isinstance(before, Closed):
        trips = _trips(policy, world, outcome)
        assert after.state == (State.OPEN if trips else State.CLOSED), "I1, I8"
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
    elif outcome == GOOD and world.successes == policy.probes:
        assert isinstance(after, Closed), "I1: enough successes close"
        assert after.trips == before.trips
    else:
        assert isinstance(after, HalfOpen), "I1"
        assert after.successes == world.successes, "I8: successes of the round"
        out = len(before.places) + before.lost
        assert len(after.places) + after.lost == out - 1, "I8: one place back"


# -- time --------------------------------------------------------------------------------


def check_that_time_heals(policy: Policy, world: World) -> None:
    """I3: whatever is lost, a call is admitted when the wait or a lease is over."""
    phase = world.phase
    if isinstance(phase, Open):
        verdict = rules.admit(policy, phase, max(NOW, phase.until))
        assert isinstance(verdict, Admitted), "I3: open for ever"
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
    assert after.state == COMMANDED[command], "I1"
    if command in {Command.FORCE_OPEN, Command.DISABLE}:
        assert getattr(after, "origin", None) == Origin.HERE, "a link could release it"
    if command is Command.RESET:
        assert after == Closed(epoch=before.epoch + 1, since=NOW), "I7"
    elif after.epoch == before.epoch:
        assert after is before, "asking again changes nothing"


def is_news(link: Link, word: Word) -> bool:
    """Tell whether a link has not said this, or something later, before."""
    if link.last is None or word.epoch > link.last.epoch:
        return True
    shut = MORE_AND_MORE_SHUT.index
    return word.epoch == link.last.epoch and shut(word.state) > shut(link.last.state)


def check_word(before: Phase, link: Link, word: Word, after: Phase) -> None:
    """I1, I5 and I10: the table of what each word does in each phase."""
    check_epochs(before, after)
    if not is_news(link, word):
        assert after is before, "I10: old news changed something"
        return
    expected = _adopted(before, link.origin, word.state)
    assert after.state == (expected or before.state), "I10"
    if expected is None and not isinstance(before, Open):
        assert after is before, "I10"
    elif expected is None:
        assert after.replace(until=0) == before.replace(until=0), "I10"
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
        may = isinstance(phase, Closed | HalfOpen) or (held and its_own)
        return State.OPEN if may else None
    return State.CLOSED if its_own else None
