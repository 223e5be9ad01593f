"""Open: calls are rejected until the wait is over. I1, I4, I6, I9."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recloser._core.outcomes import Outcome
from recloser._core.phases import Admission, Open, Origin
from recloser._core.rules import Admitted, admit, settle
from recloser._core.windows import Evidence

from .moves import (
    BAD,
    GOOD,
    NEUTRAL,
    NOTHING,
    admitted,
    opened,
    policy,
    probing,
    refused,
)


@pytest.mark.parametrize("now", [0.0, 4.0, 9.999])
def test_open_circuit_rejects_until_its_wait_is_over(now: float) -> None:
    verdict = refused(policy(), opened(until=10.0), now)

    assert verdict == ("2 failures in a row", 10.0 - now)


def test_first_call_after_the_wait_is_the_probe() -> None:  # I1, I5
    phase, admission = admitted(policy(), opened(until=10.0), 10.0)

    assert admission == Admission(epoch=3, place=1)
    assert phase == probing(15.0, outage=0.0)


def test_half_open_remembers_why_the_circuit_opened() -> None:
    evidence = Evidence(streak=2)
    phase = opened(evidence=evidence, trips=7, origin=Origin.HOST)

    after, _ = admitted(policy(), phase, 11.0)

    known = {"trips": 7, "evidence": evidence, "origin": Origin.HOST, "outage": 0.0}
    assert after == probing(16.0, since=11.0, **known)


def test_nothing_happens_at_the_end_of_the_wait_by_itself() -> None:
    phase = opened(until=10.0)

    refused(policy(), phase, 9.0)
    late, _ = admitted(policy(), phase, 1e6)

    assert late.since == 1e6


def time_left(phase: Open, now: float) -> float:
    """Return what a caller is told now: the time to wait, or nothing to wait for."""
    verdict = admit(policy(), phase, now)
    if isinstance(verdict, Admitted):
        return 0.0
    assert verdict.retry_after is not None
    return verdict.retry_after


times = st.floats(-1e9, 1e9)


@given(now=times, wait=st.floats(0, 1e6))
def test_call_made_after_retry_after_is_not_refused(now: float, wait: float) -> None:
    phase = opened(until=now + wait)

    verdict = admit(policy(), phase, now + time_left(phase, now))  # I6

    assert isinstance(verdict, Admitted)


@given(now=times, until=times)
def test_retry_after_is_honest_for_any_clock(now: float, until: float) -> None:
    phase = opened(until=until)

    verdict = admit(policy(), phase, now + time_left(phase, now))  # I6

    assert isinstance(verdict, Admitted)


@given(now=times, until=times)
def test_retry_after_asks_for_no_more_than_what_is_left(
    now: float, until: float
) -> None:
    left = time_left(opened(until=until), now)

    assert left == pytest.approx(max(0.0, until - now), rel=1e-12, abs=1e-6)


@pytest.mark.parametrize("outcome", [GOOD, BAD, NEUTRAL])
def test_outcome_of_the_closed_period_changes_nothing(outcome: Outcome) -> None:  # I4
    phase = opened()

    after = settle(policy(), phase, Admission(1), outcome, NOTHING, 3.0, 0.5)

    assert after is phase


@pytest.mark.parametrize("never_given", [Admission(2), Admission(2, 1), Admission(3)])
def test_open_circuit_gave_no_admission(never_given: Admission) -> None:  # I9
    with pytest.raises(ValueError, match="was not given by Open"):
        settle(policy(), opened(), never_given, GOOD, NOTHING, 3.0, 0.5)
