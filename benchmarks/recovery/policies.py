"""Who decides about a call: our breakers with real rules, and models of other ideas.

What the rows of other libraries imitate is their wait and their probes, with our trip
rule: they are no runs of those libraries.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from recloser import (
    Adaptive,
    Backoff,
    CircuitBreaker,
    ConsecutiveFailures,
    FailureRate,
    Ramp,
    Shed,
    State,
    TimeWindow,
    Wait,
)

Clock = Callable[[], float]
Chance = Callable[[], float]

TRIP = ConsecutiveFailures(5) | FailureRate(
    0.5, window=TimeWindow(10), minimum_calls=20
)
"""The same for everybody."""


class Always:
    """No breaker: every call is made."""

    settled = True

    def try_acquire(self) -> Always:
        return self

    def success(self) -> None: ...

    def failure(self, *, retry_after: float | None = None) -> None: ...

    def is_closed(self) -> bool:
        return True


class Throttle(Always):
    """Client-side throttling as Google's SRE book has it: always on, without states."""

    def __init__(self, clock: Clock, chance: Chance, k: float, window: float) -> None:
        self._clock, self._chance, self._k = clock, chance, k
        self._width = window / 10
        self._buckets: list[list[float]] = []

    def _bucket(self) -> list[float]:
        number = self._clock() // self._width
        if not self._buckets or self._buckets[-1][0] != number:
            self._buckets.append([number, 0, 0])
            while self._buckets[0][0] <= number - 10:
                self._buckets.pop(0)
        return self._buckets[-1]

    def try_acquire(self) -> Throttle | None:  # type: ignore[override]
        bucket = self._bucket()
        calls = sum(one[1] for one in self._buckets)
        good = sum(one[2] for one in self._buckets)
        bucket[1] += 1
        if self._chance() < (calls - self._k * good) / (calls + 1):
            return None
        return self

    def success(self) -> None:
        self._bucket()[2] += 1


class Breaker:
    """One of our breakers, held as a client holds it."""

    def __init__(self, clock: Clock, chance: Chance, **options: Any) -> None:
        self.breaker = CircuitBreaker(
            "server", trip=TRIP, clock=clock, chance=chance, registry="none", **options
        )
        self.try_acquire = self.breaker.try_acquire

    def is_closed(self) -> bool:
        return self.breaker.state is State.CLOSED


Maker = Callable[[Clock, random.Random], Any]


def _ours(**options: Any) -> Maker:
    return lambda clock, dice: Breaker(clock, dice.random, **options)


_THREE = {"probes": 3, "probe_concurrency": 3}
_ADAPTIVE = {"recovery": Adaptive(), **_THREE}

RECOMMENDED = "adaptive + ramp"
ON_OFF = "adaptive, on/off"
RIVAL = "5 s, 1 probe"
POLICIES: dict[str, Maker] = {
    "no breaker": lambda *_: Always(),
    "60 s, 1 probe": _ours(recovery=Wait(60)),
    "30 s, 1 probe": _ours(recovery=Wait(30)),
    "5-300 s x2, 1 probe": _ours(recovery=Backoff(5, factor=2, maximum=300)),
    "5-300 s x2, forgotten on closing": _ours(
        recovery=Backoff(5, factor=2, maximum=300, fade=0.001)
    ),
    RIVAL: _ours(recovery=Wait(5)),
    "1 s, 1 probe": _ours(recovery=Wait(1)),
    "5 s + 30 s ramp in 30 steps": _ours(
        recovery=Wait(5),
        ramp=Ramp([step / 30 for step in range(1, 31)], evidence=0),
    ),
    "SRE throttle K=2, 120 s": lambda clock, dice: Throttle(
        clock, dice.random, 2.0, 120.0
    ),
    "Shed(k=2)": _ours(recovery=Shed(2)),
    ON_OFF: _ours(**_ADAPTIVE),
    RECOMMENDED: _ours(**_ADAPTIVE, ramp=Ramp()),
    "adaptive + ramp + health": _ours(**_ADAPTIVE, ramp=Ramp()),
}
HEALTH_EVERY = {"adaptive + ramp + health": 2.0}
"""Seconds between health checks, where there are some. They by-pass the queue."""
