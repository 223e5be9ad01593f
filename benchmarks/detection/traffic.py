"""Poisson traffic whose failure rate follows a plan; trips open for 30 s."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from .rules import Rule

    Plan = Callable[[np.ndarray], np.ndarray]

OPEN = 30.0
CHUNK = 500_000
LONG = 3_000


class Delay(NamedTuple):
    """How long a fault went on before the rule opened."""

    calls: float
    seconds: float


def constant(rate: float) -> Plan:
    return lambda times: np.full(len(times), rate)


def diurnal(low: float, high: float) -> Plan:
    middle, swing = (low + high) / 2, (high - low) / 2
    return lambda times: middle - swing * np.cos(2 * np.pi * times / 86_400)


def hourly(low: float, high: float) -> Plan:
    return lambda times: np.where((times // 3600) % 2 < 1, low, high)


def every(period: float, length: float, usual: float, bad: float) -> Plan:
    """Return one rate, and for some seconds of every period another."""
    return lambda times: np.where(times % period < length, bad, usual)


def patchy(seed: int, good: float, bad: float, well: float, ill: float) -> Plan:
    """Alternate between two rates, for exponential times with these means."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum(
        np.column_stack([rng.exponential(well, 200_000), rng.exponential(ill, 200_000)])
    )
    return lambda times: np.where(np.searchsorted(ends, times) % 2 == 0, good, bad)


def a_day(trips: int, days: float) -> float:
    """Return how often it opened in a day of closed time."""
    return trips / (days - trips * OPEN / 86_400)


def clustered(bad: np.ndarray, again: float, rng: np.random.Generator) -> np.ndarray:
    """Let each failure be followed by another with this chance, and that one too."""
    lengths = rng.geometric(1 - again, len(bad))
    firsts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.arange(lengths.sum()) - firsts
    return np.unique(np.repeat(bad, lengths) + places)


def false_trips(
    rule: Rule, plan: Plan, speed: float, days: float, seed: int, again: float = 0.0
) -> int:
    """Count how often a rule opens in so many days."""
    rng = np.random.default_rng(seed)
    trips, now, opened, span = 0, 0.0, -1.0, days * 86_400
    rule.begin(0, 0.0)
    while now < span:
        times = now + np.cumsum(rng.exponential(1 / speed, CHUNK))
        bad = np.flatnonzero(rng.random(CHUNK) < plan(times))
        if again:
            bad = clustered(bad, again, rng)
        bad = bad[bad < np.searchsorted(times, span)]
        if now:
            rule.go_on(CHUNK)
        now, ats, place = float(times[-1]), times[bad], 0
        while place < len(bad):
            if opened >= 0:
                place = int(np.searchsorted(ats, opened))
                if place == len(bad):
                    break
                rule.begin(int(np.searchsorted(times, opened)), opened)
                opened = -1.0
            place = rule.opens(bad, ats, times, place)
            if place < len(bad):
                trips += 1
                opened = float(ats[place]) + OPEN
    return trips


def delay(
    rule: Rule,
    usual: float,
    fault: float,
    speed: float,
    warm: int,
    seed: int,
    *,
    evenly: bool = False,
) -> Delay | None:
    """Return how long it took to open after a jump of the rate; None for a miss."""
    rng = np.random.default_rng(seed)
    most = warm + max(LONG, int(300 * speed))
    gaps = np.full(most, 1 / speed) if evenly else rng.exponential(1 / speed, most)
    times = np.cumsum(gaps)
    rates = np.where(np.arange(most) < warm, usual, fault)
    jump = float(times[warm - 1])
    rule.begin(0, 0.0)
    bad = np.flatnonzero(rng.random(most) < rates)
    ats = times[bad]
    place = rule.opens(bad, ats, times, 0)
    while place < len(bad):
        if bad[place] >= warm:
            return Delay(int(bad[place]) - warm + 1, float(ats[place]) - jump)
        resting = min(float(ats[place]) + OPEN, jump)
        place = int(np.searchsorted(ats, resting))
        rule.begin(int(np.searchsorted(times, resting)), resting)
        place = rule.opens(bad, ats, times, place)
    return None
