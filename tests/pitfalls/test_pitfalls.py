"""P1 to P26: what other breakers, in nine languages' libraries, get wrong.

Each test is named for one entry of the list; its docstring says the pitfall.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress

import pytest

from recloser import (
    BreakerGroup,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    Permit,
    PermitError,
    SlowCallRate,
    State,
    TimeWindow,
    Wait,
)
from recloser.testing import FakeClock


def answer():
    return "answer"


def down():
    raise OSError("down")


def trip_and_wait(breaker, clock) -> None:
    breaker.trip()
    clock.advance(10)


def test_p1_a_late_success_does_not_close_half_open(make, clock, fail):
    """A late success closes half-open though no probe was sent."""
    payments = make(probes=2)
    late = payments.acquire()
    fail(payments)
    clock.advance(10)
    payments.call(answer)  # the first probe of two

    late.success()

    assert payments.state is State.HALF_OPEN
    assert payments.call(answer) == "answer"  # the second closes it, not the third
    assert payments.state is State.CLOSED


def test_p2_a_late_failure_does_not_reopen_over_a_good_probe(make, clock, fail):
    """A late failure re-opens over a good probe."""
    payments = make(probes=2)
    during, after = payments.acquire(), payments.acquire()
    fail(payments)
    clock.advance(10)
    payments.call(answer)

    during.failure(OSError("old news"))
    half_open = payments.state
    payments.call(answer)
    after.failure(OSError("old news"))

    assert half_open is State.HALF_OPEN
    assert payments.state is State.CLOSED
    assert payments.snapshot().late == 2


@pytest.mark.parametrize("lost", ["hangs", "is dropped", "is cancelled"])
def test_p3_a_lost_probe_does_not_block_traffic_for_ever(make, clock, lost, rejected):
    """A lost probe (hang, dropped permit, cancelled task) blocks traffic for ever."""
    payments = make(probe_lease=30)
    trip_and_wait(payments, clock)
    probe = payments.acquire()
    held = rejected(payments)
    if lost == "is dropped":
        del probe
    elif lost == "is cancelled":
        cancel(probe)

    if lost != "is cancelled":
        clock.advance(30)

    assert held
    assert payments.call(answer) == "answer"
    assert payments.state is State.CLOSED


def cancel(probe: Permit) -> None:
    with suppress(asyncio.CancelledError), probe:
        raise asyncio.CancelledError


@pytest.mark.recloser_allow_callback_errors
def test_p3_an_exception_in_a_predicate_does_not_lose_the_probe(make, clock, fail):
    """An exception raised by a predicate loses the probe, and blocks traffic."""
    payments = make(probe_lease=1e6)

    def confused(_):
        raise RuntimeError("the predicate is broken")

    trip_and_wait(payments, clock)
    payments(failure_result=confused).call(answer)

    assert payments.snapshot().probes == 0
    assert payments.call(answer) == "answer"


def test_p4_permits_neither_leak_nor_grow(make, clock, rejected):
    """Permits leak or grow: release without acquire makes two places out of one."""
    payments = make(probe_lease=30)
    trip_and_wait(payments, clock)
    for _ in range(10):
        probe = payments.acquire()
        probe.release()
        with pytest.raises(PermitError):
            probe.release()

    held = payments.acquire()

    assert rejected(payments)
    held.release()
    assert payments.snapshot().probes == 0


def test_p5_a_cancelled_probe_does_not_close_the_circuit(make, clock):
    """Cancelling the probe counts as success and closes the circuit."""
    payments = make()
    trip_and_wait(payments, clock)

    @payments
    async def hang():
        await asyncio.Event().wait()

    async def main():
        probe = asyncio.create_task(hang())
        await asyncio.sleep(0)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe

    asyncio.run(main())

    assert payments.state is State.HALF_OPEN
    assert payments.snapshot().probes == 0


def test_p6_opening_without_a_wait_leaves_a_working_machine(make, fail):
    """Asking to open "without a wait" throws inside and leaves a wedged breaker."""
    payments = make()

    payments.force_open()
    payments.force_open()
    with pytest.raises(CircuitOpenError) as caught:
        payments.call(answer)
    with pytest.raises(ValueError, match="reset it first"):
        payments.trip()
    forced = payments.state
    payments.reset()
    fail(payments)

    assert forced is State.FORCED_OPEN
    assert caught.value.retry_after is None
    assert payments.state is State.OPEN
    with pytest.raises(ValueError, match="recovery"):
        make(recovery=0)


def test_p7_own_rejections_are_not_failures_of_the_dependency(make):
    """Own rejections counted as failures open a breaker on a healthy dependency."""
    outer, inner = make("outer"), make("inner")
    inner.force_open()

    for _ in range(100):
        with pytest.raises(CircuitOpenError):
            outer.call(inner.call, answer)

    assert outer.state is State.CLOSED
    assert outer.snapshot().totals.failures == 0


@pytest.mark.parametrize("window", [CountWindow(10), TimeWindow(60)])
def test_p8_a_success_does_not_trip(make, fail, window):
    """Tripping on a success, because the rate is judged when the minimum is reached."""
    payments = make(trip=FailureRate(0.5, window=window, minimum_calls=5))
    fail(payments, 4)

    payments.call(answer)

    assert payments.state is State.CLOSED
    assert payments.snapshot().counts[window].failure_rate == 0.8


def test_p9_own_rejections_do_not_blunt_the_next_trip(make, clock, fail, rejected):
    """Rejections in the denominator: after a thousand, 997 failures must come to trip."""
    payments = make(trip=FailureRate(0.5, window=TimeWindow(1e6), minimum_calls=5))
    fail(payments, 5)
    assert all(rejected(payments) for _ in range(1000))
    clock.advance(10)
    payments.call(answer)

    fail(payments, 5)

    assert payments.state is State.OPEN
    assert payments.snapshot().rejected == 1000


def test_p10_a_time_window_expires_while_idle(make, clock, fail):
    """A window that does not expire while idle."""
    window = TimeWindow(60)
    payments = make(trip=FailureRate(0.5, window=window, minimum_calls=5))
    fail(payments, 4)

    clock.advance(61)

    assert payments.snapshot().counts[window].failures == 0
    fail(payments)
    assert payments.state is State.CLOSED


def test_p11_sparse_but_unbroken_failures_trip_a_streak(make, clock, fail):
    """A "consecutive" counter that a rolling window shrinks never trips on sparse ones."""
    payments = make(
        trip=ConsecutiveFailures(5)
        | FailureRate(1.0, window=TimeWindow(60), minimum_calls=100)
    )

    for _ in range(5):
        assert payments.state is State.CLOSED
        fail(payments)
        clock.advance(3600)

    assert payments.state is State.OPEN


def test_p12_a_tight_burst_is_not_hidden_by_what_came_before(make, clock, fail):
    """An average weighted by arrival gap hides a tight burst, even a total outage."""
    payments = make(trip=FailureRate(0.5, window=TimeWindow(10), minimum_calls=20))
    for _ in range(10):
        payments.call(answer)
        clock.advance(1)

    for _ in range(20):
        if payments.state is State.CLOSED:
            fail(payments)
            clock.advance(0.001)

    assert payments.state is State.OPEN


def test_p13_a_call_longer_than_the_window_counts_when_it_ends(make, clock):
    """A window shorter than the call: request and answer land in different windows."""
    window = TimeWindow(1)
    payments = make(trip=FailureRate(1.0, window=window, minimum_calls=3))
    calls = [payments.acquire() for _ in range(3)]

    clock.advance(5)
    for call in calls:
        call.failure(TimeoutError())

    assert payments.state is State.OPEN


def test_p14_the_wall_clock_may_move(monkeypatch, rejected):
    """The wall clock moves: a step admits early, or keeps the circuit shut."""
    from recloser import CircuitBreaker

    wall = time.time()
    payments = CircuitBreaker("payments", trip=1, recovery=3600, registry="none")
    with suppress(OSError):
        payments.call(down)

    monkeypatch.setattr(time, "time", lambda: wall + 7200)
    forward = rejected(payments)
    monkeypatch.setattr(time, "time", lambda: wall - 7200)
    left = payments.snapshot().retry_after

    assert forward
    assert left == pytest.approx(3600, rel=0.2)


def test_p15_listeners_run_without_the_lock_and_events_can_be_ordered(
    make, clock, fail
):
    """A callback under the lock deadlocks; one outside of it loses the order."""
    import threading

    seen = []

    def listener(event):
        other = threading.Thread(target=payments.snapshot)
        other.start()
        other.join(10)
        seen.append((event.epoch, other.is_alive()))
        payments.explain()

    payments = make(listeners=[listener])
    fail(payments)
    clock.advance(10)
    payments.call(answer)

    assert [stuck for _, stuck in seen if stuck] == []
    epochs = [epoch for epoch, _ in seen]
    assert epochs == sorted(epochs)


def test_p16_asking_for_the_state_does_not_keep_it_open(make, clock, fail):
    """Checking the state before calling means that it never half-opens."""
    payments = make()
    fail(payments)
    clock.advance(10)

    before = payments.state, payments.snapshot().retry_after
    permit = payments.try_acquire()

    assert before == (State.OPEN, 0.0)  # 0 says: the next call is admitted
    assert permit is not None
    permit.success()
    assert payments.state is State.CLOSED


@pytest.mark.parametrize("kind", [CountWindow, TimeWindow])
def test_p17_the_cost_of_a_failure_does_not_grow_with_traffic(make, fail, kind):
    """The cost of a failure grows with traffic, exactly during an outage."""

    def steps(size: int) -> int:
        """Count the calls into our code that one failure makes."""
        payments = make(trip=FailureRate(1.0, window=kind(size), minimum_calls=size))
        for number in range(3000):
            with suppress(OSError):
                payments.call(answer if number % 50 == 0 else down)
        made = 0

        def profile(frame, event, argument):
            nonlocal made
            made += event in {"call", "c_call"}

        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            with suppress(OSError):
                payments.call(down)
        finally:
            sys.setprofile(before)
        return made

    assert steps(10_000) == steps(100)


def test_p18_one_policy_serves_many_backends_apart(clock):
    """A single breaker over many backends shuts the healthy ones with the sick one."""
    hosts = BreakerGroup("api", trip=1, clock=clock, registry="none")

    with suppress(OSError):
        hosts["host-a"].call(down)

    assert hosts["host-a"].state is State.OPEN
    assert hosts["host-b"].call(answer) == "answer"


def test_p19_clients_do_not_probe_in_step():
    """All clients that opened together probe together."""
    from recloser import CircuitBreaker

    clock = FakeClock()
    fleet = [
        CircuitBreaker("payments", trip=1, recovery=30, clock=clock, registry="none")
        for _ in range(200)
    ]

    for each in fleet:
        each.trip()
    waits = sorted(each.snapshot().retry_after for each in fleet)

    assert len(set(waits)) > 150
    assert waits[0] < 28
    assert waits[-1] > 32


def test_p20_a_rejection_does_not_accumulate_its_past(make):
    """A reused exception object accumulates traceback, and pins frames and locals."""
    payments = make(initial_state=State.OPEN)
    lengths = set()
    seen = set()

    for _ in range(100):
        with pytest.raises(CircuitOpenError) as caught:
            payments.call(answer)
        lengths.add(len(caught.traceback))
        seen.add(caught.value)

    assert len(lengths) == 1
    assert len(seen) == 100
    assert caught.value.__context__ is None


def test_p21_health_is_told_without_raising_and_without_deciding(make, fail):
    """A health endpoint that goes DOWN over an open circuit kills a healthy pod."""
    payments = make()
    fail(payments)

    before = payments.snapshot()
    text = payments.explain()

    assert before.state is State.OPEN
    assert "OSError" in text
    assert payments.snapshot() == before  # looking admitted no probe


def test_p22_a_probe_refused_by_the_next_breaker_is_not_lost(make, clock, fail):
    """Two breakers in one chain: the probe of one is refused by the other and lost."""
    outer, inner = make("outer"), make("inner", recovery=Wait(50, jitter=0))
    fail(outer)
    fail(inner)
    clock.advance(10)

    with pytest.raises(CircuitOpenError) as caught:
        outer.call(inner.call, answer)
    assert caught.value.name == "inner"
    assert outer.snapshot().probes == 0
    clock.advance(40)

    assert outer.call(inner.call, answer) == "answer"
    assert (outer.state, inner.state) == (State.CLOSED, State.CLOSED)


@pytest.mark.recloser_allow_callback_errors
def test_p23_the_result_survives_whatever_breaks_after_the_call(make):
    """The caller's result is discarded because the store failed after the call."""

    class Broken:
        """Fails at every event, as a listener that writes to a lost store does."""

        def on_call(self, event):
            raise ConnectionError("the store is gone")

        on_transition = on_failed = on_probe_ended = on_call

    payments = make(listeners=[Broken()])

    result = payments.call(answer)
    with pytest.raises(OSError, match="down"):
        payments.call(down)

    assert result == "answer"
    assert payments.state is State.OPEN


def test_p24_what_a_retry_records_follows_from_where_it_stands(make):
    """Outside, a retry loop records each attempt; inside, one failure per loop."""

    def retrying(function):
        for attempt in range(3):
            try:
                return function()
            except OSError:
                if attempt == 2:
                    raise
        return None

    each, whole = make(trip=100), make(trip=100)

    with pytest.raises(OSError, match="down"):
        retrying(lambda: each.call(down))
    with pytest.raises(OSError, match="down"):
        whole.call(retrying, down)

    assert each.snapshot().totals.failures == 3
    assert whole.snapshot().totals.failures == 1


def test_p25_a_stream_is_judged_by_how_it_ends(make):
    """A stream's success is recorded when it opens; failures in it never count."""
    payments = make()

    @payments
    def rows():
        yield 1
        raise OSError("down")

    with pytest.raises(OSError, match="down"):
        list(rows())

    assert payments.state is State.OPEN
    assert payments.snapshot().totals.successes == 0


@pytest.mark.parametrize(
    "trip",
    [
        FailureRate(1.0, window=TimeWindow(1), minimum_calls=1),
        ConsecutiveFailures(3),
        SlowCallRate(1.0, slower_than=4, window=TimeWindow(1), minimum_calls=1),
    ],
    ids=str,
)
def test_p26_a_dependency_that_times_out_slowly_trips(make, clock, trip):
    """A window shorter than the call drops its result: slow timeouts never trip."""
    payments = make(trip=trip)

    for _ in range(3):
        if payments.state is State.CLOSED:
            call = payments.acquire()
            clock.advance(5)
            call.failure(TimeoutError())

    assert payments.state is State.OPEN
