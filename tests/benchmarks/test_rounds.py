"""The arithmetic of interleaved rounds. Nothing here is timed."""

from __future__ import annotations

from benchmarks.rounds import EMPTY, quartiles, rotated, summarise, without_empty


def test_a_ratio_is_the_median_of_the_ratios_of_each_round():
    samples = {"ours": [20.0, 60.0, 30.0], "wrapper": [10.0, 20.0, 30.0]}

    found = summarise(samples, {"ours": "wrapper"})

    assert found["ours"].ratio == 2.0
    assert found["ours"].value == 30.0


def test_a_slow_spell_that_hits_both_subjects_leaves_the_ratio_alone():
    calm = summarise({"a": [2.0] * 5, "b": [1.0] * 5}, {"a": "b"})
    noisy = summarise({"a": [2, 2, 20, 20, 20], "b": [1, 1, 10, 10, 10]}, {"a": "b"})

    assert noisy["a"].ratio == calm["a"].ratio == 2.0


def test_quartiles_show_how_far_the_rounds_lie_apart():
    samples = {"a": [1.0, 2.0, 3.0, 4.0, 5.0], "b": [1.0] * 5}

    found = summarise(samples, {"a": "b"})["a"]

    assert (found.low, found.ratio, found.high) == (2.0, 3.0, 4.0)


def test_quartiles_lie_between_neighbours_where_no_sample_is_in_the_place():
    assert quartiles([4.0, 1.0, 2.0, 3.0]) == (1.75, 2.5, 3.25)


def test_quartiles_of_one_sample_are_that_sample():
    assert quartiles([7.0]) == (7.0, 7.0, 7.0)


def test_a_subject_without_a_baseline_has_no_ratio():
    found = summarise({"a": [1.0, 2.0, 3.0]}, {"a": ""})

    assert found["a"].ratio is None


def test_a_subject_whose_baseline_was_not_measured_has_no_ratio():
    found = summarise({"a": [1.0, 2.0, 3.0]}, {"a": "missing"})

    assert found["a"].ratio is None


def test_the_median_of_the_empty_loop_is_taken_off_every_sample():
    samples = {EMPTY: [1.0, 2.0, 9.0], "a": [10.0, 20.0, 30.0]}

    assert without_empty(samples) == {"a": [8.0, 18.0, 28.0]}


def test_each_subject_comes_first_in_some_round():
    firsts = {rotated("abcd", turn)[0] for turn in range(8)}

    assert firsts == set("abcd")


def test_every_round_holds_every_subject_once():
    rounds = [sorted(rotated("abc", turn)) for turn in range(6)]

    assert rounds == [["a", "b", "c"]] * 6


def test_each_subject_follows_both_its_neighbours():
    before = {
        (order[place - 1], order[place])
        for order in (rotated("abc", turn) for turn in range(6))
        for place in (1, 2)
    }

    assert before == {
        ("a", "b"),
        ("b", "a"),
        ("b", "c"),
        ("c", "b"),
        ("c", "a"),
        ("a", "c"),
    }
