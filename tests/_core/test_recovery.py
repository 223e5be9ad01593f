from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recloser._core.recovery import Backoff, Recovery, Wait

chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("chance", "expected"), [(0.0, 27.0), (0.25, 28.5), (0.5, 30.0), (0.75, 31.5)]
)
def test_jitter_spreads_a_wait_by_a_tenth_unless_told_otherwise(
    chance: float, expected: float
) -> None:
    assert Wait().wait(1, chance) == expected


@given(trips=st.integers(1, 10**6), chance=chances)
def test_wait_is_the_same_after_every_trip(trips: int, chance: float) -> None:
    assert Wait(30, jitter=0).wait(trips, chance) == 30.0


@pytest.mark.parametrize("healthy", [0.0, 1e9])
def test_wait_remembers_no_trips(healthy: float) -> None:
    assert Wait(30).remembered(5, healthy) == 0


def test_no_probe_waits_for_rejected_calls_unless_a_policy_says_so() -> None:
    assert (Wait().missing(0, 0.0), Wait().waived_after) == (0, 0.0)


def test_backoff_grows_with_each_trip_up_to_its_maximum() -> None:
    backoff = Backoff(5, factor=2, maximum=60, jitter=0)

    waits = [backoff.wait(trips, 0.5) for trips in (1, 2, 3, 4, 5, 6, 1000)]

    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]


def test_backoff_of_factor_one_is_a_wait() -> None:
    backoff = Backoff(5, factor=1, jitter=0)

    assert [backoff.wait(trips, 0.5) for trips in (1, 2, 10**9)] == [5.0, 5.0, 5.0]


def test_backoff_whose_maximum_is_its_initial_wait_stays_below_it() -> None:
    backoff = Backoff(5, maximum=5, jitter=0.1)

    assert backoff.wait(1, math.nextafter(1, 0)) <= 5.0


backoffs = st.builds(
    lambda initial, times, factor, jitter: Backoff(
        initial, factor=factor, maximum=initial * times, jitter=jitter
    ),
    initial=st.floats(1e-3, 1e4),
    times=st.floats(1, 1e6),
    factor=st.floats(1, 1e3),
    jitter=st.floats(0, 0.99),
)


@given(backoff=backoffs, trips=st.integers(1, 10**12), chance=chances)
def test_no_jitter_lifts_a_wait_above_the_maximum(
    backoff: Backoff, trips: int, chance: float
) -> None:
    wait = backoff.wait(trips, chance)

    assert 0 < wait <= backoff.maximum * (1 + 1e-12)


@given(backoff=backoffs, trips=st.integers(1, 10**6), chance=chances)
def test_wait_never_shrinks_with_another_trip(
    backoff: Backoff, trips: int, chance: float
) -> None:
    shorter, longer = backoff.wait(trips, chance), backoff.wait(trips + 1, chance)

    assert shorter <= longer * (1 + 1e-12)


@pytest.mark.parametrize(
    ("healthy", "expected"),
    [(0.0, 5), (99.0, 5), (100.0, 4), (250.0, 3), (500.0, 0), (1e9, 0)],
)
def test_each_fade_of_healthy_time_forgets_one_trip(
    healthy: float, expected: int
) -> None:
    assert Backoff(5, fade=100).remembered(5, healthy) == expected


def test_fade_is_as_long_as_the_maximum_unless_told_otherwise() -> None:
    assert Backoff(5, maximum=120).fade == 120.0


@pytest.mark.parametrize("recovery", [Wait(10), Backoff(10)])
@pytest.mark.parametrize(
    ("hint", "chance", "expected"),
    [
        (None, 0.5, 10.0),
        (0.0, 0.5, 10.0),
        (1.0, 0.5, 10.0),  # a hint never shortens
        (100.0, 0.0, 100.0),
        (100.0, 0.5, 105.0),  # jitter only adds to it
        (290.0, 0.999, 300.0),  # ... and not beyond the ceiling
        (1e9, 0.5, 300.0),
    ],
)
def test_hint_may_lengthen_a_wait_up_to_its_ceiling(
    recovery: Recovery, hint: float | None, chance: float, expected: float
) -> None:
    assert recovery.wait(1, chance, hint) == pytest.approx(expected)


def test_ceiling_for_hints_never_shortens_the_policys_own_wait() -> None:
    recovery = Wait(1000, jitter=0, longest_hint=60)

    assert recovery.wait(1, 0.5, hint=500.0) == 1000.0


def test_durations_may_be_timedeltas() -> None:
    minute = timedelta(minutes=1)

    assert Wait(minute, longest_hint=minute) == Wait(60, longest_hint=60)
    assert Backoff(minute, maximum=10 * minute, fade=minute, longest_hint=minute) == (
        Backoff(60, maximum=600, fade=60, longest_hint=60)
    )


def test_policies_are_values_that_read_well() -> None:
    assert Wait(30) == Wait(30.0, jitter=0.1)
    assert Wait(30) != Backoff(30)
    assert repr(Wait(2.5, jitter=0)) == "Wait(2.5, jitter=0)"
    assert str(Wait(30)) == "30 s, give or take 10 %"
    assert str(Backoff(5)) == "5 s times 2 per trip, at most 300 s"


SECONDS = "must be seconds or a timedelta"
POSITIVE = "must be more than 0 seconds"


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "message"),
    [
        ((0,), {}, ValueError, f"seconds {POSITIVE}, got 0"),
        ((-1,), {}, ValueError, f"seconds {POSITIVE}, got -1"),
        ((math.nan,), {}, ValueError, "seconds must be finite, got nan"),
        (("30",), {}, TypeError, f"seconds {SECONDS}, got '30'"),
        ((True,), {}, TypeError, f"seconds {SECONDS}, got True"),
        ((30,), {"jitter": 1}, ValueError, "jitter must be in [0, 1), got 1"),
        ((30,), {"jitter": -0.1}, ValueError, "jitter must be in [0, 1), got -0.1"),
        ((30,), {"jitter": None}, TypeError, "jitter must be a number, got None"),
        ((30,), {"longest_hint": 0}, ValueError, f"longest_hint {POSITIVE}, got 0"),
        ((30,), {"longest_hint": "x"}, TypeError, f"longest_hint {SECONDS}, got 'x'"),
    ],
)
def test_wait_refuses_bad_numbers(
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    with pytest.raises(kind) as caught:
        Wait(*arguments, **options)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "message"),
    [
        ((0,), {}, ValueError, f"initial {POSITIVE}, got 0"),
        (("5",), {}, TypeError, f"initial {SECONDS}, got '5'"),
        ((5,), {"factor": 0.9}, ValueError, "factor must be at least 1, got 0.9"),
        ((5,), {"factor": math.inf}, ValueError, "factor must be finite, got inf"),
        ((5,), {"factor": "2"}, TypeError, "factor must be a number, got '2'"),
        ((5,), {"maximum": 0}, ValueError, f"maximum {POSITIVE}, got 0"),
        (
            (5,),
            {"maximum": 4},
            ValueError,
            "maximum must be at least initial (5 s), got 4",
        ),
        (
            (500,),
            {},
            ValueError,
            "maximum must be at least initial (500 s), got 300.0",
        ),
        ((5,), {"jitter": 1.0}, ValueError, "jitter must be in [0, 1), got 1.0"),
        ((5,), {"fade": 0}, ValueError, f"fade {POSITIVE}, got 0"),
        ((5,), {"fade": "1"}, TypeError, f"fade {SECONDS}, got '1'"),
        ((5,), {"longest_hint": -1}, ValueError, f"longest_hint {POSITIVE}, got -1"),
    ],
)
def test_backoff_refuses_bad_numbers(
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    with pytest.raises(kind) as caught:
        Backoff(*arguments, **options)

    assert str(caught.value) == message
