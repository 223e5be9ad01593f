"""Disabled: calls go through and count for nothing. I4, I9."""

from __future__ import annotations

import pytest

from recloser._core.outcomes import Outcome
from recloser._core.phases import Admission, Disabled
from recloser._core.rules import Admitted, admit, settle
from recloser._core.windows import Evidence

from .moves import BAD, GOOD, NEUTRAL, NOTHING, SLOW_BAD, SLOW_CANCELLED, policy

DISABLED = Disabled(epoch=4, since=0.0)


def test_disabled_circuit_admits_every_call() -> None:
    verdict = admit(policy(), DISABLED, 1e9)

    assert verdict == Admitted(DISABLED, Admission(epoch=4), would_reject=False)


@pytest.mark.parametrize("outcome", [GOOD, BAD, NEUTRAL, SLOW_BAD, SLOW_CANCELLED])
@pytest.mark.parametrize("epoch", [3, 4])
def test_nothing_that_happens_trips_it(outcome: Outcome, epoch: int) -> None:
    damning = Evidence(streak=1000, slow_streak=1000)

    after = settle(policy(), DISABLED, Admission(epoch), outcome, damning, 1.0, 0.5)

    assert after is DISABLED


@pytest.mark.parametrize("never_given", [Admission(4, 1), Admission(5)])
def test_admission_that_was_never_given_is_refused(never_given: Admission) -> None:
    with pytest.raises(ValueError, match="was not given by Disabled"):  # I9
        settle(policy(), DISABLED, never_given, GOOD, NOTHING, 1.0, 0.5)
