"""The rules of the simulation: ours is the breaker's, the others are what they say."""

from __future__ import annotations

import importlib
import random
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from benchmarks.detection.compiled import Compiled, library, ours_monthly
from benchmarks.detection.rules import LastCalls, LastSeconds, Ours, Streak
from recloser import CircuitBreaker, CircuitOpenError, FalseTripBudget, State, Wait
from recloser.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.detection.rules import Rule


def outcomes(seed: int) -> list[tuple[float, bool]]:
    """Return pauses and failures: an hour of changing rates at one call a second."""
    rng = random.Random(seed)
    rates = [rng.choice([0.01, 0.1, 0.2, 0.4, 0.6, 1.0]) for _ in range(60)]
    return [
        (rng.expovariate(1), rng.random() < rates[number // 60])
        for number in range(3600)
    ]


def test_ours_opens_at_the_calls_at_which_a_breaker_opens() -> None:
    policy = FalseTripBudget(settle=0.25)
    clock, simulated = FakeClock(), Ours("ours", policy, 0.25)
    breaker = CircuitBreaker(
        "b",
        trip=policy,
        recovery=Wait(30, jitter=0),
        clock=clock,
        registry="none",
        baseline={"failed": [0.0, 40.0]},
    )
    simulated.begin(0, 0.0)
    opened: tuple[list[int], list[int]] = ([], [])

    for number, (pause, fails) in enumerate(outcomes(1)):
        clock.advance(pause)
        with suppress(OSError, CircuitOpenError):
            breaker.call(_end, fails)
        if fails and simulated.failed(number, clock(), []):
            opened[0].append(number)
            simulated.begin(number + 1, clock())
        if breaker.state is State.OPEN:
            opened[1].append(number)
            breaker.reset()

    assert opened[0] == opened[1]
    assert len(opened[0]) > 5


def _end(fails: object) -> None:
    if fails:
        raise OSError("down")


@pytest.mark.skipif(library() is None, reason="nothing here compiles C")
@pytest.mark.parametrize("settle", [0.0, 0.25])
def test_compiled_rule_opens_where_the_shipped_one_does(settle: float) -> None:
    rng, policy = random.Random(2), FalseTripBudget(per=3600)
    rules: list[Rule] = [Ours("a", policy, settle), Compiled("b", policy, settle)]
    numbers, ats, now = array("q"), array("d"), 0.0
    for number in range(200_000):
        rate = (0.01, 0.2, 0.3)[number // 1000 % 3]
        now += rng.expovariate(10)
        if rng.random() < rate:
            numbers.append(number)
            ats.append(now)

    opened = [[*_openings(rule, numbers, ats)] for rule in rules]

    assert opened[0] == opened[1]
    assert len(opened[0]) > 50


def _openings(rule: Rule, numbers: array[int], ats: array[float]) -> Iterator[int]:
    rule.begin(0, 0.0)
    place = -1
    while (place := rule.opens(numbers, ats, ats, place + 1)) < len(numbers):
        yield place
        rule.begin(numbers[place] + 1, ats[place])


def test_compiled_rule_numbers_calls_anew() -> None:
    rule = ours_monthly()
    rule.begin(0, 0.0)
    rule.failed(99, 10.0, [])

    rule.go_on(100)

    assert rule.failed(0, 10.5, []) is False
    assert rule.before == 0


def test_clusters_are_of_the_failure_and_those_that_it_brings() -> None:
    np = pytest.importorskip("numpy")
    traffic = importlib.import_module("benchmarks.detection.traffic")
    rng = np.random.default_rng(1)

    bad = traffic.clustered(np.arange(0, 10**6, 100), 0.5, rng)

    assert len(bad) == pytest.approx(2 * 10**4, rel=0.03)
    assert set(range(0, 10**6, 100)) <= set(bad.tolist())


def test_streak_is_of_calls_in_a_row() -> None:
    rule = Streak(3)

    fired = [rule.failed(number, 0.0, []) for number in (0, 1, 3, 4, 5, 6)]

    assert fired == [False, False, False, False, True, True]


def test_last_calls_are_judged_from_a_full_window_on() -> None:
    rule = LastCalls(4, 0.5)

    fired = [rule.failed(number, 0.0, []) for number in (0, 1, 3, 4, 9)]

    assert fired == [False, False, True, True, False]


def test_last_seconds_want_a_minimum_of_calls() -> None:
    rule, times = LastSeconds(10, 0.5, 4, "x"), [0.0, 1.0, 2.0, 3.0, 20.0]

    fired = [rule.failed(number, times[number], times) for number in (0, 1, 3, 4)]

    assert fired == [False, False, True, False]
