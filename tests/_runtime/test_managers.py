"""`with breaker:` and `async with breaker:`, in every state and in any order."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from contextlib import (
    AsyncExitStack,
    ExitStack,
    contextmanager,
    nullcontext,
    suppress,
)

import pytest

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    SlowCallRate,
    State,
    TimeWindow,
)
from recloser.testing import force

TRIPS = {
    "no clock": 2,
    "one clock read": FailureRate(0.5, window=TimeWindow(60), minimum_calls=2),
    "two clock reads": ConsecutiveFailures(2, slower_than=5),
}


@pytest.fixture(params=TRIPS, ids=str)
def payments(request, make):
    return make(trip=TRIPS[request.param])


def outcomes(breaker):
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


# -- one block -----------------------------------------------------------------------


def test_block_gives_the_breaker_and_counts_a_success(payments):
    for _ in range(3):
        with payments as given:
            assert given is payments

    assert outcomes(payments) == (3, 0, 0)


def test_failing_blocks_trip_and_their_errors_come_out(payments):
    error = OSError("down")

    for _ in range(2):
        with pytest.raises(OSError) as failure, payments:
            raise error
        assert failure.value is error

    assert payments.state is State.OPEN
    assert payments.snapshot().last_failure.type == "OSError"


def test_rejected_block_does_not_run(payments):
    payments.trip()

    with pytest.raises(CircuitOpenError), payments:
        pytest.fail("the block ran")
    assert payments.snapshot().rejected == 1


def test_interrupted_block_says_nothing(payments):
    with pytest.raises(KeyboardInterrupt), payments:
        raise KeyboardInterrupt

    assert outcomes(payments) == (0, 0, 1)


def test_block_left_by_return_break_and_continue_is_a_success(payments):
    def leave():
        with payments:
            return 1

    leave()
    for _ in range(2):
        with payments:
            continue
    while True:
        with payments:
            break

    assert outcomes(payments) == (4, 0, 0)


def test_async_block_counts_like_a_plain_one(payments, loop):
    async def main():
        for _ in range(2):
            async with payments as given:
                assert given is payments
        for _ in range(2):
            with suppress(OSError):
                async with payments:
                    raise OSError
        with pytest.raises(CircuitOpenError):
            async with payments:
                pytest.fail("the block ran")

    loop.run(main)

    assert outcomes(payments) == (2, 2, 0)
    assert payments.state is State.OPEN


def test_cancelled_async_block_says_nothing(payments, loop):
    entered = []

    async def block():
        async with payments:
            entered.append(True)
            await loop.event().wait()

    async def main():
        async with loop.nursery() as start:
            task = start(block)
            await loop.until(lambda: entered)
            task.cancel()

    loop.run(main)

    assert outcomes(payments) == (0, 0, 1)
    assert payments.snapshot().cancelled == 1


def test_plain_block_works_in_a_task(payments, loop):
    async def main():
        with payments:
            await loop.tick()

    loop.run(main)

    assert outcomes(payments) == (1, 0, 0)


# -- states --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "admitted"),
    [
        (State.CLOSED, True),
        (State.OPEN, False),
        (State.HALF_OPEN, True),
        (State.FORCED_OPEN, False),
        (State.DISABLED, True),
        (State.METRICS_ONLY, True),
    ],
)
@pytest.mark.parametrize("used_before", [False, True])
def test_block_follows_the_state(make, state, admitted, used_before):
    payments = make()
    if used_before:  # the first block installs what later ones use
        with payments:
            pass
    force(payments, state)
    ran = []

    with suppress(CircuitOpenError), payments:
        ran.append(True)

    assert bool(ran) is admitted


@pytest.mark.parametrize("state", State)
def test_async_block_follows_the_state(make, loop, state):
    payments = make()
    force(payments, state)
    rejecting = state in {State.OPEN, State.FORCED_OPEN}
    ran = []

    async def main():
        with suppress(CircuitOpenError):
            async with payments:
                ran.append(True)

    loop.run(main)

    assert bool(ran) is not rejecting


def test_probe_block_closes_the_circuit(payments, clock):
    payments.trip()
    clock.advance(10)

    with payments:
        assert payments.state is State.HALF_OPEN

    assert payments.state is State.CLOSED


def test_failing_probe_block_opens_the_circuit(payments, clock):
    payments.trip()
    clock.advance(10)

    with pytest.raises(OSError), payments:
        raise OSError

    assert payments.state is State.OPEN


def test_interrupted_probe_block_gives_its_place_back(payments, clock):
    payments.trip()
    clock.advance(10)

    with pytest.raises(KeyboardInterrupt), payments:
        raise KeyboardInterrupt

    assert payments.state is State.HALF_OPEN
    assert payments.snapshot().probes == 0


def test_block_that_counts_in_metrics_only_says_what_it_would_have_done(make):
    payments = make(trip=1)
    payments.observe()

    for _ in range(2):
        with suppress(OSError), payments:
            raise OSError

    totals = payments.snapshot().totals
    assert (totals.would_trip, totals.would_reject) == (1, 1)


def test_block_that_outlives_its_period_changes_nothing(payments, service, clock):
    with payments:
        pass

    with suppress(OSError), payments:
        payments.trip()
        clock.advance(10)
        payments.call(service.answer)
        raise OSError

    assert payments.state is State.CLOSED
    assert payments.snapshot().streak == 0
    assert payments.snapshot().totals.failures == 0


def test_good_block_that_outlives_its_period_ends_no_streak(make, fail):
    payments = make(trip=3)
    with payments:
        pass

    with payments:
        payments.reset()
        fail(payments, 2)

    assert payments.snapshot().streak == 2


def test_probe_block_that_outlives_its_round_changes_nothing(payments, service, clock):
    payments.trip()
    clock.advance(10)

    with suppress(OSError), payments:
        payments.reset()
        raise OSError

    assert payments.state is State.CLOSED
    assert payments.snapshot().streak == 0


def test_block_is_timed(make, clock):
    payments = make(trip=SlowCallRate(1, slower_than=2, window=CountWindow(1)))

    with payments:
        clock.advance(1)
    assert payments.state is State.CLOSED
    with payments:
        clock.advance(2)

    assert payments.state is State.OPEN


def test_cancelled_block_is_timed(make, clock, loop):
    payments = make(trip=ConsecutiveFailures(1, slower_than=2))
    entered = []

    async def block():
        async with payments:
            entered.append(True)
            await loop.event().wait()

    async def main():
        async with loop.nursery() as start:
            task = start(block)
            await loop.until(lambda: entered)
            clock.advance(2)
            task.cancel()

    loop.run(main)

    assert payments.state is State.OPEN


def test_block_in_a_time_window_belongs_to_the_bucket_in_which_it_ends(make, clock):
    payments = make(trip=FailureRate(1, window=TimeWindow(10), minimum_calls=1))
    window = payments.policy.trip.windows[0]
    with payments:
        pass

    clock.advance(60)
    with payments:
        clock.advance(60)

    assert payments.snapshot().counts[window].calls == 1


# -- nested and interleaved ----------------------------------------------------------


def test_nested_blocks_each_count_while_closed(payments):
    with payments, payments, payments:
        pass

    assert outcomes(payments) == (3, 0, 0)


def test_error_through_nested_blocks_counts_at_each_level(make):
    payments = make(trip=2)

    with suppress(OSError), payments, payments:
        raise OSError

    assert payments.state is State.OPEN


def test_nested_probe_blocks_are_one_probe(payments, clock):
    payments.trip()
    clock.advance(10)

    with payments:
        with payments:
            assert payments.snapshot().probes == 1
        assert payments.state is State.HALF_OPEN

    assert payments.state is State.CLOSED
    assert outcomes(payments) == (1, 0, 0)


def test_failure_caught_inside_a_probe_is_not_reported(payments, clock):
    payments.trip()
    clock.advance(10)

    with payments, suppress(OSError), payments:
        raise OSError

    assert payments.state is State.CLOSED


def test_blocks_of_two_breakers_are_apart(make):
    payments, bank = make("payments", trip=1), make("bank", trip=1)

    with suppress(OSError), payments:
        with suppress(OSError), bank:
            raise OSError
        raise OSError

    assert outcomes(payments) == (0, 1, 0)
    assert outcomes(bank) == (0, 1, 0)


def test_inner_rejection_is_no_failure_of_the_outer_breaker(make):
    payments, bank = make("payments", trip=1), make("bank", initial_state=State.OPEN)

    with suppress(CircuitOpenError), payments, bank:
        pass

    assert payments.state is State.CLOSED
    assert outcomes(payments) == (0, 0, 1)


def test_interleaved_blocks_of_two_breakers_find_their_own(make):
    payments, bank = make("payments", trip=1), make("bank", trip=1)
    for breaker in (payments, bank):
        force(breaker, State.HALF_OPEN)

    def block(breaker):
        with breaker:
            yield

    one, two = block(payments), block(bank)
    next(one)
    next(two)
    next(one, None)
    assert (payments.state, bank.state) == (State.CLOSED, State.HALF_OPEN)
    with suppress(OSError):
        two.throw(OSError())

    assert (payments.state, bank.state) == (State.CLOSED, State.OPEN)


def test_interleaved_blocks_of_one_breaker_all_count(payments):
    def block():
        with payments:
            yield

    one, two = block(), block()
    next(one)
    next(two)
    next(one, None)
    with suppress(OSError):
        two.throw(OSError())

    assert outcomes(payments) == (1, 1, 0)


def test_blocks_of_two_tasks_are_apart(make, loop):
    payments = make(probes=2, probe_concurrency=2)
    force(payments, State.HALF_OPEN)

    async def main():
        gate = loop.event()
        inside = []

        async def block(fails):
            async with payments:
                inside.append(True)
                await gate.wait()
                if fails:
                    raise KeyError

        async with loop.nursery() as start:
            good = start(block, False)  # noqa: FBT003 - how the task ends
            bad = start(block, True)  # noqa: FBT003 - how the task ends
            await loop.until(lambda: len(inside) == 2)
            gate.set()
        return good, bad

    good, bad = loop.run(main)

    assert good.error is None
    assert isinstance(bad.error, KeyError)
    assert payments.state is State.OPEN


def test_blocks_of_two_threads_are_apart(make, threads):
    payments = make(probes=2, probe_concurrency=2)
    force(payments, State.HALF_OPEN)
    gate = threading.Event()

    def block():
        with payments:
            gate.wait(20)

    running = [threads.start(block), threads.start(block)]
    threads.until(lambda: payments.snapshot().probes == 2)
    gate.set()
    for thread in running:
        thread.join()

    assert payments.state is State.CLOSED


def test_block_left_in_another_context_reports_nothing_and_frees_by_its_lease(
    make, clock, service
):
    payments = make(probe_lease=30)
    force(payments, State.HALF_OPEN)

    @contextmanager
    def fixture():
        with payments:
            yield

    held = fixture()
    contextvars.copy_context().run(held.__enter__)
    contextvars.copy_context().run(held.__exit__, None, None, None)

    assert payments.state is State.HALF_OPEN
    clock.advance(30)
    assert payments.call(service.answer) == "answer"
    assert payments.state is State.CLOSED


def test_block_left_in_another_context_disturbs_no_other(make):
    payments = make(trip=1)
    with payments:
        pass

    @contextmanager
    def fixture():
        with payments:
            yield

    held = fixture()
    contextvars.copy_context().run(held.__enter__)
    with payments:
        contextvars.copy_context().run(held.__exit__, None, None, None)

    assert payments.state is State.CLOSED
    assert payments.snapshot().totals.failures == 0
    with suppress(OSError), payments:
        raise OSError
    assert payments.state is State.OPEN


# -- standard tools ------------------------------------------------------------------


def test_exit_stack_enters_and_leaves(payments):
    for _ in range(2):
        with ExitStack() as stack:
            assert stack.enter_context(payments) is payments
    for _ in range(2):
        with suppress(OSError), ExitStack() as stack:
            stack.enter_context(payments)
            raise OSError

    assert outcomes(payments) == (2, 2, 0)
    assert payments.state is State.OPEN
    with pytest.raises(CircuitOpenError), ExitStack() as stack:
        stack.enter_context(payments)


def test_async_exit_stack_enters_and_leaves(payments, loop):
    async def main():
        for _ in range(2):
            async with AsyncExitStack() as stack:
                assert await stack.enter_async_context(payments) is payments
                stack.enter_context(payments)
        with suppress(OSError):
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(payments)
                raise OSError

    loop.run(main)

    assert outcomes(payments) == (4, 1, 0)


def test_block_in_an_exit_stack_that_outlives_its_period_changes_nothing(
    payments, service, clock
):
    with payments:
        pass

    with suppress(OSError), ExitStack() as stack:
        stack.enter_context(payments)
        payments.trip()
        clock.advance(10)
        payments.call(service.answer)
        raise OSError

    assert payments.state is State.CLOSED
    assert payments.snapshot().streak == 0
    assert payments.snapshot().totals.failures == 0


def test_block_in_an_async_exit_stack_that_outlives_its_period_changes_nothing(
    payments, service, clock, loop
):
    async def main():
        async with payments:
            pass
        with suppress(OSError):
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(payments)
                payments.trip()
                clock.advance(10)
                payments.call(service.answer)
                raise OSError

    loop.run(main)

    assert payments.state is State.CLOSED
    assert payments.snapshot().totals.failures == 0


def test_exit_stack_carries_a_probe(payments, clock):
    payments.trip()
    clock.advance(10)

    with ExitStack() as stack:
        stack.enter_context(payments)
        assert payments.snapshot().probes == 1

    assert payments.state is State.CLOSED


def test_pushed_exit_swallows_nothing_and_holds_nothing(payments, loop):
    async def main():
        with pytest.raises(KeyError):
            async with AsyncExitStack() as stack:
                stack.push(payments)
                stack.push_async_exit(payments)
                raise KeyError

    with pytest.raises(KeyError), ExitStack() as stack:
        stack.push(payments)
        raise KeyError
    loop.run(main)

    assert payments.snapshot().probes == 0


def test_breaker_and_nullcontext_are_interchangeable(make):
    def charge(guard):
        with guard:
            return "charged"

    async def acharge(guard):
        async with guard:
            return "charged"

    payments = make()

    results = [charge(guard) for guard in (payments, nullcontext())]

    assert results == ["charged", "charged"]


def test_exit_stack_of_two_breakers_leaves_both(make):
    payments, bank = make("payments", trip=1), make("bank", trip=1)

    with suppress(OSError), ExitStack() as stack:
        for breaker in (payments, bank):
            stack.enter_context(breaker)
        raise OSError

    assert (payments.state, bank.state) == (State.OPEN, State.OPEN)


# -- lifetime ------------------------------------------------------------------------


def test_breaker_is_kept_alive_by_the_block_that_uses_it():
    with CircuitBreaker("payments", registry="none") as payments:
        gc.collect()

    assert payments.snapshot().totals.successes == 1


def test_breaker_is_kept_alive_by_the_async_block_that_uses_it(loop):
    async def main():
        async with CircuitBreaker("payments", registry="none") as payments:
            gc.collect()
        return payments

    assert loop.run(main).snapshot().totals.successes == 1


def test_used_breaker_can_be_collected():
    breaker = CircuitBreaker("payments")
    with breaker:
        pass
    gone = weakref.ref(breaker)

    del breaker
    gc.collect()

    assert gone() is None
