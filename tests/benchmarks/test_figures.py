"""Results as files, and as lines of a table."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figure, Run, load, merged, save
from benchmarks.page import lines
from benchmarks.subjects import OURS
from benchmarks.tables import number, text, times

STREAK = Figure("sync", "streak", "f()", OURS, 41.25, "ns", 0.9371, 0.92, 0.95)
HERD = Figure("herd", "async", "first wave", "hyx", 1000.0, "calls")


def run_of(*figures: Figure, interpreter: str = "CPython 3.13.0") -> Run:
    libraries = {OURS: "1.0"}
    return Run(
        interpreter,
        "m",
        "2026-01-01",
        "full",
        (0.5, 1.5),
        libraries,
        {"nopanic": "gone"},
        list(figures),
    )


def test_a_run_survives_its_file(tmp_path: Path):
    before = run_of(STREAK, HERD)

    save(before, tmp_path / "a.json")

    assert load(tmp_path / "a.json") == before


def test_a_file_keeps_four_digits(tmp_path: Path):
    save(run_of(Figure("sync", "streak", "f()", OURS, 41.256789)), tmp_path / "a.json")

    assert load(tmp_path / "a.json").figures[0].value == 41.26


def test_the_page_marks_a_missed_goal_and_not_a_held_one():
    missed = Figure("sync", "count", "f()", OURS, 90.0, "ns", 1.25)

    page = "\n".join(lines([run_of(STREAK, missed)]))

    assert "| **1.25** |" in page
    assert "| **0.94** |" in page
    assert "| - |" in page


def test_the_page_has_a_column_for_each_interpreter():
    older = run_of(
        Figure("sync", "streak", "f()", OURS, 60.0, "ns", 0.5),
        interpreter="CPython 3.11.7",
    )

    page = "\n".join(lines([older, run_of(STREAK)]))

    assert "| work | goal | from 3.14 | 3.11.7 | 3.13.0 |" in page
    assert "| <= 0.75 | <= 0.75 | 0.50 | **0.94** |" in page


def test_the_page_says_what_was_not_measured():
    page = "\n".join(lines([run_of(STREAK)]))

    assert "- not measured on 3.13.0: nopanic (gone)" in page


def test_the_terminal_shows_the_noise():
    assert "load average 0.5 before and 1.5 after" in text(run_of(STREAK))


def test_large_figures_have_no_decimals_and_small_ones_three_digits():
    assert [number(each) for each in (12345.6, 99.96, 0.12345)] == [
        "12,346",
        "100",
        "0.123",
    ]


def test_large_factors_have_no_decimals():
    assert [times(each) for each in (469.4, 1.0, 0.567)] == ["469x", "1.00x", "0.57x"]


def test_runs_of_one_interpreter_become_one_and_the_later_figure_counts():
    again = Figure("sync", "streak", "f()", OURS, 30.0, "ns", 0.5)

    runs = merged([run_of(STREAK, HERD), run_of(again)])

    assert [run.figures for run in runs] == [[again, HERD]]


def test_merged_runs_are_in_order_of_version():
    names = ["CPython 3.13.15 free-threaded", "CPython 3.9.1", "CPython 3.13.2"]

    runs = merged(run_of(STREAK, interpreter=name) for name in names)

    expected = ["CPython 3.9.1", "CPython 3.13.2", "CPython 3.13.15 free-threaded"]
    assert [run.interpreter for run in runs] == expected
