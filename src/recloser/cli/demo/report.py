"""The two clients side by side: as rows, as a table, as a file."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from .records import Client, Ending
from .wording import duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .figures import Figures, Spread

Row = tuple[str, str, str]

_SECTION_ENDS = {4, 6, 8, 10}


def rows(both: Mapping[Client, Figures]) -> list[Row]:
    """Return the table as text: the figure's name, unguarded, guarded."""
    columns = [_column(both[client]) for client in (Client.UNGUARDED, Client.GUARDED)]
    return [(name, columns[0][name], columns[1][name]) for name in columns[0]]


def table(both: Mapping[Client, Figures], *, plain: bool) -> Table:
    """Return the rows as a table for the terminal."""
    made = Table(box=box.ASCII2 if plain else box.ROUNDED, title_justify="left")
    made.add_column("measured in this run")
    made.add_column(Client.UNGUARDED.value, justify="right", style="bold")
    made.add_column(Client.GUARDED.value, justify="right", style="bold")
    for number, row in enumerate(rows(both)):
        made.add_row(*row, end_section=number in _SECTION_ENDS)
    return made


def save(both: Mapping[Client, Figures], folder: Path) -> Path:
    """Write the figures as JSON, times in seconds, and return where."""
    path = folder / "figures.json"
    content = {client.value: asdict(figures) for client, figures in both.items()}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def _column(figures: Figures) -> dict[str, str]:
    endings = figures.endings
    return {
        "calls": str(figures.calls),
        "  answered": str(endings[Ending.OK]),
        "  failed": str(endings[Ending.FAILED]),
        "  timed out": str(endings[Ending.TIMED_OUT]),
        "  rejected by the breaker": str(endings[Ending.REJECTED]),
        "calls that reached the dying service": str(figures.reached_dying),
        "most calls inside the service at once": str(figures.most_at_once),
        "time callers spent waiting": duration(figures.waited),
        "  of it for calls that failed": duration(figures.waited_for_nothing),
        "p50 / p99 of all calls": _pair(figures.all_calls),
        "p50 / p99 of answered calls": _pair(figures.answered_calls),
        "from recovery to closed": duration(figures.recovery_to_closed),
    }


def _pair(spread: Spread) -> str:
    return f"{duration(spread.p50)} / {duration(spread.p99)}"
