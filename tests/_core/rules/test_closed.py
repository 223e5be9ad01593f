"""Closed: calls go through; rules are asked after calls that can have made them true."""

from __future__ import annotations

import pytest

from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import Admission, Open
from recloser._core.recovery import Backoff, Wait
from recloser._core.rules import Admitted, admit, settle
from recloser._core.trips import ConsecutiveFailures, FailureRate, SlowCallRate
from recloser._core.windows import Counts, CountWindow, Evidence, TimeWindow

from .moves import (
    BAD,
    BOOM,
    GOOD,
    NEUTRAL,
    NOTHING,
    SLOW_BAD,
    SLOW_CANCELLED,
    SLOW_GOOD,
    closed,
    ended,
    policy,
)

TEN = CountWindow(10)
MINUTE = TimeWindow(60)

STREAK = Evidence(streak=2)
DAMNING = Evidence(
    streak=100,
    slow_streak=100,
    counts={TEN: Counts(10, 10, 10, 10), MINUTE: Counts(99, 99, 99, 99)},
)
EVERYTHING = (
    ConsecutiveFailures(2)
    | FailureRate(0.5, window=TEN, minimum_calls=2)
    | SlowCallRate(0.5, slower_than=1, window=MINUTE, minimum_calls=2)
)


def test_closed_circuit_admits_every_call_and_stays_as_it_is() -> None:
    phase = closed(epoch=7)

    verdict = admit(policy(), phase, 1e9)

    assert verdict == Admitted(phase, Admission(epoch=7, place=None))
    assert verdict.phase is phase


def test_failure_below_the_limit_changes_nothing() -> None:
    phase = closed()

    after = ended(policy(trip=3), phase, BAD, evidence=STREAK)

    assert after is phase


def test_failure_that_completes_the_streak_opens() -> None:  # I1, I5
    after = ended(policy(trip=2), closed(epoch=1), BAD, evidence=STREAK, now=12.0)

    assert after == Open(
        epoch=2,
        since=12.0,
        until=22.0,
        trips=1,
        reason="2 failures in a row",
        failure=BOOM,
        evidence=STREAK,
    )


def test_wait_lies_within_its_jitter_where_chance_puts_it() -> None:
    rules = policy(recovery=Wait(10, jitter=0.2))

    waits = [
        ended(rules, closed(), BAD, evidence=STREAK, now=0.0, chance=chance)
        for chance in (0.0, 0.5, 0.75)
    ]

    assert [phase.until for phase in waits if isinstance(phase, Open)] == [8, 10, 11]


def test_fast_success_never_opens() -> None:  # I8
    phase = closed()

    after = ended(policy(trip=EVERYTHING), phase, GOOD, evidence=DAMNING)

    assert after is phase


def test_neutral_call_changes_nothing() -> None:  # I8
    phase = closed()

    after = ended(policy(trip=EVERYTHING), phase, NEUTRAL, evidence=DAMNING)

    assert after is phase


@pytest.mark.parametrize("outcome", [SLOW_GOOD, SLOW_CANCELLED])
def test_slow_call_asks_slow_rules_only(outcome: Outcome) -> None:
    failures_only = policy(trip=FailureRate(0.5, window=TEN) | ConsecutiveFailures(2))
    slow_too = policy(trip=EVERYTHING)
    phase = closed()

    assert ended(failures_only, phase, outcome, evidence=DAMNING) is phase
    after = ended(slow_too, phase, outcome, evidence=DAMNING)

    assert isinstance(after, Open)
    assert after.reason == (
        "99 of 99 calls were slow in the last 60 s (100 %, limit 50 %), slow is 1 s"
    )


def test_fast_failure_asks_failure_rules_only() -> None:
    after = ended(policy(trip=EVERYTHING), closed(), BAD, evidence=DAMNING)

    assert isinstance(after, Open)
    assert after.reason == (
        "100 failures in a row; "
        "10 of 10 calls failed in the last 10 calls (100 %, limit 50 %)"
    )


def test_slow_failure_asks_every_rule_and_the_reason_lists_all_that_held() -> None:
    after = ended(policy(trip=EVERYTHING), closed(), SLOW_BAD, evidence=DAMNING)

    assert isinstance(after, Open)
    assert len(after.reason.split("; ")) == 3


def test_slow_cancelled_call_opens_with_no_failure_to_show() -> None:
    rules = policy(trip=ConsecutiveFailures(2, slower_than=1))

    after = ended(rules, closed(), SLOW_CANCELLED, evidence=Evidence(slow_streak=2))

    assert isinstance(after, Open)
    assert (after.reason, after.failure) == ("2 failures or slow calls in a row", None)


def test_hint_of_the_server_lengthens_the_wait() -> None:
    busy = Outcome(Kind.FAILURE, cause=BOOM, retry_after=60.0)

    after = ended(policy(), closed(), busy, evidence=STREAK, now=12.0)

    assert isinstance(after, Open)
    assert after.until == 72.0


def test_trips_are_remembered_until_healthy_time_has_made_them_fade() -> None:
    rules = policy(recovery=Backoff(10, factor=2, jitter=0, fade=100))
    phase = closed(since=0.0, trips=3)

    soon = ended(rules, phase, BAD, evidence=STREAK, now=99.0)
    later = ended(rules, phase, BAD, evidence=STREAK, now=200.0)
    long_after = ended(rules, phase, BAD, evidence=STREAK, now=1e6)

    waits = [
        (after.trips, after.until - after.since)
        for after in (soon, later, long_after)
        if isinstance(after, Open)
    ]
    assert waits == [(4, 80.0), (2, 20.0), (1, 10.0)]


@pytest.mark.parametrize("outcome", [GOOD, BAD, NEUTRAL, SLOW_GOOD, SLOW_CANCELLED])
@pytest.mark.parametrize("late", [Admission(4), Admission(4, 1)])
def test_outcome_of_an_earlier_epoch_changes_nothing(  # I4
    outcome: Outcome, late: Admission
) -> None:
    phase = closed(epoch=5)

    after = settle(policy(trip=EVERYTHING), phase, late, outcome, DAMNING, 1.0, 0.5)

    assert after is phase


@pytest.mark.parametrize(
    "never_given", [Admission(5, 1), Admission(6), Admission(5, 0)]
)
def test_admission_that_was_never_given_is_refused(never_given: Admission) -> None:
    with pytest.raises(ValueError) as caught:  # I9
        settle(policy(), closed(epoch=5), never_given, BAD, NOTHING, 1.0, 0.5)

    assert str(caught.value) == f"{never_given} was not given by {closed(epoch=5)}"


def test_rules_are_pure() -> None:
    arguments = (policy(), closed(), Admission(1), BAD, STREAK, 12.0, 0.5)

    first, second = settle(*arguments), settle(*arguments)

    assert first == second
    assert arguments[1] == closed()
