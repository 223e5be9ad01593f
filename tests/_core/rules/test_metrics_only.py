"""Metrics only: calls go through; what would have happened is noted. I4, I5, I9."""

from __future__ import annotations

import pytest

from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import Admission, Observing
from recloser._core.recovery import Backoff, Shed
from recloser._core.rules import Admitted, admit, settle
from recloser._core.windows import Evidence

from .moves import BAD, BOOM, GOOD, NEUTRAL, NOTHING, SLOW_GOOD, ended, policy

STREAK = Evidence(streak=2)
OBSERVING = Observing(epoch=4, since=0.0)


def crossed(until: float = 10.0) -> Observing:
    """A circuit that would have opened."""
    return OBSERVING.replace(
        trips=1,
        until=until,
        reason="2 failures in a row",
        failure=BOOM,
        evidence=STREAK,
    )


def test_observing_circuit_admits_every_call() -> None:
    verdict = admit(policy(), OBSERVING, 1e9)

    assert verdict == Admitted(OBSERVING, Admission(epoch=4), would_reject=False)


def test_crossing_is_noted_with_its_reason_and_the_state_stays() -> None:  # I5
    after = ended(policy(), OBSERVING, BAD, evidence=STREAK, now=0.0)

    assert after == crossed(until=10.0)


def test_calls_that_would_have_been_rejected_are_admitted_and_told() -> None:
    verdict = admit(policy(), crossed(until=10.0), 9.9)

    assert verdict == Admitted(crossed(10.0), Admission(epoch=4), would_reject=True)


def test_no_call_would_be_rejected_after_the_wait() -> None:
    verdict = admit(policy(), crossed(until=10.0), 10.0)

    assert verdict == Admitted(crossed(10.0), Admission(epoch=4), would_reject=False)


@pytest.mark.parametrize("outcome", [GOOD, BAD, NEUTRAL, SLOW_GOOD])
def test_one_crossing_is_noted_once(outcome: Outcome) -> None:
    phase = crossed(until=10.0)

    after = ended(policy(), phase, outcome, evidence=STREAK, now=9.9)

    assert after is phase


def test_next_crossing_is_noted_when_the_wait_is_over() -> None:
    after = ended(policy(), crossed(until=10.0), BAD, evidence=STREAK, now=10.0)

    assert isinstance(after, Observing)
    assert (after.trips, after.until) == (2, 20.0)


def test_imagined_wait_does_not_grow_for_nobody_probed() -> None:
    rules = policy(recovery=Backoff(10, factor=2, jitter=0))
    phase = crossed().replace(trips=5)

    after = ended(rules, phase, BAD, evidence=STREAK, now=100.0)

    assert isinstance(after, Observing)
    assert after.until == 110.0


def test_hint_lengthens_the_imagined_wait() -> None:
    busy = Outcome(Kind.FAILURE, cause=BOOM, retry_after=60.0)

    after = ended(policy(), OBSERVING, busy, evidence=STREAK, now=0.0)

    assert isinstance(after, Observing)
    assert after.until == 60.0


def test_crossing_rejects_nobody_where_the_policy_would_shed() -> None:
    after = ended(policy(recovery=Shed()), OBSERVING, BAD, evidence=STREAK, now=3.0)

    assert after == crossed(until=3.0)


@pytest.mark.parametrize("outcome", [GOOD, NEUTRAL])
def test_fast_success_and_neutral_call_never_cross(outcome: Outcome) -> None:  # I8
    after = ended(policy(), OBSERVING, outcome, evidence=STREAK)

    assert after is OBSERVING


def test_outcome_of_an_earlier_epoch_changes_nothing() -> None:  # I4
    after = settle(policy(), OBSERVING, Admission(3), BAD, STREAK, 1.0, 0.5)

    assert after is OBSERVING


@pytest.mark.parametrize("never_given", [Admission(4, 1), Admission(5)])
def test_admission_that_was_never_given_is_refused(never_given: Admission) -> None:
    with pytest.raises(ValueError, match="was not given by Observing"):  # I9
        settle(policy(), OBSERVING, never_given, BAD, NOTHING, 1.0, 0.5)
