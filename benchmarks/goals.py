"""The figures to hold, and what a run says of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .facades import KINDS
from .subjects import OURS

if TYPE_CHECKING:
    from .figures import Figure, Run

Place = tuple[str, str, str]
"""Group, case and shape of a figure."""


@dataclass(frozen=True)
class Goal:
    """A limit on the worst of some figures of ours.

    Attributes:
        label: What is done, and what it is divided by.
        places: Where the figures are found.
        limit: Up to 3.13.
        limit_new: From 3.14 on.
        less: The same places for a figure to be taken off first, by position.
        unit: "x" judges ratios; otherwise values are judged, and this is printed.
    """

    label: str
    places: tuple[Place, ...]
    limit: float
    limit_new: float
    less: tuple[Place, ...] = ()
    unit: str = "x"


@dataclass(frozen=True)
class Verdict:
    """A goal, and what one run measured.

    Attributes:
        measured: The worst figure; None if it was not measured.
        limit: What it should be at most, on that interpreter.
        shape: Where it was worst.
    """

    goal: Goal
    measured: float | None
    limit: float
    shape: str = ""

    @property
    def held(self) -> bool | None:
        """Whether the goal is met; None if it was not measured."""
        return None if self.measured is None else self.measured <= self.limit


def _shapes(group: str, case: str, *shapes: str) -> tuple[Place, ...]:
    return tuple((group, case, shape) for shape in shapes or ("",))


def _facades(work: str) -> tuple[Place, ...]:
    return tuple(
        ("compat", name, f"{kind} {work}")
        for name, kinds in KINDS.items()
        for kind in kinds
    )


def _used(policy: str) -> tuple[Place, ...]:
    return (("memory", policy, "100 successes"),)


_ALL: Final = ("f()", "f(1, 2)", "o.m(1)")
_TWO: Final = ("f()", "f(1, 2)")
_STREAK: Final = "sync success / empty wrapper: streak"
_ASYNC: Final = "async success / empty async wrapper: streak"
_WITH: Final = "`with` / no-op class manager: streak"
_REJECTION: Final = "open rejection / raising the same fields"
_WINDOW: Final = "in a window of 10,000 / of 100"
_MEMORY: Final = "bytes, one function, 100 successes: "
_FACADE: Final = "facade / the original: "
_IMPORT: Final = "`import recloser` over a bare interpreter"
NEW: Final = 14
"""The first minor version with limits of its own."""
SHARED_POLICIES: Final = ("streak", "count", "time")

GOALS: Final = (
    Goal(_STREAK, _shapes("sync", "streak", *_ALL), 0.75, 0.75),
    Goal("… count window", _shapes("sync", "count", *_ALL), 0.85, 0.9),
    Goal("… time window", _shapes("sync", "time", *_ALL), 1.7, 2.0),
    Goal("… time window + slow calls", _shapes("sync", "slow", *_TWO), 2.7, 3.0),
    Goal("… streak or rate or slow", _shapes("sync", "combined", *_TWO), 2.8, 3.1),
    Goal(_ASYNC, _shapes("async", "streak", *_TWO), 1.0, 1.0),
    Goal("… count window", _shapes("async", "count", *_TWO), 1.0, 1.0),
    Goal("… time window", _shapes("async", "time", *_TWO), 1.35, 1.45),
    Goal("… time window + slow calls", _shapes("async", "slow", *_TWO), 1.8, 1.9),
    Goal(_WITH, _shapes("with", "streak"), 0.8, 1.6),
    Goal("… count window", _shapes("with", "count"), 0.9, 1.8),
    Goal(_REJECTION, _shapes("sync rejection", "open", "f(1, 2)"), 1.5, 1.5),
    Goal(
        f"a success {_WINDOW}", _shapes("window", "success", "10,000 calls"), 1.1, 1.1
    ),
    Goal(
        f"a failure {_WINDOW}", _shapes("window", "failure", "10,000 calls"), 1.1, 1.1
    ),
    Goal(
        "`share=Host` on a success: +",
        tuple(("options", case, "share=Host") for case in SHARED_POLICIES),
        0.3,
        0.3,
        tuple(("options", case, "plain") for case in SHARED_POLICIES),
    ),
    Goal(f"{_FACADE}success", _facades("success"), 1.0, 1.0),
    Goal(f"{_FACADE}failure", _facades("failure"), 1.0, 1.0),
    Goal(f"{_FACADE}rejection", _facades("rejection"), 1.0, 1.0),
    Goal(f"{_MEMORY}streak", _used("streak"), 1200, 1200, unit="B"),
    Goal("… count window", _used("count"), 1800, 1800, unit="B"),
    Goal("… time window", _used("time"), 4200, 4200, unit="B"),
    Goal(_IMPORT, (("import", "process", ""),), 20, 20, unit="ms"),
    Goal("… heavy or foreign modules", (("import", "unwanted", ""),), 0, 0, unit=""),
)


def judge(goal: Goal, run: Run) -> Verdict:
    """Return what the run says of the goal: the worst of its places."""
    limit = goal.limit_new if minor(run) >= NEW else goal.limit
    found: list[tuple[float, str]] = []
    for number, place in enumerate(goal.places):
        value = _value(run, place, goal.unit)
        off = _value(run, goal.less[number], goal.unit) if goal.less else 0.0
        if value is not None and off is not None:
            found.append((value - off, place[2] or place[1]))
    if not found:
        return Verdict(goal, None, limit)
    worst, shape = max(found)
    return Verdict(goal, worst, limit, shape)


def minor(run: Run) -> int:
    """Return 13 for "CPython 3.13.0"."""
    found = re.search(r" 3\.(\d+)", run.interpreter)
    return int(found[1]) if found else 0


def _value(run: Run, place: Place, unit: str) -> float | None:
    figure = run.find(*place, OURS)
    if figure is None:
        return None
    return figure.ratio if unit == "x" else figure.value


def spreads(figures: list[Figure]) -> list[float]:
    """Return each ratio's distance between quartiles, as a part of it, in order."""
    return sorted(
        (each.high - each.low) / each.ratio
        for each in figures
        if each.ratio and each.low is not None and each.high is not None
    )
