"""Trip rules: what they look at, when they are asked, and what they say."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from recloser._core.outcomes import Kind, Outcome
from recloser._core.trips import (
    AllOf,
    AnyOf,
    ConsecutiveFailures,
    FailureRate,
    SlowCallRate,
    TripRule,
)
from recloser._core.windows import Counts, CountWindow, Evidence, TimeWindow, Window

GOOD = Outcome(Kind.SUCCESS)
BAD = Outcome(Kind.FAILURE)
NEUTRAL = Outcome(Kind.NEUTRAL)
SLOW_GOOD = Outcome(Kind.SUCCESS, slow=True)
SLOW_BAD = Outcome(Kind.FAILURE, slow=True)
SLOW_CANCELLED = Outcome(Kind.NEUTRAL, slow=True, cancelled=True)
ENDINGS = [GOOD, BAD, NEUTRAL, SLOW_GOOD, SLOW_BAD, SLOW_CANCELLED]

TEN = CountWindow(10)
MINUTE = TimeWindow(60)


def seen(window: Window, *counts: int) -> Evidence:
    return Evidence(counts={window: Counts(*counts)})


# Who is asked when: finding 15.


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ConsecutiveFailures(5), [BAD, SLOW_BAD]),
        (
            ConsecutiveFailures(5, slower_than=1),
            [BAD, SLOW_GOOD, SLOW_BAD, SLOW_CANCELLED],
        ),
        (FailureRate(0.5), [BAD, SLOW_BAD]),
        (SlowCallRate(0.5, slower_than=1), [SLOW_GOOD, SLOW_BAD, SLOW_CANCELLED]),
        (
            FailureRate(0.5) | SlowCallRate(0.5, slower_than=1),
            [BAD, SLOW_GOOD, SLOW_BAD, SLOW_CANCELLED],
        ),
        (
            FailureRate(0.5) & SlowCallRate(0.5, slower_than=1),
            [BAD, SLOW_GOOD, SLOW_BAD, SLOW_CANCELLED],
        ),
    ],
    ids=str,
)
def test_failure_rules_wake_on_failures_and_slow_rules_on_slow_calls(
    rule: TripRule, expected: list[Outcome]
) -> None:
    assert [ending for ending in ENDINGS if rule.wakes(ending)] == expected


# Streaks


@pytest.mark.parametrize(
    ("streak", "expected"),
    [(0, None), (4, None), (5, "5 failures in a row"), (9, "9 failures in a row")],
)
def test_streak_trips_from_its_length_on(streak: int, expected: str | None) -> None:
    rule = ConsecutiveFailures(5)

    assert rule.judge(Evidence(streak=streak), BAD, 0.0) == expected


def test_streak_without_a_limit_of_slowness_does_not_look_at_slow_calls() -> None:
    rule = ConsecutiveFailures(2)

    assert rule.judge(Evidence(streak=1, slow_streak=100), BAD, 0.0) is None


def test_streak_with_a_limit_of_slowness_counts_failures_and_slow_calls() -> None:
    rule = ConsecutiveFailures(2, slower_than=1)

    reason = rule.judge(Evidence(streak=0, slow_streak=2), SLOW_CANCELLED, 0.0)

    assert reason == "2 failures or slow calls in a row"


@pytest.mark.parametrize(
    ("began", "expected"),
    [
        (40.0, "7 failures in a row, the last 5 in 60 s"),  # finding 30
        (39.9, None),
        (-math.inf, None),
    ],
)
def test_streak_has_a_greatest_age_counted_from_its_fifth_last_failure(
    began: float, expected: str | None
) -> None:
    rule = ConsecutiveFailures(5, within=60)
    evidence = Evidence(streak=7, since={(5, False): began})

    assert rule.judge(evidence, BAD, 100.0) == expected


def test_age_of_a_streak_of_slow_calls_is_its_own() -> None:
    rule = ConsecutiveFailures(2, slower_than=1, within=60)
    evidence = Evidence(slow_streak=2, since={(2, True): 90.0})

    reason = rule.judge(evidence, SLOW_GOOD, 100.0)

    assert reason == "2 failures or slow calls in a row, the last 2 in 10 s"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ConsecutiveFailures(5), ()),
        (ConsecutiveFailures(5, slower_than=1), ()),
        (ConsecutiveFailures(5, within=60), ((5, False),)),
        (ConsecutiveFailures(5, slower_than=1, within=60), ((5, True),)),
        (FailureRate(0.5), ()),
        (
            ConsecutiveFailures(5, within=60)
            | ConsecutiveFailures(9, within=600)
            | ConsecutiveFailures(5, within=30),
            ((5, False), (9, False)),
        ),
    ],
    ids=str,
)
def test_rules_name_the_streaks_whose_age_matters(
    rule: TripRule, expected: tuple[tuple[int, bool], ...]
) -> None:
    assert rule.spans == expected


# Rates


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((3, 3), None),  # below minimum_calls
        ((4, 1), None),
        (
            (4, 2),
            "2 of 4 calls failed in the last 10 calls (50 %, limit 50 %)",
        ),
        (
            (9, 8),
            "8 of 9 calls failed in the last 10 calls (88.9 %, limit 50 %)",
        ),
        ((0, 0), None),
    ],
)
def test_failure_rate_holds_from_its_rate_on_with_enough_calls(
    counts: tuple[int, int], expected: str | None
) -> None:
    rule = FailureRate(0.5, window=TEN, minimum_calls=4)

    assert rule.judge(seen(TEN, *counts), BAD, 0.0) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((99, 99, 3, 3), None),  # failures are not its business
        ((0, 0, 1, 4), None),
        (
            (2, 0, 2, 4),  # of the four, two were cancelled: finding 11
            "2 of 4 calls were slow in the last 60 s (50 %, limit 50 %), slow is 1.5 s",
        ),
    ],
)
def test_slow_rate_holds_from_its_rate_on_with_enough_timed_calls(
    counts: tuple[int, int, int, int], expected: str | None
) -> None:
    rule = SlowCallRate(0.5, slower_than=1.5, window=MINUTE, minimum_calls=4)

    assert rule.judge(seen(MINUTE, *counts), SLOW_BAD, 0.0) == expected


def test_slow_cancelled_calls_are_no_calls_of_the_failure_rate() -> None:
    rule = FailureRate(0.5, window=TEN, minimum_calls=4)  # finding 11

    assert rule.judge(seen(TEN, 3, 3, 5, 8), SLOW_BAD, 0.0) is None


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (None, 20),
        (TimeWindow(1), 20),
        (CountWindow(100), 20),
        (CountWindow(20), 20),
        (CountWindow(7), 7),
    ],
)
def test_rate_needs_twenty_calls_or_a_full_smaller_window(
    window: Window | None, expected: int
) -> None:
    rules = (
        FailureRate(0.5, window=window),
        SlowCallRate(0.5, slower_than=1, window=window),
    )

    assert [rule.minimum_calls for rule in rules] == [expected, expected]


def test_rate_looks_at_the_last_minute_unless_told_otherwise() -> None:
    assert FailureRate(0.5).windows == (TimeWindow(60),)
    assert SlowCallRate(0.5, slower_than=1).windows == (TimeWindow(60),)


# Combinations: finding 14.


STREAK = ConsecutiveFailures(2)
RATE = FailureRate(0.5, window=TEN, minimum_calls=2)
SLOW = SlowCallRate(0.5, slower_than=1, window=MINUTE, minimum_calls=2)
BOTH_HOLD = Evidence(2, 2, {TEN: Counts(2, 2, 0, 2), MINUTE: Counts(4, 0, 2, 4)})
ONLY_STREAK = Evidence(2, 2, {TEN: Counts(10, 2, 0, 2), MINUTE: Counts(4, 0, 0, 4)})


def test_any_of_gives_the_reason_of_each_rule_that_held() -> None:
    reason = (STREAK | RATE).judge(BOTH_HOLD, BAD, 0.0)

    assert reason == (
        "2 failures in a row; "
        "2 of 2 calls failed in the last 10 calls (100 %, limit 50 %)"
    )


def test_any_of_holds_when_one_rule_does() -> None:
    assert (STREAK | RATE).judge(ONLY_STREAK, BAD, 0.0) == "2 failures in a row"


def test_any_of_holds_when_no_rule_does_not() -> None:
    assert (STREAK | RATE).judge(Evidence(counts={TEN: Counts()}), BAD, 0.0) is None


def test_any_of_asks_a_rule_only_after_a_call_that_wakes_it() -> None:
    slow_only = (RATE | SLOW).judge(BOTH_HOLD, SLOW_GOOD, 0.0)
    failed_only = (RATE | SLOW).judge(BOTH_HOLD, BAD, 0.0)

    assert slow_only == (
        "2 of 4 calls were slow in the last 60 s (50 %, limit 50 %), slow is 1 s"
    )
    assert failed_only == "2 of 2 calls failed in the last 10 calls (100 %, limit 50 %)"


def test_all_of_holds_when_all_rules_do_at_one_reading() -> None:
    reason = (STREAK & RATE).judge(BOTH_HOLD, BAD, 0.0)

    assert reason == (
        "2 failures in a row; and "
        "2 of 2 calls failed in the last 10 calls (100 %, limit 50 %)"
    )


def test_all_of_does_not_hold_when_one_rule_does_not() -> None:
    assert (STREAK & RATE).judge(ONLY_STREAK, BAD, 0.0) is None


def test_all_of_failures_and_slowness_holds_whichever_call_came_last() -> None:
    rule = RATE & SLOW

    assert rule.judge(BOTH_HOLD, BAD, 0.0) == rule.judge(BOTH_HOLD, SLOW_GOOD, 0.0)
    assert rule.judge(BOTH_HOLD, BAD, 0.0) is not None


def test_combinations_of_one_kind_are_flat() -> None:
    flat = STREAK | RATE | SLOW

    assert flat == AnyOf(STREAK, RATE, SLOW)
    assert AllOf(STREAK, RATE, SLOW) == (STREAK & RATE & SLOW)
    assert flat == (STREAK | (RATE | SLOW))


def test_combinations_of_two_kinds_keep_their_brackets() -> None:
    rule = STREAK | RATE & SLOW

    assert rule == AnyOf(STREAK, AllOf(RATE, SLOW))
    assert rule.judge(ONLY_STREAK, BAD, 0.0) == "2 failures in a row"


def test_combination_names_each_window_once() -> None:
    rule = RATE | SLOW | FailureRate(0.9, window=TEN) & FailureRate(0.1, window=MINUTE)

    assert rule.windows == (TEN, MINUTE)


@pytest.mark.parametrize(
    ("rule", "limit", "streak"),
    [
        (STREAK | RATE, None, False),
        (STREAK | SLOW, 1.0, False),
        (SLOW & ConsecutiveFailures(2, slower_than=1), 1.0, True),
    ],
    ids=str,
)
def test_combination_has_the_slowness_of_its_parts(
    rule: TripRule, limit: float | None, *, streak: bool
) -> None:
    assert (rule.slow_limit, rule.watches_slow_streak) == (limit, streak)


def test_one_policy_has_one_slower_than() -> None:
    with pytest.raises(ValueError) as caught:  # finding 11
        _ = SLOW | ConsecutiveFailures(5, slower_than=2.5)

    assert str(caught.value) == (
        "one breaker has one slower_than: a policy cannot have 1 and 2.5"
    )


def test_equal_limits_given_differently_are_one() -> None:
    rule = SLOW | ConsecutiveFailures(5, slower_than=timedelta(seconds=1))

    assert rule.slow_limit == 1.0


@pytest.mark.parametrize("other", [5, None, "5", FailureRate])
def test_rules_combine_with_rules_only(other: Any) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        STREAK | other
    with pytest.raises(TypeError, match="unsupported operand"):
        STREAK & other
    with pytest.raises(TypeError, match="must be combined with trip rules, got"):
        AnyOf(STREAK, other)


# Words and values


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (ConsecutiveFailures(5), "5 failures in a row"),
        (
            ConsecutiveFailures(5, slower_than=2, within=60),
            "5 failures (or calls of 2 s) in a row within 60 s",
        ),
        (RATE, "50 % of the last 10 calls failed (from 2 calls)"),
        (SLOW, "50 % of the last 60 s took 1 s or more (from 2 calls)"),
        (
            STREAK | RATE,
            "2 failures in a row, or 50 % of the last 10 calls failed (from 2 calls)",
        ),
        (
            STREAK & RATE,
            (
                "(2 failures in a row) and "
                "(50 % of the last 10 calls failed (from 2 calls))"
            ),
        ),
    ],
)
def test_rules_read_like_a_sentence(rule: TripRule, text: str) -> None:
    assert str(rule) == text


def test_rules_are_values() -> None:
    assert ConsecutiveFailures(5) == ConsecutiveFailures(5)
    assert ConsecutiveFailures(5) != ConsecutiveFailures(5, within=60)
    assert len({RATE, FailureRate(0.5, window=TEN, minimum_calls=2), STREAK}) == 2
    assert hash(STREAK | RATE) == hash(STREAK | RATE)


# Bad input


WINDOW = "window must be a CountWindow or a TimeWindow"
POSITIVE = "must be more than 0 seconds"


@pytest.mark.parametrize(
    ("failures", "options", "kind", "message"),
    [
        (0, {}, ValueError, "failures must be at least 1, got 0"),
        (-5, {}, ValueError, "failures must be at least 1, got -5"),
        (5.0, {}, TypeError, "failures must be a whole number, got 5.0"),
        (True, {}, TypeError, "failures must be a whole number, got True"),
        ("5", {}, TypeError, "failures must be a whole number, got '5'"),
        (5, {"slower_than": 0}, ValueError, f"slower_than {POSITIVE}, got 0"),
        (
            5,
            {"slower_than": "2"},
            TypeError,
            "slower_than must be seconds or a timedelta, got '2'",
        ),
        (5, {"within": -1}, ValueError, f"within {POSITIVE}, got -1"),
        (5, {"within": math.inf}, ValueError, "within must be finite, got inf"),
    ],
)
def test_consecutive_failures_refuses_bad_numbers(
    failures: int, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        ConsecutiveFailures(failures, **options)

    assert str(caught.value) == message


RATE_MISTAKES: list[tuple[float, dict[str, Any], type[Exception], str]] = [
    (0, {}, ValueError, "rate must be in (0, 1], got 0"),
    (-0.5, {}, ValueError, "rate must be in (0, 1], got -0.5"),
    (
        50,
        {},
        ValueError,
        "rate must be in (0, 1], got 50 (rates are fractions: did you mean 0.5?)",
    ),
    (math.nan, {}, ValueError, "rate must be finite, got nan"),
    ("0.5", {}, TypeError, "rate must be a number, got '0.5'"),  # type: ignore[list-item] - the mistake is the test
    (True, {}, TypeError, "rate must be a number, got True"),
    (0.5, {"window": 60}, TypeError, f"{WINDOW}, got 60"),
    (0.5, {"window": CountWindow}, TypeError, f"{WINDOW}, got {CountWindow!r}"),
    (
        0.5,
        {"minimum_calls": 0},
        ValueError,
        "minimum_calls must be at least 1, got 0",
    ),
    (
        0.5,
        {"minimum_calls": 2.0},
        TypeError,
        "minimum_calls must be a whole number, got 2.0",
    ),
    (
        0.5,
        {"window": TEN, "minimum_calls": 11},
        ValueError,
        "minimum_calls must be at most the window's 10 calls, got 11",
    ),
]


@pytest.mark.parametrize(("rate", "options", "kind", "message"), RATE_MISTAKES)
def test_failure_rate_refuses_bad_numbers(
    rate: float, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        FailureRate(rate, **options)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("rate", "options", "kind", "message"),
    [
        *RATE_MISTAKES,
        (0.5, {"slower_than": 0}, ValueError, f"slower_than {POSITIVE}, got 0"),
        (
            0.5,
            {"slower_than": None},
            TypeError,
            "slower_than must be seconds or a timedelta, got None",
        ),
    ],
)
def test_slow_call_rate_refuses_bad_numbers(
    rate: float, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        SlowCallRate(rate, **{"slower_than": 1, **options})

    assert str(caught.value) == message


def test_slow_call_rate_must_say_what_slow_is() -> None:
    with pytest.raises(TypeError, match="slower_than"):
        SlowCallRate(0.5)  # type: ignore[call-arg] - the mistake is the test


@pytest.mark.parametrize("ask", [TripRule.wakes, TripRule.judge])
def test_rule_without_a_judgement_is_no_rule(ask: Any) -> None:
    arguments = (BAD,) if ask is TripRule.wakes else (Evidence(), BAD, 0.0)

    with pytest.raises(NotImplementedError):
        ask(TripRule(), *arguments)


def test_combined_rules_can_be_replaced() -> None:
    either = ConsecutiveFailures(3) | ConsecutiveFailures(5)

    other = either.replace(rules=(ConsecutiveFailures(3), ConsecutiveFailures(7)))

    assert other == ConsecutiveFailures(3) | ConsecutiveFailures(7)
