"""How a run is held against the goals."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure, Run
from benchmarks.goals import GOALS, Goal, judge, minor, spreads
from benchmarks.subjects import OURS

GOAL = Goal("a", (("sync", "streak", "f()"), ("sync", "streak", "o.m(1)")), 0.75, 0.9)
SHARE = Goal("b", (("o", "x", "shared"),), 0.3, 0.3, (("o", "x", "plain"),))
BYTES = Goal("c", (("memory", "streak", "new"),), 1200, 1200, unit="B")


def run_of(*figures: Figure, interpreter: str = "CPython 3.13.0") -> Run:
    return Run(interpreter, "m", "2026-01-01", "full", (0, 0), {}, {}, list(figures))


def figure(
    shape: str, ratio: float, group: str = "sync", case: str = "streak"
) -> Figure:
    return Figure(group, case, shape, OURS, 50.0, "ns", ratio)


def test_the_worst_shape_decides():
    verdict = judge(GOAL, run_of(figure("f()", 0.7), figure("o.m(1)", 0.8)))

    assert (verdict.measured, verdict.shape, verdict.held) == (0.8, "o.m(1)", False)


def test_a_figure_that_equals_the_limit_holds_it():
    assert judge(GOAL, run_of(figure("f()", 0.75))).held is True


def test_newer_interpreters_have_limits_of_their_own():
    run = run_of(figure("f()", 0.8), interpreter="CPython 3.14.1")

    assert judge(GOAL, run).held is True


def test_what_was_not_measured_is_neither_held_nor_missed():
    verdict = judge(GOAL, run_of())

    assert (verdict.measured, verdict.held) == (None, None)


def test_a_rival_never_answers_for_us():
    rival = Figure("sync", "streak", "f()", "pybreaker", 50.0, "ns", 0.1)

    assert judge(GOAL, run_of(rival)).held is None


def test_an_increase_is_the_difference_of_two_ratios():
    run = run_of(figure("shared", 0.9, "o", "x"), figure("plain", 0.7, "o", "x"))

    assert judge(SHARE, run).measured == pytest.approx(0.2)


def test_an_increase_without_its_base_is_not_measured():
    assert judge(SHARE, run_of(figure("shared", 0.9, "o", "x"))).held is None


def test_a_goal_in_bytes_judges_the_value():
    weight = Figure("memory", "streak", "new", OURS, 1300.0, "B")

    assert judge(BYTES, run_of(weight)).held is False


def test_a_free_threaded_interpreter_counts_as_its_version():
    assert minor(run_of(interpreter="CPython 3.13.15 free-threaded")) == 13


def test_spreads_are_parts_of_their_ratio_in_order():
    wide = Figure("g", "c", "", "a", 1.0, "ns", 2.0, 1.0, 3.0)
    narrow = Figure("g", "c", "", "b", 1.0, "ns", 4.0, 3.8, 4.2)

    assert spreads([wide, narrow, figure("f()", 1.0)]) == pytest.approx([0.1, 1.0])


def test_no_goal_asks_twice_for_the_same_figure():
    places = [(goal.label, place) for goal in GOALS for place in goal.places]

    assert len(places) == len(set(places))
