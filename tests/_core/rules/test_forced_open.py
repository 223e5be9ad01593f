"""Forced open: calls are rejected until somebody resets. I6, I9."""

from __future__ import annotations

import pytest

from recloser._core.outcomes import Outcome
from recloser._core.phases import Admission, ForcedOpen
from recloser._core.rules import settle

from .moves import BAD, GOOD, NEUTRAL, NOTHING, policy, refused

FORCED = ForcedOpen(epoch=4, since=0.0)


@pytest.mark.parametrize("now", [0.0, 10.0, 1e12])
def test_forced_open_circuit_rejects_for_ever(now: float) -> None:
    assert refused(policy(), FORCED, now) == ("held open by hand", None)  # I6


def test_rejection_says_who_holds_it_open() -> None:
    phase = FORCED.replace(reason="maintenance of the ledger")

    assert refused(policy(), phase, 1.0) == ("maintenance of the ledger", None)


@pytest.mark.parametrize("outcome", [GOOD, BAD, NEUTRAL])
def test_outcome_of_an_earlier_epoch_changes_nothing(outcome: Outcome) -> None:  # I4
    after = settle(policy(), FORCED, Admission(3, 1), outcome, NOTHING, 1.0, 0.5)

    assert after is FORCED


@pytest.mark.parametrize("never_given", [Admission(4), Admission(4, 1), Admission(5)])
def test_forced_open_circuit_gave_no_admission(never_given: Admission) -> None:  # I9
    with pytest.raises(ValueError, match="was not given by ForcedOpen"):
        settle(policy(), FORCED, never_given, GOOD, NOTHING, 1.0, 0.5)
