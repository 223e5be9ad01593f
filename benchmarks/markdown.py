"""Markdown tables with a column for each interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .subjects import OURS
from .tables import number, times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .figures import Figure, Run


def row(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"


def table(first: Sequence[str], runs: Sequence[Run]) -> Iterator[str]:
    """Yield the head of a table with a column per interpreter."""
    yield row([*first, *(short(run) for run in runs)])
    yield row([*("---" for _ in first), *("---:" for _ in runs)])


def short(run: Run) -> str:
    """Return "3.13.0" for "CPython 3.13.0"."""
    return run.interpreter.removeprefix("CPython ").replace("free-threaded", "FT")


def ratio(figure: Figure | None) -> str:
    """Return the ratio of a figure, or a dash."""
    return "-" if figure is None or figure.ratio is None else times(figure.ratio)


def both(figure: Figure | None) -> str:
    """Return value and ratio of a figure, or a dash."""
    return "-" if figure is None else f"{number(figure.value)} · {ratio(figure)}"


def bold(name: str) -> str:
    """Return a name, ours in bold."""
    return f"**{name}**" if name.startswith(OURS) else name


def by_cost(group: str, case: str, shape: str, runs: Sequence[Run]) -> list[str]:
    """Return the subjects of a case, the cheapest in the last run that has it first.

    By ratio, where there is one: unlike the value it does not drift with the machine.
    """
    cost: dict[str, float] = {}
    for run in runs:
        for each in run.figures:
            if (each.group, each.case, each.shape) == (group, case, shape):
                cost[each.subject] = each.value if each.ratio is None else each.ratio
    return sorted(cost, key=lambda name: cost[name])
