"""Permits: the right to make one call, settled exactly once."""

from __future__ import annotations

import contextvars
from contextlib import AsyncExitStack, ExitStack, suppress
from datetime import timedelta

import pytest

from recloser import (
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    Permit,
    PermitError,
    SlowCallRate,
    State,
    Wait,
)
from recloser.testing import force


@pytest.fixture
def payments(make):
    return make(trip=1)


@pytest.fixture
def half_open(make):
    breaker = make()
    force(breaker, State.HALF_OPEN)
    return breaker


def outcomes(breaker):
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


# -- settling ------------------------------------------------------------------------


def test_success_counts(payments):
    payments.acquire().success()

    assert outcomes(payments) == (1, 0, 0)


def test_failure_counts_and_is_remembered_without_the_error(payments):
    payments.acquire().failure(OSError("down"))

    info = payments.snapshot().last_failure
    assert payments.state is State.OPEN
    assert (info.type, info.message, info.at) == ("OSError", "down", 0)


def test_failure_needs_no_error(payments):
    payments.acquire().failure()

    assert payments.state is State.OPEN


def test_failure_counts_whatever_the_lists_say(make):
    payments = make(trip=1, ignore=(KeyError,))

    payments.acquire().failure(KeyError())

    assert payments.state is State.OPEN


def test_release_says_nothing(payments):
    payments.acquire().release()

    assert outcomes(payments) == (0, 0, 1)
    assert payments.state is State.CLOSED


@pytest.mark.parametrize("first", ["success", "failure", "release"])
@pytest.mark.parametrize("second", ["success", "failure", "release"])
def test_permit_settled_twice_is_an_error_and_counts_once(make, first, second):
    payments = make()
    permit = payments.acquire()
    getattr(permit, first)()
    before = payments.snapshot()

    with pytest.raises(PermitError, match="'payments' was settled twice"):
        getattr(permit, second)()

    assert payments.snapshot() == before


def test_permit_knows_whether_it_is_settled(payments):
    permit = payments.acquire()

    assert not permit.settled
    permit.release()
    assert permit.settled


def test_permit_describes_itself(payments, half_open):
    permit = payments.acquire()

    assert repr(permit) == "<Permit of 'payments' for a call, unsettled>"
    permit.success()
    assert repr(permit) == "<Permit of 'payments' for a call, settled>"
    assert repr(half_open.acquire()) == "<Permit of 'payments' for a probe, unsettled>"


def test_permit_knows_its_period(payments):
    first = payments.acquire()
    payments.reset()
    second = payments.acquire()

    assert second.epoch == first.epoch + 1 == payments.snapshot().epoch


def test_permit_can_be_settled_in_another_thread(payments, threads):
    permit = payments.acquire()

    threads.start(permit.failure).join()

    assert payments.state is State.OPEN


def test_two_settlers_at_once_settle_once(make, threads):
    payments = make()

    for _ in range(50):
        permit = payments.acquire()
        settlers = [threads.start(permit.success) for _ in range(2)]
        errors = [settler.join().error for settler in settlers]
        assert sorted(type(error).__name__ for error in errors) == [
            "NoneType",
            "PermitError",
        ]

    assert outcomes(payments) == (50, 0, 0)


def test_unsettled_permit_holds_nothing_while_closed(make, service):
    payments = make(trip=1)

    permits = [payments.acquire() for _ in range(10)]

    assert payments.call(service.answer) == "answer"
    assert payments.snapshot().totals.calls == 1
    assert len(permits) == 10


def test_settling_with_an_error_is_judged_by_the_lists(make):
    payments = make(ignore=(KeyError,), successes=(IndexError,))

    for error in (None, IndexError(), KeyError(), OSError()):
        payments.acquire().settle(error)

    assert outcomes(payments) == (2, 1, 1)


def test_settling_with_an_error_takes_the_hint(make):
    payments = make(trip=1, retry_after=lambda error: 60)

    payments.acquire().settle(OSError())

    assert payments.snapshot().retry_after == 60


def test_settling_a_settled_permit_is_an_error(payments):
    permit = payments.acquire()
    permit.settle()

    with pytest.raises(PermitError):
        permit.settle(OSError())

    assert outcomes(payments) == (1, 0, 0)


# -- streams -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "expected"), [(0, (0, 0, 1)), (1, (1, 0, 0)), (2, (1, 0, 0))]
)
def test_a_stream_that_is_left_is_a_success_after_an_item(payments, items, expected):
    permit = payments.acquire()

    for _ in range(items):
        permit.item()
    permit.settle(GeneratorExit())

    assert outcomes(payments) == expected


def test_a_stream_that_breaks_after_an_item_is_a_failure(payments):
    permit = payments.acquire()

    permit.item()
    permit.settle(OSError())

    assert outcomes(payments) == (0, 1, 0)


@pytest.mark.parametrize(("before", "after", "slow"), [(2, 0, 1), (0, 9, 0), (1, 9, 0)])
def test_slow_is_the_time_to_the_first_item(make, clock, before, after, slow):
    rule = SlowCallRate(1.0, slower_than=2, window=CountWindow(9), minimum_calls=9)
    payments = make(trip=rule)
    permit = payments.acquire()

    clock.advance(before)
    permit.item()
    clock.advance(after)
    permit.item()
    permit.settle()

    assert payments.snapshot().totals.slow == slow


def test_a_stream_that_delivers_when_its_lease_ends_is_a_success(half_open, clock):
    permit = half_open.acquire()
    permit.item()
    assert not permit.settled

    clock.advance(30)
    permit.item()

    assert permit.settled
    assert half_open.state is State.CLOSED


def test_an_item_of_a_settled_permit_changes_nothing(half_open, clock):
    permit = half_open.acquire()
    permit.success()
    before = half_open.snapshot()

    permit.item()
    clock.advance(30)
    permit.item()

    assert half_open.snapshot().replace(seconds=before.seconds) == before


# -- rejection -----------------------------------------------------------------------


def test_acquire_raises_when_open(make):
    payments = make(initial_state=State.OPEN)

    with pytest.raises(CircuitOpenError) as rejection:
        payments.acquire()

    assert rejection.value.name == "payments"
    assert rejection.value.retry_after == 10
    assert payments.snapshot().rejected == 1


def test_try_acquire_gives_a_permit_or_none(payments):
    permit = payments.try_acquire()
    assert isinstance(permit, Permit)
    permit.failure()

    assert payments.try_acquire() is None
    assert payments.snapshot().rejected == 1


def test_aacquire_gives_a_permit_or_raises(payments, loop):
    async def main():
        permit = await payments.aacquire()
        permit.failure()
        with pytest.raises(CircuitOpenError):
            await payments.aacquire()

    loop.run(main)

    assert outcomes(payments) == (0, 1, 0)


# -- probes --------------------------------------------------------------------------


def test_permit_of_a_probe_says_so(payments, half_open):
    assert not payments.acquire().is_probe
    assert half_open.acquire().is_probe


def test_probe_permit_holds_the_place_until_it_is_settled(half_open):
    permit = half_open.acquire()

    assert half_open.try_acquire() is None
    permit.release()
    assert half_open.try_acquire() is not None


def test_probe_permit_decides(make):
    for verb, state in (("success", State.CLOSED), ("failure", State.OPEN)):
        payments = make()
        force(payments, State.HALF_OPEN)
        getattr(payments.acquire(), verb)()
        assert payments.state is state


def test_forgotten_probe_permit_frees_its_place_by_its_lease(make, clock):
    payments = make(probe_lease=30)
    force(payments, State.HALF_OPEN)
    forgotten = payments.acquire()

    clock.advance(30)
    second = payments.acquire()

    assert second.is_probe
    assert payments.snapshot().lost == 1
    assert not forgotten.settled


def test_overdue_outcome_still_counts_in_its_round(make, clock):
    payments = make(probe_lease=30)
    force(payments, State.HALF_OPEN)
    overdue = payments.acquire()
    clock.advance(30)
    payments.acquire()

    overdue.success()

    assert payments.state is State.CLOSED


def test_late_permit_changes_nothing(payments, clock, service):
    late = payments.acquire()
    payments.trip()
    clock.advance(10)
    payments.call(service.answer)

    late.failure(OSError())

    assert payments.state is State.CLOSED
    assert payments.snapshot().late == 1
    assert payments.snapshot().totals.failures == 0


# -- blocks --------------------------------------------------------------------------


def test_block_of_a_permit_is_judged_like_a_call(make):
    payments = make(trip=5, ignore=(KeyError,), successes=(LookupError,))

    with payments.acquire():
        pass
    for error in (KeyError, IndexError, OSError):
        with pytest.raises(error), payments.acquire():
            raise error

    assert outcomes(payments) == (2, 1, 1)


def test_block_gives_the_permit(payments):
    with payments.acquire() as permit:
        assert isinstance(permit, Permit)
        assert not permit.settled

    assert permit.settled


def test_block_that_settles_its_permit_is_judged_by_that(payments):
    with payments.acquire() as permit:
        permit.failure()

    assert outcomes(payments) == (0, 1, 0)


def test_block_that_settled_its_permit_and_then_fails_counts_once(payments):
    with suppress(OSError), payments.acquire() as permit:
        permit.success()
        raise OSError

    assert outcomes(payments) == (1, 0, 0)
    assert payments.state is State.CLOSED


def test_async_block_of_a_permit(payments, loop):
    async def main():
        async with await payments.aacquire():
            await loop.tick()
        with suppress(OSError):
            async with await payments.aacquire():
                raise OSError

    loop.run(main)

    assert outcomes(payments) == (1, 1, 0)


def test_settled_permit_cannot_begin_a_block(payments):
    permit = payments.acquire()
    permit.success()

    with pytest.raises(PermitError), permit:
        pytest.fail("the block ran")


def test_block_of_a_probe_is_one_probe_with_its_calls_inside(half_open, service):
    with half_open.acquire():
        half_open.call(service.answer)
        assert half_open.state is State.HALF_OPEN

    assert half_open.state is State.CLOSED


def test_permit_is_exact_in_an_exit_stack_across_periods(payments, clock, service):
    with suppress(OSError), ExitStack() as stack:
        stack.enter_context(payments.acquire())
        payments.trip()
        clock.advance(10)
        payments.call(service.answer)
        raise OSError

    assert payments.state is State.CLOSED
    assert payments.snapshot().late == 1


def test_permit_works_in_an_async_exit_stack(payments, loop):
    async def main():
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(await payments.aacquire())
            stack.enter_context(payments.acquire())

    loop.run(main)

    assert outcomes(payments) == (2, 0, 0)


def test_permit_is_exact_when_its_block_is_left_in_another_context(half_open):
    permit = half_open.acquire()
    contextvars.copy_context().run(permit.__enter__)
    contextvars.copy_context().run(permit.__exit__, None, None, None)

    assert half_open.state is State.CLOSED


def test_interleaved_permits_are_exact(make, clock):
    payments = make(trip=ConsecutiveFailures(1, slower_than=5))

    def block():
        with payments.acquire():
            yield

    one = block()
    next(one)
    clock.advance(4)
    two = block()
    next(two)
    clock.advance(4)
    next(two, None)
    assert payments.state is State.CLOSED
    next(one, None)

    assert payments.state is State.OPEN


# -- time ----------------------------------------------------------------------------


@pytest.fixture
def timed(make):
    return make(trip=SlowCallRate(1, slower_than=2, window=CountWindow(1)))


@pytest.mark.parametrize("verb", ["success", "failure"])
def test_permit_measures_from_acquire_to_settling(timed, clock, verb):
    permit = timed.acquire()
    clock.advance(2)

    getattr(permit, verb)()

    assert timed.state is State.OPEN
    assert timed.snapshot().totals.slow == 1


def test_released_permit_is_never_slow(timed, clock):
    permit = timed.acquire()
    clock.advance(100)

    permit.release()

    assert timed.snapshot().totals.slow == 0


@pytest.mark.parametrize("duration", [2, timedelta(seconds=2)])
def test_duration_replaces_the_measured_time(timed, clock, duration):
    timed.acquire().success(duration=duration)

    assert timed.state is State.OPEN


def test_short_duration_makes_a_long_held_permit_fast(timed, clock):
    permit = timed.acquire()
    clock.advance(100)

    permit.success(duration=0.5)

    assert timed.state is State.CLOSED
    assert timed.snapshot().totals.slow == 0


@pytest.mark.parametrize("duration", [-1, float("nan"), timedelta(-1)])
def test_bad_duration_is_refused_with_its_value(timed, duration):
    permit = timed.acquire()

    with pytest.raises(ValueError, match="duration must be"):
        permit.success(duration=duration)

    permit.success()
    assert timed.snapshot().totals.calls == 1


def test_duration_of_the_wrong_type_is_refused(timed):
    with pytest.raises(TypeError, match="duration must be seconds or a timedelta"):
        timed.acquire().success(duration="2")


# -- the server's hint ---------------------------------------------------------------


@pytest.mark.parametrize("hint", [60, timedelta(minutes=1)])
def test_hint_lengthens_the_wait(payments, hint):
    payments.acquire().failure(OSError(), retry_after=hint)

    assert payments.snapshot().retry_after == 60


def test_hint_never_shortens_the_wait(payments):
    payments.acquire().failure(retry_after=1)

    assert payments.snapshot().retry_after == 10


def test_hint_ends_at_the_ceiling(make):
    payments = make(trip=1, recovery=Wait(10, jitter=0, longest_hint=100))

    payments.acquire().failure(retry_after=10_000)

    assert payments.snapshot().retry_after == 100


@pytest.mark.parametrize("hint", [-5, float("nan"), float("inf")])
def test_nonsense_from_a_server_is_no_hint(payments, hint):
    payments.acquire().failure(retry_after=hint)

    assert payments.snapshot().retry_after == 10


def test_hint_of_a_failing_probe_lengthens_the_wait(half_open):
    half_open.acquire().failure(retry_after=60)

    assert half_open.snapshot().retry_after == 60


@pytest.mark.parametrize("error", ["timed out", 503, OSError])
def test_failure_that_is_no_exception_is_refused_and_the_permit_kept(payments, error):
    permit = payments.acquire()

    with pytest.raises(TypeError, match="error must be an exception, got"):
        permit.failure(error)

    assert (permit.settled, payments.state) == (False, State.CLOSED)


class EmptyErrors(Exception):
    def __len__(self):
        return 0


def test_failure_is_told_although_the_error_is_as_false_as_none(payments):
    payments.acquire().failure(EmptyErrors("no rows"))

    assert payments.snapshot().last_failure.type == "EmptyErrors"
