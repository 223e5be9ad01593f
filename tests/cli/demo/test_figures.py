from __future__ import annotations

import pytest

from recloser.cli.demo.figures import (
    figures,
    most_at_once,
    percentile,
    recovery_to_closed,
)
from recloser.cli.demo.records import Change, Client, Ending, Recording, Visit
from recloser.cli.demo.story import Act


def change(at: float, after: str) -> Change:
    return Change(at=at, before="", after=after, reason="")


def visit(came: float, left: float) -> Visit:
    return Visit(client=Client.UNGUARDED, act=Act.HANGS, came=came, left=left)


def test_calls_are_counted_by_client_and_ending(recording: Recording):
    unguarded = figures(recording, Client.UNGUARDED)
    guarded = figures(recording, Client.GUARDED)

    assert (unguarded.calls, guarded.calls) == (5, 4)
    assert unguarded.endings == {
        Ending.OK: 2,
        Ending.FAILED: 1,
        Ending.TIMED_OUT: 2,
        Ending.REJECTED: 0,
    }
    assert guarded.endings[Ending.REJECTED] == 1


def test_only_requests_of_dying_stages_reached_the_dying_service(recording: Recording):
    assert figures(recording, Client.UNGUARDED).reached_dying == 3
    assert figures(recording, Client.GUARDED).reached_dying == 1


def test_waiting_is_the_sum_of_all_calls_and_for_nothing_of_those_lost(
    recording: Recording,
):
    unguarded = figures(recording, Client.UNGUARDED)

    assert unguarded.waited == pytest.approx(0.02 + 0.01 + 1 + 1 + 0.03)
    assert unguarded.waited_for_nothing == pytest.approx(0.01 + 1 + 1)


def test_answered_calls_have_their_own_spread(recording: Recording):
    unguarded = figures(recording, Client.UNGUARDED)

    assert unguarded.all_calls.p99 == pytest.approx(1)
    assert unguarded.answered_calls.p99 == pytest.approx(0.03)


def test_time_from_recovery_to_closed_belongs_to_the_guarded_client(
    recording: Recording,
):
    expected = 14.2 - recording.story.recovery

    assert figures(recording, Client.GUARDED).recovery_to_closed == expected
    assert figures(recording, Client.UNGUARDED).recovery_to_closed is None


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1, 100)]
)
def test_percentile_is_the_value_that_so_many_do_not_exceed(
    share: float, expected: float
):
    assert percentile(range(100, 0, -1), share) == expected


def test_percentile_of_nothing_is_none():
    assert percentile([], 0.5) is None


def test_most_at_once_counts_overlaps_and_not_neighbours():
    visits = [visit(0, 1), visit(1, 2), visit(1.5, 3), visit(1.6, 1.7), visit(5, 6)]

    assert most_at_once(visits) == 3
    assert most_at_once([visit(0, 1), visit(1, 2)]) == 1
    assert most_at_once([]) == 0


def test_closing_that_did_not_last_is_no_recovery():
    changes = [change(14, "closed"), change(15, "open"), change(16, "closed")]

    assert recovery_to_closed(changes, 13) == 3


@pytest.mark.parametrize("state", ["open", "half_open"])
def test_recovery_is_unknown_if_the_run_does_not_end_closed(state: str):
    assert recovery_to_closed([change(14, "closed"), change(15, state)], 13) is None


def test_recovery_is_unknown_if_the_breaker_never_moved():
    assert recovery_to_closed([], 13) is None


def test_breaker_that_closed_before_the_recovery_took_no_time():
    assert recovery_to_closed([change(2, "open"), change(12, "closed")], 13) == 0
