"""Calls that hang: counted as slow while they are out, once, by the next that enters."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from contextvars import copy_context

import pytest
import trio
import trio.testing

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FalseTripBudget,
    SlowCallRate,
    State,
    TimeWindow,
)
from recloser._runtime import counters, flights
from recloser._runtime.counters import steps_of
from recloser._runtime.flights import Cohort
from recloser.testing import FakeClock

LIMIT = 4.0
STREAK = ConsecutiveFailures(3, slower_than=LIMIT)
NEVER_TRIPS = SlowCallRate(
    1, slower_than=LIMIT, window=CountWindow(10**6), minimum_calls=10**6
)


class Hanging:
    """Something to await that returns when it is told to."""

    def __await__(self):
        return (yield self)


class Calls:
    """Coroutines of one breaker, driven by hand: begun, and ended in any order."""

    def __init__(self, clock: FakeClock, breaker: CircuitBreaker) -> None:
        self.clock, self.breaker = clock, breaker

        @breaker
        async def hang() -> object:
            result = await Hanging()
            if isinstance(result, BaseException):
                raise result
            return result

        self._hang = hang

    def begin(self, how: str = "wrapper"):
        call = self._hang() if how == "wrapper" else self.breaker.acall(self._plain)
        call.send(None)
        return call

    async def _plain(self) -> object:
        return await Hanging()

    def end(self, call, result: object = None) -> None:
        with suppress(StopIteration, OSError):
            call.send(result)

    @property
    def slow(self) -> int:
        return self.breaker.snapshot().totals.slow


@pytest.fixture
def calls(make, clock):
    def of(trip=STREAK, **options):
        return Calls(clock, make(trip=trip, **options))

    return of


# -- when --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["wrapper", "acall"])
def test_a_call_that_hangs_counts_when_another_enters(calls, clock, how):
    payments = calls()
    call = payments.begin(how)
    clock.advance(1.25 * LIMIT)
    before = payments.slow

    payments.breaker.call(int)

    assert (before, payments.slow) == (0, 1)
    call.close()


def test_it_counts_after_a_limit_at_the_earliest(calls, clock):
    payments = calls()
    call = payments.begin()
    seen = []

    for _ in range(6):
        clock.advance(LIMIT / 4)
        payments.breaker.call(int)
        seen.append(payments.slow)

    assert seen == [0, 0, 0, 0, 1, 1]
    call.close()


def test_a_call_that_returned_in_time_never_counts(calls, clock):
    payments = calls()
    for _ in range(100):
        call = payments.begin()
        clock.advance(LIMIT / 2)
        payments.end(call)

    assert payments.slow == 0
    assert payments.breaker.snapshot().totals.successes == 100


def test_calls_that_hang_trip_and_the_call_that_finds_out_is_rejected(calls, clock):
    payments = calls()
    hung = [payments.begin() for _ in range(3)]
    clock.advance(2 * LIMIT)

    with pytest.raises(CircuitOpenError) as caught:
        payments.breaker.call(int)

    assert caught.value.reason == "3 failures or slow calls in a row"
    assert payments.breaker.snapshot().totals.rejected == 1
    for call in hung:
        payments.end(call)
    assert payments.breaker.snapshot().late == 3


def test_a_wrapper_rejects_the_call_that_finds_out(calls, clock):
    payments = calls()
    guarded = payments.breaker(_answer)
    hung = [payments.begin() for _ in range(3)]
    clock.advance(2 * LIMIT)

    with pytest.raises(CircuitOpenError):
        guarded()

    assert payments.breaker.state is State.OPEN
    for call in hung:
        call.close()


def test_a_rate_of_slow_calls_counts_them_too(calls, clock):
    trip = SlowCallRate(0.5, slower_than=LIMIT, window=TimeWindow(60), minimum_calls=4)
    payments = calls(trip)
    for _ in range(2):
        payments.breaker.call(int)
    hung = [payments.begin() for _ in range(2)]
    clock.advance(2 * LIMIT)

    with pytest.raises(CircuitOpenError, match="2 of 4 calls were slow"):
        payments.breaker.call(int)

    for call in hung:
        call.close()


def test_a_budget_counts_them_too(calls, clock):
    payments = calls(FalseTripBudget(slower_than=LIMIT))
    for _ in range(200):
        clock.advance(1)
        payments.breaker.call(int)
    hung = []

    with pytest.raises(CircuitOpenError, match="calls were slow; usual is 0 %"):
        for _ in range(30):
            clock.advance(1)
            hung.append(payments.begin())

    assert len(hung) <= 11
    for call in hung:
        call.close()


def test_without_a_slow_rule_nothing_is_looked_at(calls, clock):
    payments = calls(trip=5)
    call = payments.begin()
    clock.advance(1000)

    payments.breaker.call(int)

    assert payments.slow == 0
    assert payments.breaker._circuit.current[1].flights is None
    call.close()


# -- once --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "calls_seen", "failures"),
    [(None, 2, 0), (OSError("late"), 2, 1), (asyncio.CancelledError(), 1, 0)],
)
def test_its_return_says_how_it_ended_and_not_again_that_it_was_slow(
    calls, clock, result, calls_seen, failures
):
    payments = calls(NEVER_TRIPS)
    call = payments.begin()
    clock.advance(2 * LIMIT)
    payments.breaker.call(int)

    with suppress(asyncio.CancelledError):
        payments.end(call, result)

    totals = payments.breaker.snapshot().totals
    assert (totals.calls, totals.failures, totals.slow) == (calls_seen, failures, 1)
    (counts,) = payments.breaker.snapshot().counts.values()
    assert (counts.slow, counts.slow_calls) == (1, 2)


def test_a_slow_call_that_nobody_looked_at_counts_when_it_returns(calls, clock):
    payments = calls(NEVER_TRIPS)
    call = payments.begin()
    clock.advance(2 * LIMIT)

    payments.end(call)

    assert payments.slow == 1


def test_the_failure_of_a_counted_call_makes_a_streak_of_failures_longer(calls, clock):
    payments = calls(NEVER_TRIPS | ConsecutiveFailures(2))
    hung = [payments.begin() for _ in range(2)]
    clock.advance(2 * LIMIT)
    payments.breaker.call(int)

    for call in hung:
        payments.end(call, OSError("timed out"))

    assert payments.breaker.snapshot().reason == "2 failures in a row"


def test_a_counted_call_that_steps_the_count_after_all_is_taken_back(calls, clock):
    payments = calls(FalseTripBudget(slower_than=LIMIT))
    payments.breaker.call(int)
    call = payments.begin()
    cohort = payments.breaker._circuit.current[1].flights.present
    clock.advance(2 * LIMIT)
    payments.breaker.call(int)

    next(cohort.ok)  # a thread that was held up between its look at the clock and this
    payments.breaker.call(lambda: clock.advance(LIMIT))
    payments.breaker.call(lambda: clock.advance(LIMIT))

    snapshot = payments.breaker.snapshot()
    assert (snapshot.totals.slow, snapshot.totals.calls) == (3, 5)
    assert snapshot.scores[1].score > 0
    call.close()


def test_nothing_is_counted_twice_however_often_somebody_looks(calls, clock):
    payments = calls(NEVER_TRIPS)
    hung = [payments.begin() for _ in range(5)]

    for _ in range(40):
        clock.advance(LIMIT / 3)
        payments.breaker.call(int)

    assert payments.slow == 5
    for call in hung:
        payments.end(call)
    assert payments.slow == 5
    assert payments.breaker.snapshot().totals.successes == 45


def test_more_than_a_thousand_are_counted_at_several_looks(calls, clock):
    payments = calls(NEVER_TRIPS)
    hung = [payments.begin() for _ in range(1500)]
    clock.advance(2 * LIMIT)
    payments.breaker.call(int)
    first = payments.slow
    clock.advance(LIMIT)

    payments.breaker.call(int)

    assert (first, payments.slow) == (1000, 1500)
    for call in hung:
        call.close()


# -- what is not looked at -------------------------------------------------------------------


def test_permits_and_blocks_are_judged_when_they_end(make, clock):
    payments = make(trip=STREAK)
    held = payments.acquire()
    lost = payments.acquire()
    del lost
    gc.collect()

    with payments:
        clock.advance(3 * LIMIT)
        payments.call(int)
        during = payments.snapshot().totals.slow
    held.success()

    assert (during, payments.snapshot().totals.slow) == (0, 2)


def test_a_stream_is_looked_at_until_its_first_item(make, clock):
    payments = make(trip=NEVER_TRIPS)

    @payments
    def pages():
        yield 1
        yield 2

    begun = pages()
    next(begun)
    clock.advance(3 * LIMIT)

    payments.call(int)

    assert payments.snapshot().totals.slow == 0
    assert list(begun) == [2]
    assert payments.snapshot().totals.successes == 2


def test_an_async_stream_that_hangs_counts_and_its_first_item_says_no_more(make, clock):
    payments = make(trip=NEVER_TRIPS)

    @payments
    async def pages():
        await Hanging()
        yield 1

    step = pages().__anext__()
    step.send(None)
    clock.advance(2 * LIMIT)
    payments.call(int)
    hung = payments.snapshot().totals.slow

    with pytest.raises(StopIteration):
        step.send(None)

    assert (hung, payments.snapshot().totals.slow) == (1, 1)


def test_probes_are_not_looked_at(calls, clock):
    payments = calls()
    payments.breaker.trip()
    clock.advance(10)
    probe = copy_context().run(payments.begin)  # or what follows is a part of it
    clock.advance(2 * LIMIT)

    with pytest.raises(CircuitOpenError):
        payments.breaker.call(int)

    assert payments.breaker.state is State.HALF_OPEN
    assert payments.slow == 0
    probe.close()


# -- settings, clocks, memory ---------------------------------------------------------------


def test_a_lower_limit_holds_for_calls_that_are_out(calls, clock):
    payments = calls(NEVER_TRIPS)
    call = payments.begin()
    clock.advance(LIMIT / 2)

    payments.breaker.reconfigure(trip=ConsecutiveFailures(9, slower_than=1.0))
    clock.advance(1)
    payments.breaker.call(int)

    assert payments.slow == 1
    payments.end(call)
    assert payments.slow == 1


def test_a_rule_for_slow_calls_that_goes_and_comes_back(calls, clock):
    payments = calls(NEVER_TRIPS)
    guarded = payments.breaker(_answer)

    payments.breaker.reconfigure(trip=5)
    clock.advance(3 * LIMIT)
    guarded()
    payments.breaker.reconfigure(trip=NEVER_TRIPS)
    guarded()

    assert payments.breaker.snapshot().totals.successes == 2


def test_a_clock_that_went_back_makes_no_call_too_fast(calls, clock):
    readings = FakeClock(1000.0)
    payments = calls(NEVER_TRIPS, clock=readings)
    payments.breaker.call(int)
    guarded = payments.breaker(lambda: readings.advance(2 * LIMIT))
    readings._now = 5.0

    guarded()

    assert payments.slow == 1


def test_metrics_only_counts_them_and_says_when(calls, clock):
    payments = calls(initial_state=State.METRICS_ONLY)
    hung = [payments.begin() for _ in range(3)]
    clock.advance(2 * LIMIT)

    payments.breaker.call(int)

    assert payments.breaker.snapshot().totals.would_trip == 1
    for call in hung:
        call.close()


def test_calls_that_would_be_rejected_are_looked_at_like_others(calls, clock):
    payments = calls(initial_state=State.METRICS_ONLY)
    for _ in range(3):
        payments.end(payments.begin(), OSError("down"))
    clock.advance(LIMIT)
    call = payments.begin()  # would be rejected
    seen = []

    for _ in range(5):
        clock.advance(LIMIT / 4)
        payments.end(payments.begin())
        seen.append(payments.slow)

    assert payments.breaker.snapshot().totals.would_reject == 6
    assert seen == [0, 0, 0, 0, 1]
    call.close()


@pytest.mark.parametrize("has_gil", [True, False])
def test_cohort_counts_who_enters_in_every_build(calls, clock, monkeypatch, has_gil):
    monkeypatch.setattr(flights, "HAS_GIL", has_gil)
    monkeypatch.setattr(counters, "HAS_GIL", has_gil)
    payments = calls()
    call = payments.begin()
    other = payments.begin("acall")
    cohort = payments.breaker._circuit.current[1].flights.present

    assert (cohort.entered(), cohort.out(), cohort.at_most()) == (2, 2, 2)
    payments.end(call)
    payments.end(other, OSError("down"))
    assert (cohort.entered(), cohort.out(), cohort.at_most()) == (2, 0, 0)


def test_more_that_hang_than_trip_are_no_evidence_of_the_next_period(calls, clock):
    payments = calls()
    hung = [payments.begin() for _ in range(5)]
    clock.advance(2 * LIMIT)

    with pytest.raises(CircuitOpenError):
        payments.breaker.call(int)

    assert payments.breaker.snapshot().reason == "3 failures or slow calls in a row"
    assert payments.slow == 3
    for call in hung:
        call.close()


def test_look_at_a_period_that_is_over_counts_nothing(calls, clock):
    payments = calls()
    circuit = payments.breaker._circuit
    cohort = circuit.current[1].flights.present
    call = payments.begin()
    clock.advance(2 * LIMIT)

    payments.breaker.reset()
    flights.look(circuit, cohort, clock())

    assert payments.slow == 0
    call.close()


def test_fast_call_that_ends_in_another_bucket_moves_the_window_on(calls, clock):
    rate = SlowCallRate(
        0.5, slower_than=LIMIT, window=TimeWindow(10), minimum_calls=100
    )
    payments = calls(rate)
    guarded = payments.breaker(clock.advance)
    for _ in range(5):
        guarded(LIMIT / 2)

    recorder = payments.breaker._circuit.current[1]

    assert recorder.deadline > clock()
    assert payments.breaker.snapshot().totals.successes == 5


def test_cohorts_are_few_while_nothing_hangs(calls, clock):
    payments = calls(NEVER_TRIPS)
    guarded = payments.breaker(_answer)
    guarded()
    before = _cohorts_of(payments.breaker)

    for _ in range(1000):
        clock.advance(LIMIT / 7)
        guarded()

    assert before == 1
    assert _cohorts_of(payments.breaker) <= 7


def _cohorts_of(breaker: CircuitBreaker) -> int:
    return len(breaker._circuit.current[1].flights._cohorts)


def test_a_period_that_is_over_leaves_no_cycle(make):
    payments = make(trip=STREAK)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            payments.reset()
        left = sum(type(one) is Cohort for one in gc.get_objects())
    finally:
        gc.enable()

    assert left < 10


# -- listeners ---------------------------------------------------------------------------


class Ears:
    def __init__(self) -> None:
        self.calls = []
        self.changes = []

    def on_call(self, event) -> None:
        self.calls.append(event.kind)

    def on_transition(self, event) -> None:
        self.changes.append((event.after, event.reason))


def test_every_call_is_told_whichever_cohort_it_is_of(make, clock):
    ears = Ears()
    payments = make(trip=NEVER_TRIPS, listeners=[ears])
    guarded = payments(_answer)
    for _ in range(4):
        guarded()
        clock.advance(LIMIT / 2)  # another cohort each time
    payments.remove_listener(ears)
    guarded()
    payments.add_listener(ears)
    guarded()

    assert len(ears.calls) == 5
    assert payments.snapshot().totals.successes == 6


def test_trip_by_calls_that_hang_is_told(calls, clock):
    ears = Ears()
    payments = calls(listeners=[ears])
    hung = [payments.begin() for _ in range(3)]
    clock.advance(2 * LIMIT)

    with pytest.raises(CircuitOpenError):
        payments.breaker.call(int)

    assert ears.changes == [(State.OPEN, "3 failures or slow calls in a row")]
    for call in hung:
        payments.end(call)


# -- threads and tasks ------------------------------------------------------------------------


def test_a_herd_that_comes_after_a_pause_has_nobody_who_hangs(make, clock, threads):
    """Can detect: calls that wait for the lock being taken for calls that hang."""
    payments = make(trip=STREAK)
    guarded = payments(_answer)
    guarded()
    circuit = payments._circuit
    cohort = circuit.current[1].flights.present
    clock.advance(10 * LIMIT)

    with circuit._lock:
        herd = [threads.start(guarded) for _ in range(8)]
        threads.until(lambda: steps_of(cohort.moved) == len(herd))

    assert [caller.join().result for caller in herd] == [42] * 8
    assert (payments.state, payments.snapshot().totals.slow) == (State.CLOSED, 0)


def test_every_outcome_counts_once_between_threads():
    """Can detect: a step lost between cohorts, and a call counted by two lookers."""
    payments = CircuitBreaker(
        "payments",
        trip=SlowCallRate(
            1, slower_than=0.001, window=CountWindow(10**6), minimum_calls=10**6
        ),
        registry="none",
    )
    guarded = payments(_work)

    def work() -> None:
        for number in range(3000):
            with suppress(OSError):
                guarded(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    totals = payments.snapshot().totals
    assert totals.calls == 12_000
    assert totals.failures == 4 * 3000 // 10
    (counts,) = payments.snapshot().counts.values()
    assert counts.slow_calls == 12_000
    flights = payments._circuit.current[1].flights
    assert [cohort.out() for cohort in flights._cohorts if cohort.out()] == []
    assert [cohort.owed for cohort in flights._cohorts if cohort.owed] == []
    (counts,) = payments.snapshot().counts.values()
    assert counts.slow_calls == 12_000


def _answer() -> int:
    return 42


def _work(number: int) -> None:
    if number % 10 == 0:
        raise OSError("down")


def test_tasks_of_trio_that_hang_count():
    clock = FakeClock()
    payments = CircuitBreaker("payments", trip=STREAK, clock=clock, registry="none")
    guarded = payments(trio.sleep_forever)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(guarded)
            await trio.testing.wait_all_tasks_blocked()
            clock.advance(2 * LIMIT)
            with pytest.raises(CircuitOpenError):
                payments.call(int)
            nursery.cancel_scope.cancel()

    trio.run(main)

    assert payments.state is State.OPEN
