"""The rules of the simulation: ours is the breaker's, the others are what they say."""

from __future__ import annotations

import random
from contextlib import suppress

from benchmarks.detection.rules import LastCalls, LastSeconds, Ours, Streak
from recloser import CircuitBreaker, CircuitOpenError, FalseTripBudget, State, Wait
from recloser.testing import FakeClock


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
