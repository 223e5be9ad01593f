from __future__ import annotations

import pickle
from typing import get_args

import pytest

from recloser._core.phases import (
    Admission,
    Closed,
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
from recloser._core.states import State
from recloser._core.values import Value

ALL: list[Phase] = [
    Closed(epoch=1, since=0.0),
    Open(epoch=2, since=0.0, until=30.0, trips=1, reason="5 failures in a row"),
    HalfOpen(epoch=3, since=30.0, trips=1, reason="5 failures in a row"),
    Ramping(epoch=4, since=31.0, trips=1, reason="5 failures", share=0.25, began=31.0),
    Shedding(epoch=3, since=30.0, trips=1, reason="5 failures", began=31.0, quiet=31.0),
    ForcedOpen(epoch=4, since=0.0),
    Disabled(epoch=5, since=0.0),
    Observing(epoch=6, since=0.0),
]


def test_each_state_has_a_type_of_phase_and_half_open_three() -> None:
    kinds = get_args(Phase)

    assert {kind.state for kind in kinds} == set(State)
    assert len(kinds) == len(State) + 2
    assert [type(phase) for phase in ALL] == list(kinds)


@pytest.mark.parametrize("phase", ALL, ids=lambda phase: phase.state)
def test_phases_are_values(phase: Value) -> None:
    again = pickle.loads(pickle.dumps(phase))  # noqa: S301 - our own bytes

    assert again == phase
    assert hash(again) == hash(phase)
    assert "state=" not in repr(phase)  # the type says it


@pytest.mark.parametrize(
    ("phase", "missing"),
    [(Closed, "until"), (ForcedOpen, "until"), (Disabled, "reason"), (Open, "places")],
)
def test_phase_has_only_what_exists_in_its_state(
    phase: type[Value], missing: str
) -> None:
    assert missing not in phase._fields


def test_half_open_begins_with_every_place_free() -> None:
    phase = HalfOpen(epoch=3, since=30.0, trips=1, reason="why")

    assert (phase.successes, phase.issued, phase.places, phase.lost) == (0, 0, (), 0)


def test_decisions_are_made_here_unless_a_link_brought_them() -> None:
    assert [getattr(phase, "origin", None) for phase in ALL] == [
        None,
        Origin.HERE,
        Origin.HERE,
        Origin.HERE,
        Origin.HERE,
        Origin.HERE,
        Origin.HERE,
        None,
    ]


def test_admission_of_a_call_that_is_no_probe_has_no_place() -> None:
    assert Admission(7) == (7, None)
    assert Place(number=1, until=60.0) == (1, 60.0)


def test_link_has_heard_nothing_yet() -> None:
    assert Link(origin=Origin.FLEET).last is None


def test_word_without_a_wait_has_none_left() -> None:
    word = Word(state=State.CLOSED, epoch=3)

    assert (word.remaining, word.reason) == (0.0, "")
