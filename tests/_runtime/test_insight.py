"""What a breaker says about itself, to programs and to people."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from recloser import (
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    SlowCallRate,
    Snapshot,
    State,
    TimeWindow,
    Totals,
)
from recloser.testing import force

# -- snapshot ------------------------------------------------------------------------


def test_snapshot_of_a_new_breaker_is_empty(make, clock):
    clock.advance(3)

    now = make().snapshot()

    assert (now.name, now.state, now.since) == ("payments", State.CLOSED, 3)
    assert (now.streak, now.probes, now.retry_after) == (0, 0, 0.0)
    assert (now.reason, now.last_failure, now.opened_at) == ("", None, None)
    assert now.totals == Totals(**dict.fromkeys(Totals._fields, 0))


def test_snapshot_is_frozen_and_comparable(make):
    payments = make()
    now = payments.snapshot()

    assert isinstance(now, Snapshot)
    assert now == payments.snapshot()
    with pytest.raises(AttributeError):
        now.state = State.OPEN


def test_taking_a_snapshot_changes_nothing(make, clock, fail):
    payments = make(trip=1)
    fail(payments)
    clock.advance(10)

    for _ in range(3):
        now = payments.snapshot()

    assert (now.state, now.retry_after) == (State.OPEN, 0.0)
    assert payments.state is State.OPEN
    assert now.epoch == payments.snapshot().epoch


def test_totals_live_through_periods(make, clock, service, fail):
    payments = make(trip=2)
    payments.call(service.answer)
    fail(payments, 2)
    with pytest.raises(CircuitOpenError):
        payments.call(service.answer)
    clock.advance(10)
    fail(payments)
    clock.advance(10)
    payments.call(service.answer)
    payments.call(service.answer)

    totals = payments.snapshot().totals

    assert (totals.calls, totals.successes, totals.failures) == (6, 3, 3)
    assert (totals.rejected, totals.trips) == (1, 2)


def test_totals_tell_neutral_cancelled_late_and_lost(make, clock, service):
    payments = make(ignore=(KeyError,), probe_lease=30)
    with pytest.raises(KeyError):
        payments.call(service.fail, KeyError())
    with pytest.raises(asyncio.CancelledError):
        payments.call(service.fail, asyncio.CancelledError())
    late = payments.acquire()
    force(payments, State.HALF_OPEN)
    late.failure()
    payments.acquire()
    clock.advance(30)
    payments.acquire()

    now = payments.snapshot()

    assert (now.totals.neutral, now.cancelled, now.late, now.lost) == (2, 1, 1, 1)


def test_fallbacks_are_counted(make, service):
    payments = make(initial_state=State.OPEN)
    guarded = payments(fallback=lambda value: None)(service.answer)

    guarded()
    guarded()

    assert payments.snapshot().totals.fallbacks == 2


def test_slow_calls_are_counted_even_when_cancelled(make, clock):
    payments = make(trip=SlowCallRate(0.9, slower_than=2, window=CountWindow(50)))

    def slow(error):
        clock.advance(2)
        if error is not None:
            raise error

    for error in (None, OSError(), asyncio.CancelledError()):
        with suppress(OSError, asyncio.CancelledError):
            payments.call(slow, error)

    totals = payments.snapshot().totals
    assert (totals.slow, totals.calls, totals.cancelled) == (3, 2, 1)


def test_counts_and_rates_are_given_for_each_window(make, clock, service, fail):
    calls, seconds = CountWindow(10), TimeWindow(60)
    payments = make(
        trip=FailureRate(1, window=calls)
        | SlowCallRate(1, slower_than=2, window=seconds)
    )
    payments.call(service.answer)
    payments.call(clock.advance, 2)
    fail(payments, 2)

    now = payments.snapshot()

    assert set(now.counts) == {calls, seconds}
    assert (now.counts[calls].calls, now.counts[calls].failures) == (4, 2)
    assert now.rates[calls][0] == 0.5
    assert now.rates[seconds][1] == 0.25


def test_rate_without_calls_is_none_and_not_zero(make):
    window = CountWindow(10)

    now = make(trip=FailureRate(0.5, window=window)).snapshot()

    assert now.rates[window] == (None, None)


@pytest.mark.parametrize(
    "state", [s for s in State if s not in {State.CLOSED, State.METRICS_ONLY}]
)
def test_streak_is_none_where_none_is_kept(make, state):
    payments = make()
    force(payments, state)

    now = payments.snapshot()

    assert now.streak is None
    assert (now.counts, now.rates) == ({}, {})


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.CLOSED, 0.0),
        (State.OPEN, 10.0),
        (State.HALF_OPEN, 0.0),
        (State.FORCED_OPEN, None),
        (State.DISABLED, 0.0),
        (State.METRICS_ONLY, 0.0),
    ],
)
def test_retry_after_says_when_a_call_may_be_admitted(make, state, expected):
    payments = make()

    force(payments, state)

    assert payments.snapshot().retry_after == expected


def test_retry_after_of_a_full_round_is_the_time_to_the_first_lease(make, clock):
    payments = make(probes=2, probe_concurrency=2, probe_lease=30)
    force(payments, State.HALF_OPEN)
    payments.acquire()
    clock.advance(5)
    payments.acquire()
    clock.advance(5)

    assert payments.snapshot().retry_after == 20
    assert payments.snapshot().probes == 2


def test_retry_after_is_honest(make, clock, service):
    payments = make(initial_state=State.OPEN)
    clock.advance(3.3)

    clock.advance(payments.snapshot().retry_after)

    assert payments.call(service.answer) == "answer"


def test_open_snapshot_says_since_when_and_why(make, clock, fail):
    payments = make(trip=2)
    clock.advance(5)

    fail(payments, 2)
    clock.advance(1)

    now = payments.snapshot()
    assert now.opened_at == 5
    assert now.reason == "2 failures in a row"
    assert now.last_failure.type == "OSError"
    assert now.last_failure.at == 5


def test_half_open_snapshot_still_says_why_it_opened(make, clock, fail):
    payments = make(trip=2)
    fail(payments, 2)
    clock.advance(10)
    payments.acquire()

    now = payments.snapshot()

    assert now.state is State.HALF_OPEN
    assert now.reason == "2 failures in a row"
    assert now.last_failure.type == "OSError"


def test_failed_probe_is_named_in_the_reason(make, clock, fail):
    payments = make(trip=1)
    fail(payments)
    clock.advance(10)

    fail(payments)

    assert payments.snapshot().reason == "a probe failed (OSError)"


# -- explain -------------------------------------------------------------------------


def test_closed_breaker_explains_its_evidence_and_its_rules(make, fail):
    window = CountWindow(10)
    payments = make(trip=ConsecutiveFailures(5) | FailureRate(0.5, window=window))
    fail(payments, 2)

    text = payments.explain()

    assert "'payments' is closed" in text
    assert "2 of 2 calls failed in the last 10 calls" in text
    assert "2 failures in a row" in text
    assert "5 failures in a row, or 50 % of the last 10 calls failed" in text


def test_open_breaker_explains_why_how_long_and_what_then(make, clock, fail):
    payments = make(trip=2)
    fail(payments, 2)
    clock.advance(4)

    text = payments.explain()

    assert "'payments' is open" in text
    assert "2 failures in a row" in text
    assert "another 6 s" in text
    assert "a probe decides" in text
    assert "OSError, 4 s ago" in text


def test_message_of_a_failure_is_not_explained(make, fail):
    payments = make(trip=1)
    fail(payments)

    assert "down" not in payments.explain()  # it may hold secrets


def test_open_breaker_whose_wait_is_over_says_that_the_next_call_probes(make, clock):
    payments = make(initial_state=State.OPEN)
    clock.advance(10)

    assert "the next call is the probe" in payments.explain()


def test_half_open_breaker_explains_its_round(make, service):
    payments = make(probes=3, probe_concurrency=2)
    force(payments, State.HALF_OPEN)
    payments.call(service.answer)
    payments.acquire()

    text = payments.explain()

    assert "'payments' is half-open" in text
    assert "1 of 3 probes succeeded" in text
    assert "1 in flight" in text


def test_held_breaker_explains_how_to_let_it_go(make):
    payments = make()

    payments.force_open()
    forced = payments.explain()
    payments.disable()
    disabled = payments.explain()

    assert "'payments' is forced open" in forced
    assert "'payments' is disabled" in disabled
    for text in (forced, disabled):
        assert "reset()" in text


def test_observing_breaker_explains_what_would_have_been(make, fail):
    payments = make(trip=2)
    payments.observe()
    fail(payments, 2)

    text = payments.explain()

    assert "only observes" in text
    assert "would have tripped once" in text
    assert "2 failures in a row" in text


def test_cancelled_calls_are_explained_with_the_way_out(make, service):
    payments = make()
    for _ in range(17):
        with suppress(asyncio.CancelledError):
            payments.call(service.fail, asyncio.CancelledError())

    text = payments.explain()

    assert "17 calls were cancelled and count for nothing" in text
    assert "put the timeout inside" in text
    assert "set slower_than" in text


def test_way_out_is_not_offered_where_it_was_taken(make, service):
    payments = make(trip=ConsecutiveFailures(5, slower_than=2))
    with suppress(asyncio.CancelledError):
        payments.call(service.fail, asyncio.CancelledError())

    text = payments.explain()

    assert "set slower_than" not in text
    assert "1 call was cancelled" in text


@pytest.mark.recloser_allow_callback_errors
def test_errors_of_callbacks_are_explained(make, service):
    payments = make(failure_result=lambda result: 1 / 0)
    payments.call(service.answer)

    assert "your own callbacks" in payments.explain()


def test_explanation_is_one_paragraph_in_every_state(make):
    for state in State:
        payments = make()
        force(payments, state)

        text = payments.explain()

        assert "\n" not in text
        assert text.endswith(".")
        assert text.startswith("'payments' ")


# -- history -------------------------------------------------------------------------


def test_snapshot_of_a_new_breaker_has_no_transitions(make):
    assert make().snapshot().transitions == {}


def test_transitions_are_counted_by_pair(make, clock, fail, service):
    payments = make(trip=1)
    fail(payments)
    clock.advance(10)
    fail(payments)
    clock.advance(10)
    payments.call(service.answer)
    payments.reset()

    assert payments.snapshot().transitions == {
        (State.CLOSED, State.OPEN): 1,
        (State.OPEN, State.HALF_OPEN): 2,
        (State.HALF_OPEN, State.OPEN): 1,
        (State.HALF_OPEN, State.CLOSED): 1,
        (State.CLOSED, State.CLOSED): 1,
    }


def test_seconds_are_counted_by_state_up_to_now(make, clock, fail):
    payments = make(trip=1)
    clock.advance(3)
    fail(payments)
    clock.advance(12)
    payments.acquire()
    clock.advance(2)
    payments.reset()
    clock.advance(1)

    assert payments.snapshot().seconds == {
        State.CLOSED: 4,
        State.OPEN: 12,
        State.HALF_OPEN: 2,
    }


def test_seconds_of_a_breaker_that_begins_open_are_spent_open(make, clock):
    payments = make(initial_state=State.OPEN)
    clock.advance(2)

    now = payments.snapshot()

    assert (now.transitions, now.seconds) == ({}, {State.OPEN: 2})


def test_history_of_an_older_snapshot_stays(make, clock):
    payments = make()
    before = payments.snapshot()

    clock.advance(2)
    payments.trip()

    assert (before.transitions, before.seconds) == ({}, {State.CLOSED: 0})
