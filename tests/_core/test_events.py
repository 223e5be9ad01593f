"""Events are the difference of two phases."""

from __future__ import annotations

import pickle

import pytest

from recloser._core.events import (
    Event,
    ProbeLost,
    ShareChanged,
    Transition,
    WouldTrip,
    difference,
)
from recloser._core.outcomes import FailureInfo
from recloser._core.phases import (
    Closed,
    Disabled,
    ForcedOpen,
    HalfOpen,
    Observing,
    Open,
    Phase,
    Place,
    Ramping,
)
from recloser._core.states import State
from recloser._core.windows import Evidence

BOOM = FailureInfo(type="ConnectionError", message="refused", at=12.0)
EVIDENCE = Evidence(streak=5)

CLOSED = Closed(epoch=1, since=0.0)
OPEN = Open(
    epoch=2,
    since=12.0,
    until=42.0,
    trips=1,
    reason="5 failures in a row",
    failure=BOOM,
    evidence=EVIDENCE,
)
HALF_OPEN = HalfOpen(
    epoch=3,
    since=50.0,
    trips=1,
    reason="5 failures in a row",
    failure=BOOM,
    evidence=EVIDENCE,
    places=(Place(1, 80.0),),
    issued=1,
)
FORCED = ForcedOpen(epoch=4, since=60.0, reason="held open by the fleet")
DISABLED = Disabled(epoch=5, since=60.0)
OBSERVING = Observing(epoch=6, since=60.0)
ALL: list[Phase] = [CLOSED, OPEN, HALF_OPEN, FORCED, DISABLED, OBSERVING]


@pytest.mark.parametrize("phase", ALL, ids=lambda phase: phase.state)
def test_nothing_happens_between_a_phase_and_itself(phase: Phase) -> None:
    assert difference("payments", phase, phase, 70.0) == ()


def test_opening_tells_why_on_what_evidence_and_until_when() -> None:
    events = difference("payments", CLOSED, OPEN, 12.0)

    assert events == (
        Transition(
            name="payments",
            epoch=2,
            at=12.0,
            before=State.CLOSED,
            after=State.OPEN,
            reason="5 failures in a row",
            retry_after=30.0,
            failure=BOOM,
            evidence=EVIDENCE,
        ),
    )


def test_half_opening_still_tells_why_the_circuit_was_open() -> None:
    events = difference("payments", OPEN, HALF_OPEN, 50.0)

    assert events == (
        Transition(
            name="payments",
            epoch=3,
            at=50.0,
            before=State.OPEN,
            after=State.HALF_OPEN,
            reason="the wait is over (5 failures in a row)",
            failure=BOOM,
        ),
    )


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (Closed(epoch=9, since=60.0), ""),
        (FORCED.replace(epoch=9), "held open by the fleet"),
        (DISABLED.replace(epoch=9), ""),
        (OBSERVING.replace(epoch=9), ""),
    ],
)
def test_other_transitions_tell_what_they_know(after: Phase, reason: str) -> None:
    events = difference("payments", HALF_OPEN, after, 60.0)

    assert events == (
        Transition(
            name="payments",
            epoch=9,
            at=60.0,
            before=State.HALF_OPEN,
            after=after.state,
            reason=reason,
        ),
    )


def test_reset_of_a_closed_circuit_is_a_transition_too() -> None:
    again = Closed(epoch=2, since=5.0)

    (event,) = difference("payments", CLOSED, again, 5.0)

    assert isinstance(event, Transition)
    assert (event.before, event.after, event.epoch) == ("closed", "closed", 2)


def test_longer_wait_is_no_transition() -> None:
    assert difference("payments", OPEN, OPEN.replace(until=99.0), 13.0) == ()


def test_probe_that_begins_or_comes_back_is_no_transition() -> None:
    done = HALF_OPEN.replace(places=(), successes=1)

    assert difference("payments", HALF_OPEN, done, 51.0) == ()
    assert difference("payments", done, HALF_OPEN, 51.0) == ()


def test_probe_whose_lease_ended_is_told_with_how_many_are_out() -> None:
    after = HALF_OPEN.replace(lost=2)

    events = difference("payments", HALF_OPEN.replace(lost=1), after, 81.0)

    assert events == (ProbeLost(name="payments", epoch=3, at=81.0, lost=2),)


def test_lost_probe_that_comes_back_is_not_lost_again() -> None:
    before = HALF_OPEN.replace(lost=2)

    assert difference("payments", before, HALF_OPEN.replace(lost=1), 81.0) == ()


def test_crossing_is_told_once_while_metrics_only() -> None:
    crossed = OBSERVING.replace(
        trips=1, until=90.0, reason="5 failures in a row", failure=BOOM
    ).replace(evidence=EVIDENCE)

    events = difference("payments", OBSERVING, crossed, 60.0)

    assert events == (
        WouldTrip(
            name="payments",
            epoch=6,
            at=60.0,
            reason="5 failures in a row",
            failure=BOOM,
            evidence=EVIDENCE,
        ),
    )
    assert difference("payments", crossed, crossed, 61.0) == ()


def test_cut_of_a_share_tells_how_bad_the_answers_were() -> None:
    before = Ramping(
        epoch=7, since=60.0, trips=1, reason="", share=0.5, good=1, bad=3, began=60.0
    )
    after = before.replace(epoch=8, share=0.25, good=0, bad=0)

    events = difference("payments", before, after, 65.0)

    assert events == (
        ShareChanged(
            name="payments",
            epoch=8,
            at=65.0,
            before=0.5,
            share=0.25,
            reason="3 of 4 answers were bad",
        ),
    )


@pytest.mark.parametrize("before", ALL, ids=lambda phase: phase.state)
@pytest.mark.parametrize("after", ALL, ids=lambda phase: phase.state)
def test_every_change_of_epoch_is_exactly_one_transition(
    before: Phase, after: Phase
) -> None:
    moved = after.replace(epoch=100)

    (event,) = difference("payments", before, moved, 60.0)

    assert isinstance(event, Transition)
    assert (event.epoch, event.at) == (100, 60.0)
    assert (event.before, event.after) == (before.state, after.state)


def test_events_are_values_that_survive_pickling() -> None:
    (event,) = difference("payments", CLOSED, OPEN, 12.0)

    again = pickle.loads(pickle.dumps(event))  # noqa: S301 - our own bytes

    assert again == event
    assert isinstance(again, Event)
    with pytest.raises(AttributeError, match="Transition is frozen"):
        again.epoch = 7
