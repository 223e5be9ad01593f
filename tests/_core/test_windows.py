from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recloser._core.windows import Counts, CountWindow, Evidence, TimeWindow


def test_windows_are_values() -> None:
    assert CountWindow(100) == CountWindow(100)
    assert TimeWindow(60) == TimeWindow(60.0)
    assert len({CountWindow(60), TimeWindow(60), CountWindow(60)}) == 2


def test_windows_read_like_the_calls_inside_them() -> None:
    texts = [str(CountWindow(100)), str(TimeWindow(60)), str(TimeWindow(2.5))]

    assert texts == ["the last 100 calls", "the last 60 s", "the last 2.5 s"]


@pytest.mark.parametrize(
    ("size", "kind", "message"),
    [
        (0, ValueError, "size must be at least 1, got 0"),
        (-1, ValueError, "size must be at least 1, got -1"),
        (10.0, TypeError, "size must be a whole number, got 10.0"),
        ("10", TypeError, "size must be a whole number, got '10'"),
        (True, TypeError, "size must be a whole number, got True"),
    ],
)
def test_count_window_refuses_a_bad_size(
    size: int, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        CountWindow(size)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("seconds", "kind", "message"),
    [
        (0, ValueError, "seconds must be more than 0 seconds, got 0"),
        (-60, ValueError, "seconds must be more than 0 seconds, got -60"),
        (float("nan"), ValueError, "seconds must be finite, got nan"),
        ("60", TypeError, "seconds must be seconds or a timedelta, got '60'"),
        (None, TypeError, "seconds must be seconds or a timedelta, got None"),
    ],
)
def test_time_window_refuses_a_bad_length(
    seconds: float, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        TimeWindow(seconds)

    assert str(caught.value) == message


def test_time_window_has_ten_buckets() -> None:
    window = TimeWindow(60)

    assert window.width == 6.0
    assert [window.bucket(now) for now in (0.0, 5.999, 6.0, 59.9, 60.0)] == [
        0,
        0,
        1,
        9,
        10,
    ]


def test_buckets_are_aligned_to_the_clock_also_before_zero() -> None:
    window = TimeWindow(10)

    assert [window.bucket(now) for now in (-1.5, -1.0, -0.5, 0.0)] == [-2, -1, -1, 0]


@given(
    seconds=st.floats(0.01, 1e6),
    first=st.floats(0, 1e9),
    later=st.floats(0, 1e6),
)
def test_a_later_call_is_never_in_an_earlier_bucket(
    seconds: float, first: float, later: float
) -> None:
    window = TimeWindow(seconds)

    assert window.bucket(first) <= window.bucket(first + later)


def test_counts_give_their_rates() -> None:
    counts = Counts(calls=8, failures=2, slow=3, slow_calls=10)

    assert (counts.failure_rate, counts.slow_rate) == (0.25, 0.3)


def test_counts_of_nothing_have_no_rate() -> None:
    assert (Counts().failure_rate, Counts().slow_rate) == (None, None)


def test_slow_cancelled_calls_have_a_slow_rate_and_no_failure_rate() -> None:
    counts = Counts(slow=2, slow_calls=2)  # finding 11

    assert (counts.failure_rate, counts.slow_rate) == (None, 1.0)


def test_counts_since_earlier_counts_are_their_difference() -> None:
    now, then = Counts(10, 4, 3, 12), Counts(7, 1, 3, 8)

    assert now.minus(then) == Counts(3, 3, 0, 4)


def test_evidence_of_nothing_is_empty() -> None:
    assert Evidence() == (0, 0, {}, {}, {})


def test_time_window_is_no_shorter_than_a_clock_can_tell() -> None:
    with pytest.raises(ValueError) as caught:
        TimeWindow(0.0009)

    assert str(caught.value) == "seconds must be at least 0.001, got 0.0009"
    assert TimeWindow(0.001).seconds == 0.001
