"""Timelines in cells: what one column of the terminal shows, with no terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .records import Call, Change, Ending

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .story import Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One slot of time of one client.

    Attributes:
        waiting: Mean share of the callers that waited in a call, in [0, 1].
        ending: How most of the calls ended that were under way; None if there was none.
    """

    waiting: float
    ending: Ending | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The breaker's state from one moment to another."""

    state: str
    begins: float
    ends: float


def call_cells(
    calls: Iterable[Call], seconds: float, columns: int, callers: int
) -> list[Cell]:
    """Return the cells of a client's calls. A call counts in each slot it touches.

    Args:
        calls: Calls that have ended.
        seconds: Length of the run.
        columns: Number of slots.
        callers: How many callers there are: that many waiting are a full cell.
    """
    slot = seconds / columns
    waited = [0.0] * columns
    endings = [Counter[Ending]() for _ in range(columns)]
    for call in calls:
        first, last = (
            min(int(t / slot), columns - 1) for t in (call.began, call.ended)
        )
        for column in range(first, last + 1):
            begins, ends = column * slot, (column + 1) * slot
            waited[column] += max(min(call.ended, ends) - max(call.began, begins), 0)
            endings[column][call.ending] += 1
    return [
        Cell(waiting=min(time / slot / callers, 1.0), ending=_most(counts))
        for time, counts in zip(waited, endings, strict=True)
    ]


def state_cells(
    changes: Sequence[Change], now: float, seconds: float, columns: int
) -> list[str]:
    """Return the breaker's state in each slot up to `now`.

    A slot in which the state changed shows the half-open state if it was there, as
    it may be short, and else the state at the slot's end.
    """
    slot = seconds / columns
    shown = [""] * columns
    state = changes[0].before if changes else "closed"
    left = list(changes)
    for column in range(columns):
        if column * slot > now:
            break
        seen = {state}
        while left and left[0].at < (column + 1) * slot:
            state = left.pop(0).after
            seen.add(state)
        shown[column] = "half_open" if "half_open" in seen else state
    return shown


def stage_cells(story: Story, columns: int) -> list[tuple[str, int]]:
    """Return each stage's name and how many columns it takes."""
    edges = [round(s.ends / story.seconds * columns) for s in story.stages]
    begins = [0, *edges[:-1]]
    return [
        (stage.act.value, end - begin)
        for stage, begin, end in zip(story.stages, begins, edges, strict=True)
    ]


def _most(endings: Counter[Ending]) -> Ending | None:
    return endings.most_common(1)[0][0] if endings else None


def state_spans(changes: Sequence[Change], seconds: float) -> list[Span]:
    """Return the breaker's states from 0 to `seconds`, one after the other."""
    edges = [change.at for change in changes] + [seconds]
    state = changes[0].before if changes else "closed"
    spans = [Span(state=state, begins=0.0, ends=edges[0])]
    for change, ends in zip(changes, edges[1:], strict=True):
        spans.append(Span(state=change.after, begins=change.at, ends=ends))
    return spans
