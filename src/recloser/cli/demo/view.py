"""The run as it happens, drawn in the terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .lanes import Cell, call_cells, stage_cells, state_cells
from .palette import ENDINGS, STATES
from .records import Client, Ending, Recording
from .story import DYING, Act
from .traffic import CALLERS
from .wording import duration, state_change, state_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ... import CircuitBreaker
    from .records import Call
    from .service import Service

_BARS = " ▁▂▃▄▅▆▇█"
_LABELS = 11
_WIDEST = 100
_ROOMY = 30
_PLAIN = Console()


@dataclass(frozen=True, slots=True)
class Scene:
    """All that can be looked at while the run lasts."""

    recording: Recording
    service: Service
    breaker: CircuitBreaker

    def draw(self, now: float, width: int, height: int) -> RenderableType:
        """Return the picture of this moment for a terminal of that size.

        80 by 24 is the smallest that shows everything; from 30 lines on there is air.
        """
        columns = max(min(width - _LABELS - 4, _WIDEST), 20)
        grid = Table.grid()
        grid.add_column(style="bold", width=_LABELS, no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_row("the script", self._script(now, columns))
        for client in Client:
            grid.add_row()
            grid.add_row(client.value, self._lane(client, columns))
        grid.add_row("breaker", self._states(now, columns))
        story = self.recording.story
        title = f"recloser demo · {now:.1f} of {story.seconds:g} s"
        told = self._breaker(columns + _LABELS, roomy=height >= _ROOMY)
        return Panel(
            Group(grid, Text(), told, _legend()),
            title=title,
            title_align="left",
            subtitle="height of a bar: share of the callers that wait",
            subtitle_align="right",
            width=columns + _LABELS + 4,
        )

    def _script(self, now: float, columns: int) -> Text:
        past = round(now / self.recording.story.seconds * columns)
        names, line = Text(), Text()
        for name, width in stage_cells(self.recording.story, columns):
            style = "bold #D55E00" if Act(name) in DYING else "bold #009E73"
            names.append(name[: width - 1].ljust(width), style)
            line.append("━" * (width - 1) + " ", style)
        line.stylize("dim", past)
        return Text("\n").join([names, line])

    def _lane(self, client: Client, columns: int) -> Text:
        calls = [c for c in self.recording.calls.copy() if c.client is client]
        seconds = self.recording.story.seconds
        cells = call_cells(calls, seconds, columns, CALLERS)
        bars, letters = Text(), Text()
        for cell in cells:
            _append(bars, letters, cell)
        return Text("\n").join([bars, letters, self._counts(client, calls)])

    def _counts(self, client: Client, calls: list[Call]) -> Text:
        endings = Counter(call.ending for call in calls)
        text = Text()
        for ending, look in ENDINGS.items():
            if ending is not Ending.REJECTED or client is Client.GUARDED:
                text.append(f"{endings[ending]} {ending.value}", look.colour)
                text.append(", ")
        waited = duration(sum(call.took for call in calls))
        text.append(f"waited {waited}, {self.service.inside(client)} inside now")
        return text

    def _states(self, now: float, columns: int) -> Text:
        changes = self.recording.changes.copy()
        text = Text()
        cells = state_cells(changes, now, self.recording.story.seconds, columns)
        for look in map(STATES.get, cells):
            text.append(look.letter if look else " ", look.colour if look else "")
        return text

    def _breaker(self, width: int, *, roomy: bool) -> Text:
        """Say what the breaker says of itself, and its last changes."""
        air = [Text()] if roomy else []
        number = 5 if roomy else 3
        words = Text(self.breaker.explain()).wrap(_PLAIN, width)
        changes = self.recording.changes.copy()[-number:]
        told = [Text(f"{c.at:5.1f} s  {state_change(c)}", "dim") for c in changes]
        lines = [Text(repr(self.breaker), "bold"), Text(self._totals()), *air]
        lines += [*_exactly(words, 4), *air, *_exactly(told, number), *air]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Text("\n").join(lines)

    def _totals(self) -> str:
        now = self.breaker.snapshot()
        totals = now.totals
        counted = f"{totals.failures} of {totals.calls} calls failed"
        told = f"{totals.trips} trips, {totals.rejected} rejected, {totals.late} late"
        return f"period {now.epoch}, {counted}, {totals.slow} slow, {told}"


def _exactly(lines: Iterable[Text], number: int) -> list[Text]:
    """Return so many lines, so that the picture keeps its height."""
    return [*lines, *[Text()] * number][:number]


def _append(bars: Text, letters: Text, cell: Cell) -> None:
    if cell.ending is None:
        bars.append(" ")
        letters.append(" ")
        return
    look = ENDINGS[cell.ending]
    level = min(1 + int(cell.waiting * (len(_BARS) - 1)), len(_BARS) - 1)
    bars.append(_BARS[level], look.colour)
    letters.append(look.letter, look.colour)


def _legend() -> Text:
    text = Text()
    for ending, look in ENDINGS.items():
        text.append(f"{look.letter} {ending.value}  ", look.colour)
    for state, look in STATES.items():
        text.append(f"{look.letter} {state_name(state)}  ", look.colour)
    text.rstrip()
    return text
