"""Interleaved rounds: every subject once per round, in rotated order.

A ratio is taken inside each round, between neighbours in time, and the median is
taken over the rounds: what slows the machine for a while slows both.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final, TypeVar

from .loops import UNROLLED, Loop, Subject, quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_T = TypeVar("_T")
EMPTY: Final = "(ref) empty loop"
"""The subject whose time is taken off all others of its kind."""


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    Attributes:
        rounds: Samples per subject.
        sample: Seconds per sample.
    """

    rounds: int
    sample: float


@dataclass(frozen=True)
class Summary:
    """What the rounds say of one subject.

    Attributes:
        value: Median, in the unit of the samples.
        ratio: Median over the rounds of subject / baseline; None without a baseline.
        low: Lower quartile of that ratio.
        high: Upper quartile of that ratio.
    """

    value: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


def measure(subjects: Sequence[Subject], plan: Plan) -> dict[str, Summary]:
    """Time all subjects against each other.

    Returns:
        Nanoseconds per call by subject, the empty loop already taken off. A subject
        that raises is left out, and says so on stderr.
    """
    with quiet() as runner:
        loops = [Loop(subject, runner) for subject in with_empty(subjects)]
        steps = {loop.subject.name: _steps(loop, plan.sample) for loop in loops}
        loops = [loop for loop in loops if steps[loop.subject.name]]
        samples: dict[str, list[float]] = {loop.subject.name: [] for loop in loops}
        for turn in range(plan.rounds):
            for loop in rotated(loops, turn):
                name = loop.subject.name
                calls = steps[name] * UNROLLED
                samples[name].append(loop.seconds(steps[name]) / calls * 1e9)
    baselines = {loop.subject.name: loop.subject.baseline for loop in loops}
    return summarise(without_empty(samples), baselines)


def with_empty(subjects: Iterable[Subject]) -> list[Subject]:
    """Put the empty loop in front."""
    return [Subject(EMPTY, "pass"), *subjects]


def rotated(items: Sequence[_T], turn: int) -> list[_T]:
    """Return the items, every second turn back, from another start every second turn.

    Going back as well gives each subject both its neighbours as predecessors.
    """
    start = turn // 2 % len(items) if items else 0
    order = [*items[start:], *items[:start]]
    return order[::-1] if turn % 2 else order


def without_empty(samples: dict[str, list[float]]) -> dict[str, list[float]]:
    """Take the median of the empty loop off every sample, and drop its row."""
    empty = median(samples.get(EMPTY) or [0.0])
    return {
        name: [each - empty for each in values]
        for name, values in samples.items()
        if name != EMPTY
    }


def summarise(
    samples: dict[str, list[float]], baselines: dict[str, str]
) -> dict[str, Summary]:
    """Reduce samples to medians, and to quartiles of ratios taken round by round."""
    summaries: dict[str, Summary] = {}
    for name, values in samples.items():
        base = samples.get(baselines.get(name, ""))
        if base is None:
            summaries[name] = Summary(median(values))
        else:
            ratios = [a / b for a, b in zip(values, base, strict=True)]
            low, middle, high = quartiles(ratios)
            summaries[name] = Summary(median(values), middle, low, high)
    return summaries


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile, by linear interpolation."""
    order = sorted(values)

    def at(share: float) -> float:
        place = share * (len(order) - 1)
        below = int(place)
        above = min(below + 1, len(order) - 1)
        return order[below] + (order[above] - order[below]) * (place - below)

    return at(0.25), at(0.5), at(0.75)


def _steps(loop: Loop, sample: float) -> int:
    """Warm the loop up and return the steps of one sample; 0 if it raises."""
    steps = 1
    try:
        while (taken := loop.seconds(steps)) < sample / 4:
            steps *= 2
    except Exception as error:  # noqa: BLE001 - a rival may fail in any way
        name = loop.subject.name
        sys.stderr.write(f"NOT MEASURED: {name}: {type(error).__name__}: {error}\n")
        return 0
    return max(1, round(steps * sample / taken))
