"""The checks of the rule that need many calls, each with its limit and what was measured."""

from __future__ import annotations

from collections import Counter
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

from .compiled import ours_daily, ours_monthly
from .rules import SETTLE
from .traffic import a_day, constant, delay, diurnal, false_trips, hourly, patchy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .rules import Rule

HEALTHY = (0.001, 0.01, 0.05, 0.1, 0.2)
DAYS = {0.1: 300, 1: 90, 10: 30, 100: 10}
SHARD = 1 / 8 + 7 / 8 * 0.01


class Result(NamedTuple):
    """One line: what was asked, what it may be, what it was."""

    check: str
    what: str
    limit: float
    measured: float

    @property
    def holds(self) -> bool:
        return self.measured <= self.limit


def delays(
    make: Callable[[], Rule], usual: float, fault: float, speed: float, runs: int
) -> tuple[float, float, float, float]:
    """Return median and p95 in calls, and in seconds; a miss is for ever."""
    warm = int(max(3600 * speed, 2000))
    seen = [delay(make(), usual, fault, speed, warm, seed) for seed in range(runs)]
    calls = [one.calls if one else float("inf") for one in seen]
    seconds = [one.seconds if one else float("inf") for one in seen]
    return (
        median(calls),
        quantiles(calls, n=20)[-1],
        median(seconds),
        quantiles(seconds, n=20)[-1],
    )


def most_calls(usual: float, runs: int, *, evenly: bool) -> dict[float, int]:
    """Return how many of the runs at one call a minute took how many calls."""
    seen: Counter[float] = Counter()
    for seed in range(runs):
        one = delay(ours_monthly(), usual, 1.0, 1 / 60, 5000, seed, evenly=evenly)
        seen[one.calls if one else float("inf")] += 1
    return dict(sorted(seen.items()))


def quiet(part: float) -> Iterator[Result]:
    """A1, A2, A11, A12: how often it opens though nothing changed."""
    for speed, days in DAYS.items():
        for rate in HEALTHY:
            span = days * part
            what = f"{rate:.1%} at {speed:g}/s, {span:g} days: trips"
            trips = false_trips(ours_monthly(), constant(rate), speed, span, 1)
            yield Result("A1", what, 2, trips)
            trips = false_trips(ours_daily(), constant(rate), speed, span, 2)
            what = f"{rate:.1%} at {speed:g}/s, {span:g} days: trips a day"
            yield Result("A2", what, 0.5, a_day(trips, span))
    span = 30 * part
    for name, plan, limit in (
        ("one shard of eight dead", constant(SHARD), 0),
        ("1 to 5 % over a day", diurnal(0.01, 0.05), 0),
        ("1 and 15 % by the hour", hourly(0.01, 0.15), 2),
    ):
        trips = false_trips(ours_monthly(), plan, 10, span, 3)
        yield Result("A11", f"{name}, {span:g} days: trips", limit, trips)
    trips = false_trips(ours_monthly(), patchy(4, 0.005, 0.1, 60, 10), 10, span, 4)
    yield Result("A12", f"patches of 10 %, {span:g} days: trips", 5, trips)


FAST = (
    ("A3", 0.01, 0.5, 20, 52),
    ("A3", 0.01, 1.0, 7, 9),
    ("A4", 0.05, 0.5, 37, 85),
    ("A4", 0.05, 1.0, 11, 12),
    ("A5", 0.1, 0.5, 65, 130),
    ("A5", 0.1, 1.0, 16, 18),
    ("A6", 0.2, 0.5, 78, 140),
    ("A6", 0.2, 1.0, 20, 21),
)


def fast(runs: int) -> Iterator[Result]:
    """A3 to A9: how soon it opens after a jump."""
    for check, usual, fault, middle, most in FAST:
        calls, p95, _, _ = delays(ours_monthly, usual, fault, 10, runs)
        what = f"{usual:.0%} to {fault:.0%} at 10/s"
        yield Result(check, f"{what}: median calls", middle, calls)
        yield Result(check, f"{what}: p95 calls", most, p95)
    for speed, few in ((100, runs), (1000, max(20, runs // 5))):
        for usual in (0.01, 0.1, 0.2):
            _, _, seconds, _ = delays(ours_monthly, usual, 1.0, speed, few)
            what = f"{usual:.0%} to 100% at {speed}/s, {few} runs: median s"
            yield Result("A7", what, SETTLE + 0.05, seconds)
    _, _, seconds, p95 = delays(ours_monthly, 0.01, 0.5, 100, runs)
    yield Result("A8", "1% to 50% at 100/s: median s", 0.40, seconds)
    yield Result("A8", "1% to 50% at 100/s: p95 s", 0.75, p95)
    for evenly in (False, True):
        how = "evenly" if evenly else "at random"
        for usual in (0.001, 0.01):
            seen = most_calls(usual, 10 * runs, evenly=evenly)
            times = ", ".join(f"{calls}: {many}" for calls, many in seen.items())
            what = f"{usual:.1%} to 100%, 1 a minute {how}, runs by calls {times}: most"
            yield Result("A9", what, 4, max(seen))
