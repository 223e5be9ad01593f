"""Waiting for a place: bounded, in order, nobody woken in vain, nothing lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
import trio

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    Permit,
    State,
    Wait,
)
from recloser._runtime.waiting import Queue, ThreadSpot
from recloser.testing import force


class CountingClock:
    """A clock that counts how often somebody went to sleep by it."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.naps = 0

    def __call__(self) -> float:
        return self.clock()

    def call_at(self, when, callback):
        self.naps += 1
        return self.clock.call_at(when, callback)


@pytest.fixture
def counting(clock):
    return CountingClock(clock)


@pytest.fixture
def shut(make):
    return make(initial_state=State.OPEN)


# -- threads -------------------------------------------------------------------------


def test_acquire_waits_until_the_wait_is_over(shut, clock, threads):
    caller = threads.start(lambda: shut.acquire(timeout=20))

    threads.until(lambda: clock.sleepers == 1)
    clock.advance(9)
    assert not caller.done
    clock.advance(1)

    permit = caller.join().result
    assert permit.is_probe
    assert shut.state is State.HALF_OPEN


@pytest.mark.parametrize("timeout", [5, timedelta(seconds=5)])
def test_acquire_gives_up_after_its_timeout(shut, clock, threads, timeout):
    caller = threads.start(lambda: shut.acquire(timeout=timeout))

    threads.until(lambda: clock.sleepers == 1)
    clock.advance(5)

    error = caller.join().error
    assert isinstance(error, CircuitOpenError)
    assert error.retry_after == 5
    assert shut.snapshot().rejected == 1


def test_waiting_counts_one_rejection_however_often_it_asked(
    make, counting, clock, threads
):
    payments = make(clock=counting, probe_lease=1000)
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()
    caller = threads.start(lambda: payments.acquire(timeout=5))
    threads.until(lambda: clock.sleepers == 1)

    probe.failure()  # wakes the waiter, who asks in vain
    threads.until(lambda: counting.naps == 2 and clock.sleepers == 1)
    clock.advance(5)

    assert isinstance(caller.join().error, CircuitOpenError)
    assert payments.snapshot().rejected == 1


def test_acquire_without_timeout_does_not_wait(shut, clock):
    with pytest.raises(CircuitOpenError):
        shut.acquire()

    assert clock.sleepers == 0


def test_acquire_of_a_closed_circuit_does_not_wait(make, clock):
    permit = make().acquire(timeout=5)

    assert isinstance(permit, Permit)
    assert clock.sleepers == 0


@pytest.mark.parametrize(
    ("timeout", "error", "text"),
    [
        (0, ValueError, "timeout must be more than 0 seconds, got 0"),
        (-1, ValueError, "timeout must be more than 0 seconds, got -1"),
        (timedelta(-1), ValueError, "timeout must be more than 0 seconds"),
        (float("nan"), ValueError, "timeout must be finite, got nan"),
        (float("inf"), ValueError, "timeout must be finite, got inf"),
        ("5", TypeError, "timeout must be seconds or a timedelta, got '5'"),
        (True, TypeError, "timeout must be seconds or a timedelta, got True"),
    ],
)
def test_bad_timeout_is_refused(make, loop, timeout, error, text):
    payments = make()

    async def main():
        with pytest.raises(error, match=text):
            await payments.aacquire(timeout=timeout)

    with pytest.raises(error, match=text):
        payments.acquire(timeout=timeout)
    loop.run(main)


def test_reset_lets_everybody_in(shut, clock, threads):
    callers = [threads.start(lambda: shut.acquire(timeout=5)) for _ in range(3)]
    threads.until(lambda: clock.sleepers == 3)

    shut.reset()

    results = [caller.join().result for caller in callers]
    assert [permit.is_probe for permit in results] == [False] * 3
    assert clock.sleepers == 0


@pytest.mark.parametrize("command", ["disable", "observe"])
def test_whatever_lets_calls_through_lets_waiters_in(shut, clock, threads, command):
    caller = threads.start(lambda: shut.acquire(timeout=5))
    threads.until(lambda: clock.sleepers == 1)

    getattr(shut, command)()

    assert caller.join().error is None


def test_waiter_for_a_forced_open_circuit_is_let_in_by_its_reset(make, clock, threads):
    payments = make()
    payments.force_open()
    caller = threads.start(lambda: payments.acquire(timeout=1000))
    threads.until(lambda: clock.sleepers == 1)
    clock.advance(999)
    assert not caller.done

    payments.reset()

    assert caller.join().error is None


def test_waiter_for_a_forced_open_circuit_gives_up(make, clock, threads):
    payments = make()
    payments.force_open()
    caller = threads.start(lambda: payments.acquire(timeout=5))
    threads.until(lambda: clock.sleepers == 1)

    clock.advance(5)

    error = caller.join().error
    assert error.retry_after is None
    assert error.state is State.FORCED_OPEN


# -- as many as there are places -----------------------------------------------------


def test_only_as_many_are_woken_as_there_are_places(make, counting, clock, threads):
    payments = make(initial_state=State.OPEN, clock=counting, probe_lease=1000)
    callers = [threads.start(lambda: payments.acquire(timeout=500)) for _ in range(5)]
    threads.until(lambda: clock.sleepers == 5)
    naps = counting.naps

    clock.advance(10)
    threads.until(lambda: sum(caller.done for caller in callers) == 1)
    # The next in line asks when it moves up, and sleeps until the lease ends.
    threads.until(lambda: counting.naps > naps and clock.sleepers == 4)

    assert counting.naps - naps == 1
    assert payments.snapshot().probes == 1
    payments.reset()
    for caller in callers:
        assert caller.join().error is None


def test_freed_place_wakes_one_waiter(make, counting, clock, threads):
    payments = make(clock=counting, probe_lease=1000)
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()
    callers = [threads.start(lambda: payments.acquire(timeout=500)) for _ in range(5)]
    threads.until(lambda: clock.sleepers == 5)
    naps = counting.naps

    probe.release()
    threads.until(lambda: sum(caller.done for caller in callers) == 1)
    threads.until(lambda: counting.naps > naps and clock.sleepers == 4)

    assert counting.naps - naps == 1
    payments.reset()
    for caller in callers:
        assert caller.join().error is None


def test_each_freed_place_goes_to_exactly_one_waiter(make, clock, threads):
    payments = make(probes=50, probe_lease=1000)
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()
    inside, most = [], []

    def call():
        permit = payments.acquire(timeout=500)
        inside.append(True)
        most.append(len(inside))
        inside.pop()
        permit.success()

    callers = [threads.start(call) for _ in range(10)]
    threads.until(lambda: clock.sleepers == 10)
    probe.success()

    assert [caller.join().error for caller in callers] == [None] * 10
    assert max(most) == 1
    assert payments.snapshot().totals.successes == 11


def test_two_places_let_two_in(make, clock, threads):
    payments = make(
        initial_state=State.OPEN, probes=2, probe_concurrency=2, probe_lease=1000
    )
    callers = [threads.start(lambda: payments.acquire(timeout=500)) for _ in range(4)]
    threads.until(lambda: clock.sleepers == 4)

    clock.advance(10)
    threads.until(lambda: sum(caller.done for caller in callers) == 2)
    threads.until(lambda: clock.sleepers == 2)

    assert payments.snapshot().probes == 2
    payments.reset()
    for caller in callers:
        assert caller.join().error is None


def test_lease_that_ends_lets_the_next_in(make, clock, threads):
    payments = make(probe_lease=30)
    force(payments, State.HALF_OPEN)
    payments.acquire()
    caller = threads.start(lambda: payments.acquire(timeout=100))
    threads.until(lambda: clock.sleepers == 1)

    clock.advance(30)

    assert caller.join().result.is_probe


def test_failed_probe_makes_waiters_wait_for_the_new_end(
    make, counting, clock, threads
):
    payments = make(clock=counting, probe_lease=1000)
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()
    caller = threads.start(lambda: payments.acquire(timeout=100))
    threads.until(lambda: clock.sleepers == 1)

    probe.failure()
    threads.until(lambda: counting.naps == 2 and clock.sleepers == 1)
    clock.advance(9)
    assert (caller.done, counting.naps) == (False, 2)
    clock.advance(1)

    assert caller.join().result.is_probe


def test_successful_probe_lets_all_waiters_in(make, clock, threads):
    payments = make(probe_lease=1000)
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()
    callers = [threads.start(lambda: payments.acquire(timeout=100)) for _ in range(4)]
    threads.until(lambda: clock.sleepers == 4)

    probe.success()

    results = [caller.join().result for caller in callers]
    assert [permit.is_probe for permit in results] == [False] * 4


def test_first_who_came_is_let_in_first(make, clock, threads):
    payments = make(probe_lease=1000)
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()
    callers = []
    for number in range(1, 4):
        callers.append(threads.start(lambda: payments.acquire(timeout=500)))
        threads.until(lambda number=number: clock.sleepers == number)

    probe.release()
    threads.until(lambda: any(caller.done for caller in callers))

    assert [caller.done for caller in callers] == [True, False, False]
    payments.reset()
    for caller in callers:
        caller.join()


def test_waiter_that_gives_up_makes_room_for_the_next(make, clock, threads):
    payments = make(probe_lease=40)
    force(payments, State.HALF_OPEN)
    payments.acquire()
    impatient = threads.start(lambda: payments.acquire(timeout=5))
    threads.until(lambda: clock.sleepers == 1)
    patient = threads.start(lambda: payments.acquire(timeout=100))
    threads.until(lambda: clock.sleepers == 2)

    clock.advance(5)
    assert isinstance(impatient.join().error, CircuitOpenError)
    threads.until(lambda: clock.sleepers == 1)
    clock.advance(35)

    assert patient.join().result.is_probe


# -- tasks ---------------------------------------------------------------------------


def test_aacquire_waits_until_the_wait_is_over(shut, clock, loop):
    async def main():
        async with loop.nursery() as start:

            async def call():
                return await shut.aacquire(timeout=20)

            caller = start(call)
            await loop.until(lambda: clock.sleepers == 1)
            clock.advance(9)
            for _ in range(5):
                await loop.tick()
            assert not caller.done
            clock.advance(1)
        return caller.result

    assert loop.run(main).is_probe


def test_aacquire_gives_up_after_its_timeout(shut, clock, loop):
    async def main():
        async with loop.nursery() as start:

            async def call():
                await shut.aacquire(timeout=5)

            caller = start(call)
            await loop.until(lambda: clock.sleepers == 1)
            clock.advance(5)
        return caller.error

    error = loop.run(main)

    assert isinstance(error, CircuitOpenError)
    assert error.retry_after == 5
    assert shut.snapshot().rejected == 1
    assert clock.sleepers == 0


def test_aacquire_without_timeout_does_not_wait(shut, clock, loop):
    async def main():
        with pytest.raises(CircuitOpenError):
            await shut.aacquire()

    loop.run(main)

    assert clock.sleepers == 0


def test_reset_from_another_thread_lets_tasks_in(shut, clock, loop):
    async def main():
        async with loop.nursery() as start:

            async def call():
                return await shut.aacquire(timeout=5)

            callers = [start(call) for _ in range(3)]
            await loop.until(lambda: clock.sleepers == 3)
            thread = threading.Thread(target=shut.reset)
            thread.start()
            await loop.until(lambda: all(caller.done for caller in callers))
            thread.join()
        return [caller.error for caller in callers]

    assert loop.run(main) == [None] * 3


def test_only_one_task_is_woken_for_one_place(make, counting, clock, loop):
    payments = make(clock=counting, probe_lease=1000)
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()

    async def main():
        async with loop.nursery() as start:

            async def call():
                await payments.aacquire(timeout=500)

            callers = [start(call) for _ in range(5)]
            await loop.until(lambda: clock.sleepers == 5)
            naps = counting.naps
            probe.release()
            await loop.until(lambda: counting.naps > naps and clock.sleepers == 4)
            for _ in range(20):
                await loop.tick()
            assert sum(caller.done for caller in callers) == 1
            assert counting.naps - naps == 1
            payments.reset()

    loop.run(main)


def test_cancelled_waiter_leaves_nothing_behind(shut, clock, loop):
    async def main():
        async with loop.nursery() as start:

            async def call():
                await shut.aacquire(timeout=20)

            caller = start(call)
            await loop.until(lambda: clock.sleepers == 1)
            caller.cancel()
        return caller

    caller = loop.run(main)

    assert caller.done
    assert caller.result is None
    assert clock.sleepers == 0
    assert shut.snapshot().rejected == 0
    clock.advance(10)
    assert shut.acquire().is_probe


def test_cancelled_waiter_passes_its_turn_on(make, clock, loop):
    payments = make(probe_lease=1000)
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()

    async def main():
        async with loop.nursery() as start:

            async def call():
                return await payments.aacquire(timeout=500)

            first = start(call)
            await loop.until(lambda: clock.sleepers == 1)
            second = start(call)
            await loop.until(lambda: clock.sleepers == 2)
            probe.release()
            first.cancel()  # woken, and cancelled before it could ask
            await loop.until(lambda: first.done and second.done)
        return first, second

    first, second = loop.run(main)

    given = [task.result for task in (first, second) if task.result is not None]
    assert len(given) == 1
    assert given[0].is_probe
    assert payments.snapshot().probes == 1


def test_cancelled_wait_of_a_guard_calls_nothing(shut, service, clock, loop):
    guarded = shut(wait=20)(service.aanswer)

    async def main():
        async with loop.nursery() as start:
            caller = start(guarded)
            await loop.until(lambda: clock.sleepers == 1)
            caller.cancel()

    loop.run(main)

    assert service.calls == 0
    assert shut.snapshot().cancelled == 0
    assert shut.snapshot().totals.neutral == 0


def test_threads_asyncio_and_trio_wait_in_one_queue(make, clock, threads):
    payments = make(initial_state=State.OPEN, probe_lease=1000)

    async def acquire():
        return await payments.aacquire(timeout=500)

    callers = [
        threads.start(lambda: payments.acquire(timeout=500)),
        threads.start(lambda: asyncio.run(acquire())),
        threads.start(lambda: trio.run(acquire)),
    ]
    threads.until(lambda: clock.sleepers == 3)

    clock.advance(10)
    threads.until(lambda: sum(caller.done for caller in callers) == 1)
    threads.until(lambda: clock.sleepers == 2)
    first = next(caller for caller in callers if caller.done)
    first.result.success()

    results = [caller.join().result for caller in callers]
    assert sorted(permit.is_probe for permit in results) == [False, False, True]


def test_waiter_whose_loop_is_gone_does_not_disturb_the_others(shut, clock):
    async def main():
        waiting = asyncio.ensure_future(shut.aacquire(timeout=500))
        await asyncio.sleep(0)
        assert clock.sleepers == 1
        return waiting

    asyncio.run(main())  # cancels what waits, and closes its loop

    shut.reset()
    assert shut.acquire(timeout=1).is_probe is False


# -- ordinary clocks -----------------------------------------------------------------


@pytest.fixture
def soon():
    """A breaker on the machine's own clock that is open for a hundredth of a second."""
    breaker = CircuitBreaker("payments", recovery=Wait(0.01, jitter=0), registry="none")
    breaker.trip()
    return breaker


def test_thread_waits_on_an_ordinary_clock(soon):
    assert soon.acquire(timeout=60).is_probe


def test_task_waits_on_an_ordinary_clock(soon, loop):
    async def main():
        return await soon.aacquire(timeout=60)

    assert loop.run(main).is_probe


WITHOUT_TRIO = """
import asyncio, sys
from recloser import CircuitBreaker, Wait
payments = CircuitBreaker("payments", recovery=Wait(0.01, jitter=0))
payments.trip()
permit = asyncio.run(payments.aacquire(timeout=60))
print(permit.is_probe, "trio" in sys.modules)
"""


def test_task_waits_without_trio_being_imported():
    paths = os.pathsep.join(map(os.path.abspath, sys.path))

    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRIO],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout == "True False\n"


def test_short_timeout_ends_on_an_ordinary_clock(make, loop):
    payments = CircuitBreaker("payments", registry="none")
    payments.force_open()

    async def main():
        with pytest.raises(CircuitOpenError):
            await payments.aacquire(timeout=0.01)

    with pytest.raises(CircuitOpenError):
        payments.acquire(timeout=0.01)
    loop.run(main)

    assert payments.snapshot().rejected == 2


def test_nothing_is_lost_when_places_free_and_waiters_come_at_once(make, threads):
    payments = CircuitBreaker(
        "payments", registry="none", probes=10_000, probe_lease=1000
    )
    force(payments, State.HALF_OPEN)

    def call():
        for _ in range(50):
            payments.acquire(timeout=20).release()

    callers = [threads.start(call) for _ in range(4)]

    assert [caller.join().error for caller in callers] == [None] * 4
    assert payments.snapshot().probes == 0
    assert payments.snapshot().totals.neutral == 200


def test_waiter_that_never_joined_can_leave():
    queue, first, stranger = Queue(), ThreadSpot(), ThreadSpot()
    queue.join(first)

    queue.leave(stranger, 1)

    assert queue.is_in_front(first, 1)


def test_waiter_that_dies_while_the_queue_is_read_is_left_out():
    queue, spots = Queue(), [ThreadSpot(), ThreadSpot(), ThreadSpot()]
    for spot in spots:
        queue.join(spot)

    waiting = queue._waiting()
    _, first = next(waiting)
    del spot
    second, third = spots.pop(1), spots.pop(1)
    del second

    assert first is spots[0]
    assert [spot for _, spot in waiting] == [third]
