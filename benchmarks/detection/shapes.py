"""The checks about the shape of trouble: blips, order, ramps, flapping, batches, hangs."""

from __future__ import annotations

import heapq
import random
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from recloser import CircuitBreaker, CircuitOpenError, FalseTripBudget, State, Wait
from recloser.testing import FakeClock

from .checks import Result
from .compiled import ours_monthly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDLESS = float("inf")
HOUR = 3600.0


def blip(usual: float, speed: float, seed: int) -> bool:
    """Tell whether 0.1 s in which everything fails, ten failures more, opens it."""
    rng, rule = np.random.default_rng(seed), ours_monthly()
    rule.begin(0, 0.0)
    begin, over = HOUR, HOUR + 0.1
    ordinary = np.cumsum(rng.exponential(1 / speed, int(1.1 * speed * (HOUR + 30))))
    extra = begin + rng.random(10) / 10
    times = np.sort(np.concatenate([ordinary[ordinary < begin + 30], extra]))
    in_blip = (times >= begin) & (times < over)
    bad = np.flatnonzero((rng.random(len(times)) < usual) | in_blip)
    ats = times[bad]
    place = rule.opens(bad, ats, times, 0)
    while place < len(bad) and ats[place] < begin:
        rule.begin(int(bad[place]) + 1, float(ats[place]))
        place = rule.opens(bad, ats, times, place + 1)
    return place < len(bad)


def disordered(usual: float, days: float, seed: int) -> int:
    """Count trips when in each sixteen calls the failures come first."""
    rng = np.random.default_rng(seed)
    rule, now, trips = ours_monthly(), 0.0, 0
    rule.begin(0, 0.0)
    while now < days * 86_400:
        times = now + np.cumsum(rng.exponential(0.1, 160_000))
        counts = rng.binomial(16, usual, 10_000)
        bad = np.flatnonzero((np.arange(16) < counts[:, None]).ravel())
        ats, place = times[bad], 0
        while (place := rule.opens(bad, ats, times, place)) < len(bad):
            trips += 1
            rule.begin(int(bad[place]) + 1, float(ats[place]))
            place += 1
        rule.go_on(160_000)
        now = float(times[-1])
    return trips


def ramp(seed: int) -> float:
    """Return the second of a rise from 1 to 50 % in 600 s at which it opens."""
    rng = random.Random(seed)
    rule, now, number = ours_monthly(), -3600.0, 0
    rule.begin(0, now)
    while True:
        now += rng.expovariate(10)
        rate = 0.01 + max(0.0, now) / 600 * 0.49
        if rng.random() < rate and rule.failed(number, now, []):
            if now > 0:
                return now
            rule.begin(number + 1, now)
        number += 1


def flapping(fault: float, cycles: int) -> tuple[float, float]:
    """Return the share of bad phases found, and of failing calls that got through."""
    rng, clock = random.Random(5), FakeClock()
    breaker = CircuitBreaker(
        "b",
        trip=FalseTripBudget(settle=0.25),
        recovery=Wait(30, jitter=0),
        clock=clock,
        registry="none",
    )
    found: set[int] = set()
    bad = through = 0
    warm = 3600
    while clock() < warm + 60 * cycles:
        clock.advance(rng.expovariate(10))
        phase = (clock() - warm) % 60
        cycle = int((clock() - warm) // 60)
        is_bad = clock() > warm and phase < 30
        fails = rng.random() < (fault if is_bad else 0.01)
        try:
            breaker.call(_end, fails)
        except OSError:
            through += is_bad
            bad += is_bad
            if is_bad and breaker.state is not State.CLOSED:
                found.add(cycle)
        except CircuitOpenError:
            bad += is_bad and fails
            if is_bad:
                found.add(cycle)
    return len(found) / cycles, through / bad


def _end(fails: object) -> None:
    if fails:
        raise OSError


def batches(rate: float, days: float) -> tuple[int, int]:
    """Return trips in days of a hundred calls within 50 ms a minute, and after death."""
    rng, rule, trips, number = random.Random(6), ours_monthly(), 0, 0
    rule.begin(0, 0.0)
    for minute in range(int(days * 1440)):
        for place in range(100):
            at = minute * 60 + place * 0.0005
            if rng.random() < rate and rule.failed(number, at, []):
                trips += 1
                rule.begin(number + 1, at)
            number += 1
    start = int(days * 1440)
    for batch in range(10):
        for place in range(100):
            if rule.failed(number, (start + batch) * 60 + place * 0.0005, []):
                return trips, batch + 1
            number += 1
    return trips, 99


class _Out:
    def __await__(self) -> Any:
        return (yield)


def slowed(
    takes: Callable[[random.Random], float], seed: int, speed: float = 10
) -> int:
    """Return how many calls enter, after an hour of 50 ms, until calls of a kind open it."""
    rng, clock = random.Random(seed), FakeClock()
    rule = FalseTripBudget(settle=0.25, slower_than=0.2)
    breaker = CircuitBreaker("b", trip=rule, clock=clock, registry="none")

    @breaker
    async def call() -> None:
        await _Out()

    waiting: list[tuple[float, int, Any]] = []
    hung: list[Any] = []  # or they would be closed, and so have ended
    now, entered, number = 0.0, 0, 0
    while True:
        now += rng.expovariate(speed)
        while waiting and waiting[0][0] <= now:
            at, _, one = heapq.heappop(waiting)
            clock.advance(max(0.0, at - clock()))
            with suppress(StopIteration):
                one.send(None)
        clock.advance(max(0.0, now - clock()))
        if breaker.state is not State.CLOSED:
            return entered
        number += 1
        entered += now > 600
        took = rng.lognormvariate(-3.0, 0.3) if now <= 600 else takes(rng)
        one = call()
        try:
            one.send(None)
        except CircuitOpenError:
            return entered
        if took < ENDLESS:
            heapq.heappush(waiting, (now + took, number, one))
        else:
            hung.append(one)


def shapes(part: float) -> Iterator[Result]:
    """A13 to A17 and A19."""
    runs = max(100, int(1000 * part))
    for usual, limit in ((0.001, 2), (0.01, 3), (0.05, 9), (0.1, 6)):
        opened = sum(blip(usual, 10, seed) for seed in range(runs))
        what = f"blip of 0.1 s at 10/s, usual {usual:.1%}: % of {runs} that open"
        yield Result("A13", what, limit, 100 * opened / runs)
    opened = sum(blip(0.01, 100, seed) for seed in range(runs))
    what = f"blip of 0.1 s at 100/s, usual 1%: % of {runs} that open"
    yield Result("A13", what, 0.5, 100 * opened / runs)
    for usual in (0.01, 0.05, 0.1, 0.2):
        trips = disordered(usual, 9 * part, 8)
        what = f"failures first in blocks of 16, {usual:.0%}, {9 * part:g} days: trips"
        yield Result("A14", what, 1, trips)
    few = max(30, int(300 * part))
    when = median(ramp(seed) for seed in range(few))
    yield Result("A15", f"ramp of 600 s, {few} runs: median s", 440, when)
    yield Result("A15", "ramp of 600 s: true rate then", 0.38, 0.01 + when / 600 * 0.49)
    for fault, most in ((0.5, 0.11), (1.0, 0.04)):
        cycles = max(60, int(300 * part))
        found, through = flapping(fault, cycles)
        what = f"flapping at {fault:.0%}, {cycles} bad phases"
        yield Result("A16", f"{what}: missed", 0.02, 1 - found)
        yield Result("A16", f"{what}: failures through", most, through)
    kinds: tuple[tuple[str, Any, int], ...] = (
        ("ten times slower", lambda rng: rng.lognormvariate(-0.7, 0.3), 11),
        ("all hang", lambda _: ENDLESS, 11),
        ("half hang", lambda rng: ENDLESS if rng.random() < 0.5 else 0.05, 30),
    )
    for name, takes, most in kinds:
        some = max(21, int(101 * part))
        calls = median(slowed(takes, seed) for seed in range(some))
        what = f"{name}, limit 0.2 s, 10/s, {some} runs: median calls"
        yield Result("A17", what, most, calls)
    for rate in (0.01, 0.2):
        trips, batch = batches(rate, 20 * part)
        what = f"batches of 100 a minute, {rate:.0%}, {20 * part:g} days: trips"
        yield Result("A19", what, 0, trips)
        yield Result("A19", "the same, then dead: opens in batch", 2, batch)
