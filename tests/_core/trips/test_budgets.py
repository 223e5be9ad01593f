"""`FalseTripBudget` as a rule: its options, its words, its combinations."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import Any

import pytest

from recloser._core.budget import Budget, Learned, Score
from recloser._core.outcomes import Kind, Outcome
from recloser._core.policy import Policy
from recloser._core.recovery import Backoff, Wait
from recloser._core.trips import ConsecutiveFailures, FalseTripBudget, SlowCallRate
from recloser._core.windows import Evidence

MONTH = 30 * 86_400.0
FAILED = Outcome(Kind.FAILURE)
SLOW = Outcome(Kind.SUCCESS, slow=True)


def full(
    budget: Budget, failures: int = 12, calls: int = 15, learned: Learned | None = None
) -> Score:
    known = learned or Learned(8.0, 1000.0, answered=True)
    return Score(known, 9.0, failures=failures, calls=calls, full=True)


def test_default_is_one_false_trip_a_month_at_half_of_the_calls() -> None:
    rule = FalseTripBudget()

    assert (rule.false_trips, rule.per, rule.unacceptable) == (1.0, MONTH, 0.5)
    assert (rule.settle, rule.slower_than) == (None, None)
    assert rule.budgets == (Budget(1 / MONTH, 0.5),)


def test_durations_may_be_timedeltas() -> None:
    given = FalseTripBudget(
        1,
        per=timedelta(days=30),
        settle=timedelta(milliseconds=250),
        slower_than=timedelta(seconds=2),
    )

    assert given == FalseTripBudget(1, per=MONTH, settle=0.25, slower_than=2.0)


def test_slow_calls_are_a_second_budget_and_each_has_half() -> None:
    rule = FalseTripBudget(slower_than=2.0)

    assert rule.slow_limit == 2.0
    assert rule.budgets == (
        Budget(0.5 / MONTH, 0.5),
        Budget(0.5 / MONTH, 0.5, slow=True),
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"false_trips": 0}, ValueError, "false_trips must be more than 0, got 0"),
        ({"false_trips": "1"}, TypeError, "false_trips must be a number, got '1'"),
        (
            {"false_trips": 2, "per": 3600},
            ValueError,
            "false_trips must be at most one an hour, got 2 per 3600 s",
        ),
        (
            {"per": 1e12},
            ValueError,
            "false_trips must be at least one in 1000 years, got 1 per 1e+12 s",
        ),
        ({"per": 0}, ValueError, "per must be more than 0 seconds, got 0"),
        (
            {"unacceptable": 0.9},
            ValueError,
            "unacceptable must be in [0.1, 0.8], got 0.9",
        ),
        (
            {"unacceptable": 0.05},
            ValueError,
            "unacceptable must be in [0.1, 0.8], got 0.05",
        ),
        (
            {"unacceptable": 50},
            ValueError,
            "unacceptable must be in (0, 1], got 50 (rates are fractions: did you mean 0.5?)",
        ),
        ({"settle": 6}, ValueError, "settle must be at most 5 seconds, got 6"),
        ({"settle": -1}, ValueError, "settle must be at least 0 seconds, got -1"),
        (
            {"slower_than": 0},
            ValueError,
            "slower_than must be more than 0 seconds, got 0",
        ),
    ],
)
def test_an_option_out_of_range_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        FalseTripBudget(**options)

    assert str(caught.value) == message


def test_one_an_hour_is_allowed() -> None:
    assert FalseTripBudget(1, per=3600).budgets[0].per_second == 1 / 3600
    assert FalseTripBudget(24, per=86_400).budgets[0].per_second == 1 / 3600


def test_it_is_asked_after_a_failure_and_after_a_slow_call_where_that_counts() -> None:
    deaf, timed = FalseTripBudget(), FalseTripBudget(slower_than=1)

    assert (deaf.wakes(FAILED), deaf.wakes(SLOW)) == (True, False)
    assert (timed.wakes(FAILED), timed.wakes(SLOW)) == (True, True)
    assert not timed.wakes(Outcome(Kind.SUCCESS))


def test_reason_has_the_run_and_what_is_usual() -> None:
    rule = FalseTripBudget()
    (budget,) = rule.budgets

    reason = rule.judge(Evidence(scores={budget: full(budget)}), FAILED, 9.0)

    assert reason == "12 of the last 15 calls failed; usual is 0.8 %"


def test_reason_of_slow_calls_says_what_slow_is() -> None:
    rule = FalseTripBudget(slower_than=2)
    _, slow = rule.budgets

    reason = rule.judge(Evidence(scores={slow: full(slow, 8, 9)}), SLOW, 9.0)

    assert reason == "8 of the last 9 calls were slow; usual is 0.8 %, slow is 2 s"


def test_reason_of_a_breaker_that_never_saw_a_success_says_so() -> None:
    rule = FalseTripBudget(slower_than=2)
    failing, slow = rule.budgets
    scores = {
        failing: full(failing, 5, 5, Learned()),
        slow: full(slow, 5, 5, Learned()),
    }

    reason = rule.judge(Evidence(scores=scores), FAILED, 9.0)

    assert reason == (
        "5 of the last 5 calls failed; none ever succeeded; "
        "5 of the last 5 calls were slow; none ever was fast, slow is 2 s"
    )


def test_a_score_that_is_not_full_or_not_kept_gives_no_reason() -> None:
    rule = FalseTripBudget()
    (budget,) = rule.budgets
    low = full(budget)._replace(full=False)

    assert rule.judge(Evidence(scores={budget: low}), FAILED, 9.0) is None
    assert rule.judge(Evidence(), FAILED, 9.0) is None


def test_it_combines_with_other_rules() -> None:
    rule = FalseTripBudget()
    (budget,) = rule.budgets
    evidence = Evidence(streak=2, scores={budget: full(budget)})
    either, both = rule | ConsecutiveFailures(3), rule & ConsecutiveFailures(3)

    assert either.judge(evidence, FAILED, 9.0) == (
        "12 of the last 15 calls failed; usual is 0.8 %"
    )
    assert both.judge(evidence, FAILED, 9.0) is None
    assert both.judge(evidence._replace(streak=3), FAILED, 9.0) == (
        "12 of the last 15 calls failed; usual is 0.8 %; and 3 failures in a row"
    )
    assert either.budgets == both.budgets == rule.budgets
    assert (rule | rule).budgets == rule.budgets


def test_one_breaker_has_one_limit_for_slow_calls() -> None:
    with pytest.raises(ValueError, match="one breaker has one slower_than"):
        FalseTripBudget(slower_than=1) | SlowCallRate(0.5, slower_than=2)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            FalseTripBudget(),
            "failures beyond bad luck (1 false trip in 30 days, 50 % is unacceptable)",
        ),
        (
            FalseTripBudget(2, per=timedelta(days=1), unacceptable=0.3, slower_than=2),
            "failures or calls of 2 s beyond bad luck (2 false trips in 1 day, 30 % is unacceptable)",
        ),
        (
            FalseTripBudget(0.5, per=timedelta(hours=5)),
            "failures beyond bad luck (0.5 false trips in 5 hours, 50 % is unacceptable)",
        ),
        (
            FalseTripBudget(1, per=5000),
            "failures beyond bad luck (1 false trip in 5000 s, 50 % is unacceptable)",
        ),
    ],
)
def test_it_is_said_in_words(rule: FalseTripBudget, words: str) -> None:
    assert str(rule) == words


def test_it_is_a_value() -> None:
    rule = FalseTripBudget(slower_than=1)

    assert rule.replace(settle=1) == FalseTripBudget(slower_than=1, settle=1)
    assert rule.replace(slower_than=None).budgets == FalseTripBudget().budgets
    assert pickle.loads(pickle.dumps(rule)) == copy.copy(rule) == rule  # noqa: S301 - our own
    assert hash(rule) == hash(FalseTripBudget(slower_than=1))
    assert eval(repr(rule)) == rule  # noqa: S307 - our own text


def test_settings_can_name_it() -> None:
    policy = Policy.from_mapping(
        {
            "trip": {
                "false_trips": "1",
                "per": "86400",
                "unacceptable": 0.3,
                "settle": 0.5,
                "slower_than": 2,
            }
        }
    )

    assert policy.trip == FalseTripBudget(
        1, per=86_400, unacceptable=0.3, settle=0.5, slower_than=2
    )


def test_settings_show_the_path_to_a_bad_value() -> None:
    with pytest.raises(ValueError, match=r"^trip\.any\[1\]\.false_trips: unacceptable"):
        Policy.from_mapping(
            {"trip": {"any": [5, {"false_trips": 1, "unacceptable": 1}]}}
        )


@pytest.mark.parametrize(
    ("recovery", "settle"),
    [
        (Wait(30), 0.3),
        (Wait(1), 0.1),
        (Wait(600), 1.0),
        (Backoff(5), 0.1),
        (Backoff(40), 0.4),
    ],
)
def test_settle_is_a_hundredth_of_the_first_wait_within_bounds(
    recovery: Wait | Backoff, settle: float
) -> None:
    assert Policy(recovery=recovery).settle == pytest.approx(settle)
