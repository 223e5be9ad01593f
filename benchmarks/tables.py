"""Figures as text for a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from .goals import GOALS, judge, spreads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .figures import Figure, Run
    from .goals import Verdict


def text(run: Run) -> str:
    """Return the whole run as text: figures by case, then the goals."""
    lines = [f"{run.interpreter}, {run.machine}, {run.date}, {run.mode} run"]
    lines += figure_lines(run.figures)
    lines += ["", "goal against measured", *goal_lines(run), "", noise(run)]
    return "\n".join(lines)


def figure_lines(figures: Iterable[Figure]) -> Iterator[str]:
    """Yield a title for each case and a line for each subject, cheapest first."""
    for title, members in groupby(figures, title_of):
        yield f"\n{title}"
        for each in sorted(members, key=cost):
            yield f"  {each.subject:<34} {number(each.value):>10} {each.unit:<3}{tail(each)}"


def cost(figure: Figure) -> float:
    """Return what to sort by: the ratio, which does not drift, or the value."""
    return figure.value if figure.ratio is None else figure.ratio


def title_of(figure: Figure) -> str:
    """Return the heading a figure belongs under."""
    return " · ".join(filter(None, (figure.group, figure.case, figure.shape)))


def tail(figure: Figure) -> str:
    """Return the ratio and its quartiles, where there are any."""
    if figure.ratio is None:
        return ""
    between = ""
    if figure.low is not None and figure.high is not None:
        between = f"  ({figure.low:.2f}-{figure.high:.2f})"
    return f" {times(figure.ratio):>7}{between}"


def goal_lines(run: Run) -> Iterator[str]:
    """Yield one line per goal."""
    for goal in GOALS:
        found = judge(goal, run)
        yield f"  {word(found):<5} {goal.label:<50} {measured(found):>9}  <= {found.limit:g} {goal.unit}"


def word(verdict: Verdict) -> str:
    """Return how the goal came out, in one word."""
    return {True: "ok", False: "MISS", None: "-"}[verdict.held]


def measured(verdict: Verdict) -> str:
    """Return what was measured, in the goal's unit."""
    if verdict.measured is None:
        return "-"
    if verdict.goal.unit == "x":
        return f"{verdict.measured:.2f}"
    return number(verdict.measured)


def noise(run: Run) -> str:
    """Say how far repeats lay apart, and how busy the machine was."""
    found = spreads(run.figures)
    before, after = run.load
    busy = f"load average {before:.1f} before and {after:.1f} after"
    if not found:
        return busy
    middle, worst = found[len(found) // 2], found[-1]
    return (
        f"noise: half the samples of a ratio lie within {middle:.0%} of it for the "
        f"median row, {worst:.0%} for the worst; {busy}"
    )


def number(value: float) -> str:
    """Return a figure with as many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(ratio: float) -> str:
    """Return a ratio as a factor."""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.2f}x"
