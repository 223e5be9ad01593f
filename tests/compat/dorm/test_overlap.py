"""Blocks that overlap: late results, threads, and the switches for what is on offer."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest

from recloser.compat.dorm import CircuitBreaker, CircuitOpenError, CircuitState
from recloser.testing import FakeClock
from tests.compat.streaks_run import finish


class Pause:
    def __await__(self) -> Generator[None]:
        yield


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def plainly(breaker: CircuitBreaker) -> Coroutine[Any, Any, None]:
    async def block() -> None:
        with breaker:
            await Pause()

    return begin(block())


def protected(breaker: CircuitBreaker) -> Coroutine[Any, Any, None]:
    async def block() -> None:
        async with breaker.aprotect():
            await Pause()

    return begin(block())


def begin(block: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    """Enter a block that is left when told, in a context of its own, like a task."""
    return InContext(block)


class InContext(Coroutine[Any, Any, None]):
    def __init__(self, block: Coroutine[Any, Any, None]) -> None:
        self.block = block
        self.context = contextvars.copy_context()
        self.send(None)

    def send(self, value: Any) -> Any:
        return self.context.run(self.block.send, value)

    def throw(self, *how: Any) -> Any:
        return self.context.run(self.block.throw, *how)

    def close(self) -> None:
        self.context.run(self.block.close)

    def __await__(self) -> Generator[Any, Any, None]:
        raise NotImplementedError


Begin = Callable[[CircuitBreaker], Coroutine[Any, Any, None]]
BOTH = pytest.mark.parametrize("enter", [plainly, protected])


def end_badly(block: Coroutine[Any, Any, None], error: BaseException) -> None:
    with pytest.raises(type(error)):
        block.throw(error)


@BOTH
def test_late_results_change_nothing(clock: FakeClock, enter: Begin) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    succeeding, failing, cancelled = enter(breaker), enter(breaker), enter(breaker)
    breaker.record_failure()
    clock.advance(20)

    finish(succeeding)
    end_badly(failing, OSError())
    end_badly(cancelled, asyncio.CancelledError())
    after = breaker.state, breaker.failures
    clock.advance(10)

    assert after == (CircuitState.OPEN, 1)
    assert breaker.state is CircuitState.HALF_OPEN


@BOTH
def test_late_results_count_if_the_user_wants_the_originals_way(
    clock: FakeClock, enter: Begin
) -> None:
    breaker = CircuitBreaker(
        "orders", failure_threshold=1, clock=clock, late_results=True
    )
    succeeding, failing = enter(breaker), enter(breaker)
    breaker.record_failure()

    end_badly(failing, OSError())
    counted = breaker.failures
    finish(succeeding)

    assert counted == 2
    assert breaker.state is CircuitState.CLOSED


@BOTH
def test_of_two_trials_the_first_result_decides(clock: FakeClock, enter: Begin) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()
    clock.advance(30)
    first, second = enter(breaker), enter(breaker)

    end_badly(first, OSError())
    finish(second)

    assert (breaker.state, breaker.failures) == (CircuitState.OPEN, 2)


def test_a_result_reported_by_hand_counts_whenever_it_comes(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    allowed = breaker.allow()
    breaker.record_failure()

    breaker.record_success()

    assert allowed
    assert breaker.state is CircuitState.CLOSED


def test_blocks_inside_each_other_each_have_their_own_period(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)

    with breaker:
        breaker.record_failure()
        clock.advance(30)
        with breaker:
            pass
        closed_by_the_inner = breaker.state
        breaker.record_failure()

    assert closed_by_the_inner is CircuitState.CLOSED
    assert breaker.state is CircuitState.OPEN


def test_blocks_left_out_of_order_find_their_own_notes(clock: FakeClock) -> None:
    old = CircuitBreaker("old", failure_threshold=1, clock=clock)
    other = CircuitBreaker("other", clock=clock)
    last = CircuitBreaker("last", clock=clock)

    old.__enter__()
    old.record_failure()
    other.__enter__()
    other.record_failure()
    last.__enter__()
    old.__exit__(None, None, None)
    other.__exit__(None, None, None)
    last.__exit__(OSError, OSError(), None)

    assert old.state is CircuitState.OPEN
    assert other.failures == 0
    assert last.failures == 1


def test_a_block_left_in_another_context_counts_as_entered_just_now(
    clock: FakeClock,
) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    contextvars.Context().run(breaker.__enter__)
    breaker.record_failure()

    breaker.__exit__(None, None, None)

    assert breaker.state is CircuitState.CLOSED


def test_a_task_started_inside_a_block_has_notes_of_its_own(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)

    with breaker:
        child = plainly(breaker)
        breaker.record_failure()
        clock.advance(30)
        with breaker:
            pass
        finish(child)
        breaker.record_failure()

    assert breaker.state is CircuitState.OPEN


@BOTH
def test_half_open_lets_everybody_in_like_the_original(
    clock: FakeClock, enter: Begin
) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()
    clock.advance(30)

    for block in [enter(breaker) for _ in range(4)]:
        finish(block)

    assert breaker.state is CircuitState.CLOSED


@BOTH
def test_single_probe_lets_one_block_in_at_a_time(
    clock: FakeClock, enter: Begin
) -> None:
    breaker = CircuitBreaker(
        "orders", failure_threshold=1, clock=clock, single_probe=True
    )
    breaker.record_failure()
    clock.advance(30)
    probe = enter(breaker)
    clock.advance(10)

    with pytest.raises(CircuitOpenError) as caught:
        enter(breaker)
    finish(probe)

    assert (caught.value.state, caught.value.retry_after) == ("half_open", 20.0)
    assert str(caught.value) == (
        "Circuit 'orders' is HALF_OPEN — 1 consecutive failures, probe out for 20.0s"
    )
    assert breaker.state is CircuitState.CLOSED


@BOTH
def test_a_probe_that_hangs_loses_its_place_when_its_lease_ends(
    clock: FakeClock, enter: Begin
) -> None:
    breaker = CircuitBreaker(
        "orders", failure_threshold=1, clock=clock, single_probe=True, probe_lease=5.0
    )
    breaker.record_failure()
    clock.advance(30)
    hanging = enter(breaker)
    clock.advance(5)

    finish(enter(breaker))
    end_badly(hanging, OSError())

    assert (breaker.state, breaker.failures) == (CircuitState.CLOSED, 0)


@BOTH
def test_a_probe_that_says_nothing_frees_its_place(
    clock: FakeClock, enter: Begin
) -> None:
    breaker = CircuitBreaker(
        "orders",
        failure_threshold=1,
        clock=clock,
        single_probe=True,
        neutral_cancellation=True,
    )
    breaker.record_failure()
    clock.advance(30)

    end_badly(enter(breaker), asyncio.CancelledError())
    after = breaker.state
    finish(enter(breaker))

    assert after is CircuitState.HALF_OPEN
    assert breaker.state is CircuitState.CLOSED


def test_with_neutral_cancellation_a_with_block_is_like_an_aprotect_block(
    clock: FakeClock,
) -> None:
    breaker = CircuitBreaker("orders", clock=clock, neutral_cancellation=True)

    with suppress(KeyboardInterrupt), breaker:
        raise KeyboardInterrupt
    with suppress(OSError), breaker:
        raise OSError

    assert breaker.failures == 1


def test_a_block_inside_a_generator_that_is_dropped_is_counted(
    clock: FakeClock,
) -> None:
    breaker = CircuitBreaker("orders", clock=clock)

    @contextmanager
    def managed() -> Generator[None]:
        with breaker:
            yield

    block: AbstractContextManager[None] = managed()
    block.__enter__()
    del block

    assert breaker.failures == 1


@pytest.fixture
def impatient_threads() -> Generator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_no_failure_is_lost_between_threads() -> None:
    breaker = CircuitBreaker("orders", failure_threshold=10**9)

    def hammer() -> None:
        for _ in range(2_000):
            with suppress(OSError), breaker:
                raise OSError

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert breaker.failures == 8_000


def test_no_lock_is_held_while_a_block_runs() -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1)
    done = threading.Event()

    def meanwhile() -> None:
        breaker.record_failure()
        done.set()

    with breaker:
        thread = threading.Thread(target=meanwhile)
        thread.start()
        assert done.wait(60)
        thread.join()

    assert breaker.state is CircuitState.OPEN
