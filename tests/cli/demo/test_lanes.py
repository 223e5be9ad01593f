from __future__ import annotations

import pytest

from recloser.cli.demo.lanes import (
    Span,
    call_cells,
    stage_cells,
    state_cells,
    state_spans,
)
from recloser.cli.demo.records import Call, Change, Client, Ending
from recloser.cli.demo.story import Story


def call(began: float, ended: float, ending: Ending = Ending.OK) -> Call:
    return Call(client=Client.GUARDED, began=began, ended=ended, ending=ending)


def change(at: float, before: str, after: str) -> Change:
    return Change(at=at, before=before, after=after, reason="")


def test_call_fills_each_slot_by_the_time_it_was_under_way_in_it():
    cells = call_cells([call(0.5, 2.25)], seconds=4, columns=4, callers=1)

    assert [cell.waiting for cell in cells] == [0.5, 1, 0.25, 0]


def test_waiting_is_a_share_of_all_callers():
    cells = call_cells([call(0, 1), call(0, 0.5)], seconds=1, columns=1, callers=3)

    assert cells[0].waiting == pytest.approx(0.5)


def test_cell_shows_how_most_of_its_calls_ended():
    calls = [call(0, 0.1), *[call(0.2, 0.3, Ending.REJECTED)] * 2]

    cells = call_cells(calls, seconds=2, columns=2, callers=1)

    assert [cell.ending for cell in cells] == [Ending.REJECTED, None]


def test_call_that_ends_after_the_run_stays_in_the_last_slot():
    cells = call_cells([call(1.9, 2.4)], seconds=2, columns=2, callers=1)

    assert [cell.waiting for cell in cells] == [0, pytest.approx(0.1)]


def test_states_are_shown_up_to_now():
    changes = [change(1.5, "closed", "open")]

    cells = state_cells(changes, now=2.5, seconds=4, columns=4)

    assert cells == ["closed", "open", "open", ""]


def test_short_half_open_state_is_not_lost_between_two_others():
    changes = [
        change(0.5, "closed", "open"),
        change(1.5, "open", "half_open"),
        change(1.6, "half_open", "open"),
    ]

    cells = state_cells(changes, now=3, seconds=3, columns=3)

    assert cells == ["open", "half_open", "open"]


def test_breaker_that_never_changed_is_closed_all_the_time():
    assert state_cells([], now=2, seconds=2, columns=2) == ["closed", "closed"]
    assert state_spans([], 2) == [Span(state="closed", begins=0, ends=2)]


def test_spans_of_states_fill_the_run():
    changes = [change(1, "closed", "open"), change(2, "open", "half_open")]

    assert state_spans(changes, 3) == [
        Span(state="closed", begins=0, ends=1),
        Span(state="open", begins=1, ends=2),
        Span(state="half_open", begins=2, ends=3),
    ]


@pytest.mark.parametrize("columns", [20, 57, 100])
def test_stages_fill_the_columns_in_the_order_of_the_script(columns: int):
    story = Story.lasting(20)

    cells = stage_cells(story, columns)

    assert sum(width for _, width in cells) == columns
    assert [name for name, _ in cells] == [stage.act for stage in story.stages]
