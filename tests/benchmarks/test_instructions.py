"""Instructions per call from two counts."""

from __future__ import annotations

import pytest

from benchmarks.instructions import per_call, total


def test_instructions_per_call_are_the_difference_over_the_additional_calls():
    assert per_call(short=5_000_000, long=5_300_000, steps=1_000) == 30.0


def test_what_both_loops_do_cancels_out():
    assert per_call(1_000, 2_000, 10) == per_call(900_001_000, 900_002_000, 10)


def test_the_total_of_a_callgrind_file_is_its_last_one():
    text = "events: Ir\nsummary: 120\nfn=(1) main\n16 120\n\ntotals: 123\n"

    assert total(text) == 123


def test_a_file_without_a_total_is_an_error():
    with pytest.raises(ValueError, match="no total"):
        total("events: Ir\n")
