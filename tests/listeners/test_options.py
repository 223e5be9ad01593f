from __future__ import annotations

from datetime import timedelta

import pytest

from recloser.listeners._options import seconds, whole


@pytest.mark.parametrize(
    ("given", "expected"), [(5, 5.0), (0.5, 0.5), (timedelta(minutes=1), 60.0)]
)
def test_durations_are_numbers_or_timedeltas(given: object, expected: float) -> None:
    assert seconds("every", given) == expected


@pytest.mark.parametrize("given", [0, -1, float("nan"), float("inf"), timedelta(0)])
def test_a_duration_that_is_none_shows_the_value(given: object) -> None:
    rules = "every must be (more than 0 seconds|finite), got"

    with pytest.raises(ValueError, match=rules) as caught:
        seconds("every", given)

    assert str(caught.value).endswith(f"got {given!r}")


@pytest.mark.parametrize("given", ["5", None, True])
def test_a_duration_must_be_a_number(given: object) -> None:
    with pytest.raises(TypeError, match="every must be a number, got"):
        seconds("every", given)


@pytest.mark.parametrize("given", [1.0, "1", True])
def test_a_count_must_be_a_whole_number(given: object) -> None:
    with pytest.raises(TypeError, match="names must be a whole number, got"):
        whole("names", given)


def test_a_count_must_be_at_least_one() -> None:
    with pytest.raises(ValueError, match="names must be at least 1, got 0"):
        whole("names", 0)
