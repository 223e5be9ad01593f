from __future__ import annotations

import copy
import pickle

import pytest

from recloser._core.outcomes import FailureInfo, Kind, Outcome

BOOM = FailureInfo(type="ConnectionError", message="refused", at=12.5)


def test_outcome_says_as_little_as_it_was_told() -> None:
    assert Outcome(Kind.SUCCESS) == Outcome(
        kind=Kind.SUCCESS, slow=False, cause=None, retry_after=None, cancelled=False
    )


def test_outcome_needs_a_kind() -> None:
    with pytest.raises(TypeError, match="kind"):
        Outcome()  # type: ignore[call-arg] - the mistake is the test


def test_outcomes_survive_pickling_and_copying() -> None:
    outcome = Outcome(Kind.FAILURE, slow=True, cause=BOOM, retry_after=3.0)

    assert pickle.loads(pickle.dumps(outcome)) == outcome  # noqa: S301 - our own bytes
    assert copy.deepcopy(outcome) == outcome


def test_failure_info_is_a_value_and_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(BOOM))  # noqa: S301 - our own bytes

    assert again == BOOM
    assert hash(again) == hash(BOOM)
    assert repr(BOOM) == (
        "FailureInfo(type='ConnectionError', message='refused', at=12.5)"
    )


def test_failure_info_keeps_what_it_was_told_and_nothing_else() -> None:
    with pytest.raises(TypeError, match="error"):
        FailureInfo(type="E", message="", at=0.0, error=ValueError())  # type: ignore[call-arg] - the mistake is the test


def test_kinds_are_the_three_that_rules_know() -> None:
    assert [kind.value for kind in Kind] == ["success", "failure", "neutral"]
