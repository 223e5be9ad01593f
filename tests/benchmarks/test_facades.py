"""What the group `compat` measures, on the originals that are installed."""

from __future__ import annotations

import warnings

import pytest

from benchmarks.facades import KINDS, ORIGINAL, facades
from benchmarks.goals import GOALS
from benchmarks.rounds import Plan
from benchmarks.subjects import OURS


@pytest.fixture(scope="module")
def measured() -> set[tuple[str, str, str]]:
    pytest.importorskip("pybreaker")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an original's, of itself
        figures = list(facades(Plan(1, 0.00001)))
    assert all(each.subject in {OURS, ORIGINAL} for each in figures)
    return {(each.group, each.case, each.shape) for each in figures}


def test_every_goal_for_a_facade_is_measured(measured: set[tuple[str, str, str]]):
    places = {
        place
        for goal in GOALS
        for place in goal.places
        if place[0] == "compat" and place[1] != "escudeiro"  # which needs 3.12
    }

    assert places - measured == set()


def test_what_never_rejects_has_no_rejection(measured: set[tuple[str, str, str]]):
    assert ("compat", "escudeiro", "async rejection") not in measured


def test_every_original_is_known_to_the_group():
    assert set(KINDS) == {
        "pybreaker",
        "aiobreaker",
        "circuitbreaker",
        "aiocircuitbreaker",
        "djanorm",
        "escudeiro",
    }
