from __future__ import annotations

import pickle

import pytest

from recloser._core.states import State

NAMES = ["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]


def test_states_are_the_six_public_names() -> None:
    assert list(State) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_member_equals_its_string_and_is_found_by_it(name: str) -> None:  # finding 29
    state = State(name)

    assert state == name
    assert f"{state}" == name
    assert pickle.loads(pickle.dumps(state)) is state  # noqa: S301 - our own bytes


def test_unknown_name_is_no_state() -> None:
    with pytest.raises(ValueError, match="'ajar' is not a valid State"):
        State("ajar")
