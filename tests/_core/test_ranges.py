from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from recloser._core import ranges

Check = Callable[[str, Any], object]


def at_least_one(name: str, value: object) -> float:
    return ranges.at_least(name, value, 1)


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (ranges.whole, 1, 1),
        (ranges.whole, 10**30, 10**30),
        (ranges.number, -3, -3.0),
        (ranges.number, 0.5, 0.5),
        (at_least_one, 1, 1.0),
        (at_least_one, 7.5, 7.5),
        (ranges.rate, 1, 1.0),
        (ranges.rate, 1e-9, 1e-9),
        (ranges.share, 0, 0.0),
        (ranges.share, 0.999, 0.999),
        (ranges.seconds, 30, 30.0),
        (ranges.seconds, 0.001, 0.001),
        (ranges.seconds, timedelta(minutes=2), 120.0),
        (ranges.seconds, timedelta(microseconds=1), 1e-6),
    ],
)
def test_value_inside_its_range_is_returned(
    check: Check, value: object, expected: float
) -> None:
    result = check("option", value)

    assert (result, type(result)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (ranges.whole, 0, "option must be at least 1, got 0"),
        (ranges.whole, -3, "option must be at least 1, got -3"),
        (ranges.number, math.nan, "option must be finite, got nan"),
        (ranges.number, math.inf, "option must be finite, got inf"),
        (ranges.number, -math.inf, "option must be finite, got -inf"),
        (ranges.number, 10**400, f"option must be finite, got {10**400}"),
        (at_least_one, 0.999, "option must be at least 1, got 0.999"),
        (at_least_one, math.nan, "option must be finite, got nan"),
        (ranges.rate, 0, "option must be in (0, 1], got 0"),
        (ranges.rate, -0.5, "option must be in (0, 1], got -0.5"),
        (
            ranges.rate,
            1.5,
            (
                "option must be in (0, 1], got 1.5 "
                "(rates are fractions: did you mean 0.015?)"
            ),
        ),
        (
            ranges.rate,
            50,
            "option must be in (0, 1], got 50 (rates are fractions: did you mean 0.5?)",
        ),
        (ranges.rate, 101, "option must be in (0, 1], got 101"),
        (ranges.rate, math.nan, "option must be finite, got nan"),
        (ranges.share, -0.1, "option must be in [0, 1), got -0.1"),
        (ranges.share, 1, "option must be in [0, 1), got 1"),
        (ranges.share, math.nan, "option must be finite, got nan"),
        (ranges.seconds, 0, "option must be more than 0 seconds, got 0"),
        (ranges.seconds, -1.5, "option must be more than 0 seconds, got -1.5"),
        (ranges.seconds, math.nan, "option must be finite, got nan"),
        (ranges.seconds, math.inf, "option must be finite, got inf"),
        (
            ranges.seconds,
            timedelta(seconds=-5),
            f"option must be more than 0 seconds, got {timedelta(seconds=-5)!r}",
        ),
        (ranges.seconds, 1e16, "option must be at most 1e+12 seconds, got 1e+16"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_value_outside_its_range_is_shown_with_the_rule_it_broke(
    check: Check, value: object, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        check("option", value)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("check", "rule"),
    [
        (ranges.whole, "a whole number"),
        (ranges.number, "a number"),
        (at_least_one, "a number"),
        (ranges.rate, "a number"),
        (ranges.share, "a number"),
        (ranges.seconds, "seconds or a timedelta"),
    ],
)
@pytest.mark.parametrize(
    "value", [None, "5", True, False, [5], Decimal(5), 5j, timedelta, object]
)
def test_value_of_a_wrong_type_is_shown_with_the_rule_it_broke(
    check: Check, rule: str, value: object
) -> None:
    with pytest.raises(TypeError) as caught:
        check("option", value)

    assert str(caught.value) == f"option must be {rule}, got {value!r}"


@pytest.mark.parametrize("value", [5.0, 4.5, math.nan])
def test_whole_number_is_no_float(value: float) -> None:
    with pytest.raises(TypeError, match="must be a whole number"):
        ranges.whole("option", value)


def test_timedelta_is_no_rate() -> None:
    with pytest.raises(TypeError, match="must be a number"):
        ranges.rate("option", timedelta(seconds=1))


@pytest.mark.parametrize("value", [-1, timedelta(seconds=-1)])
def test_duration_that_may_be_zero_says_so(value: object) -> None:
    with pytest.raises(ValueError) as caught:
        ranges.duration("option", value)

    assert ranges.duration("option", 0) == 0
    assert str(caught.value) == f"option must be at least 0 seconds, got {value!r}"
