"""Calls that overlap: late results, threads, and the switches for what is on offer."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest

from recloser.compat.circuitbreaker import (
    STATE_CLOSED,
    STATE_HALF_OPEN,
    STATE_OPEN,
    CircuitBreaker,
    CircuitBreakerError,
    circuit,
)
from tests.compat.still_clock import StillClock


def ok() -> str:
    return "ok"


def fail() -> None:
    raise OSError("down")


def trip(breaker: CircuitBreaker) -> None:
    while not breaker.opened:
        with pytest.raises(OSError):
            breaker.call(fail)


class Held:
    """A guarded call of some shape that has begun and ends when told."""

    def __init__(self, breaker: CircuitBreaker, shape: str) -> None:
        functions: dict[str, Callable[[], Any]] = {
            "coroutine": self.coroutine,
            "generator": self.generator,
            "async generator": self.async_generator,
        }
        self.shape = shape
        self.work = breaker(functions[shape])()
        self.send(None)

    async def coroutine(self) -> None:
        await Pause()

    def generator(self) -> Generator[None]:
        try:
            yield
        except GeneratorExit:
            return

    async def async_generator(self) -> AsyncGenerator[None]:
        yield

    def send(self, error: BaseException | None) -> None:
        if self.shape == "async generator":
            step = self.work.__anext__() if error is None else self.work.athrow(error)
            with pytest.raises(StopIteration):
                step.send(None)
        elif error is None:
            self.work.send(None)
        else:
            self.work.throw(error)

    def fail(self, error: BaseException) -> None:
        with pytest.raises(type(error)):
            self.send(error)

    def succeed(self) -> None:
        with pytest.raises((StopIteration, StopAsyncIteration)):
            self.send(None)


class Pause:
    def __await__(self) -> Generator[None]:
        yield


SHAPES = ("coroutine", "generator", "async generator")
THROWN_INTO = SHAPES[:2]  # a guarded async generator is only dropped by what is thrown


@pytest.mark.parametrize("shape", SHAPES)
def test_a_late_success_does_not_close(clock: StillClock, shape: str) -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    late = Held(breaker, shape)
    trip(breaker)

    end_well(late)

    assert (breaker.state, breaker.failure_count) == (STATE_OPEN, 1)


@pytest.mark.parametrize("shape", THROWN_INTO)
def test_a_late_failure_neither_counts_nor_pushes_the_wait_out(
    clock: StillClock, shape: str
) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=10)
    late = Held(breaker, shape)
    trip(breaker)
    clock.advance(4)

    late.fail(OSError("late"))

    assert (breaker.failure_count, breaker.open_remaining) == (1, 6)
    assert str(breaker.last_failure) == "down"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_late_cancellation_does_not_close(clock: StillClock, shape: str) -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    late = Held(breaker, shape)
    trip(breaker)

    late.fail(asyncio.CancelledError())

    assert breaker.state == STATE_OPEN


@pytest.mark.parametrize("shape", THROWN_INTO)
def test_late_results_count_if_the_user_wants_the_originals_way(
    clock: StillClock, shape: str
) -> None:
    breaker = CircuitBreaker(failure_threshold=1, late_results=True)
    failing, succeeding = Held(breaker, shape), Held(breaker, shape)
    trip(breaker)

    failing.fail(OSError("late"))
    counted = breaker.failure_count
    end_well(succeeding)

    assert counted == 2
    assert breaker.state == STATE_CLOSED


def end_well(held: Held) -> None:
    if held.shape == "async generator":
        with pytest.raises(StopAsyncIteration):
            held.work.__anext__().send(None)
    else:
        held.succeed()


def test_of_two_trials_the_first_result_decides(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=10)
    trip(breaker)
    clock.advance(10)
    first, second = Held(breaker, "coroutine"), Held(breaker, "coroutine")

    first.fail(OSError("still down"))
    second.succeed()

    assert (breaker.state, breaker.failure_count) == (STATE_OPEN, 2)


def test_failures_of_one_closed_period_add_up_whatever_their_order() -> None:
    breaker = CircuitBreaker(failure_threshold=3)
    calls = [Held(breaker, "coroutine") for _ in range(3)]
    breaker.call(ok)

    for call in calls:
        call.fail(OSError("down"))

    assert breaker.state == STATE_OPEN


def test_half_open_lets_everybody_through_like_the_original(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=10)
    trip(breaker)
    clock.advance(10)

    calls = [Held(breaker, "coroutine") for _ in range(4)]
    for call in calls:
        call.succeed()

    assert breaker.state == STATE_CLOSED


@pytest.mark.parametrize("shape", SHAPES)
def test_single_probe_lets_one_call_through_at_a_time(
    clock: StillClock, shape: str
) -> None:
    breaker = CircuitBreaker(1, 10, single_probe=True)
    guarded = breaker(ok)
    trip(breaker)
    clock.advance(12)

    probe = Held(breaker, shape)
    with pytest.raises(CircuitBreakerError) as caught:
        in_another_context(guarded)
    end_well(probe)

    assert caught.value.state == STATE_HALF_OPEN
    assert caught.value.retry_after == pytest.approx(30, abs=5)
    assert guarded() == "ok"
    assert breaker.state == STATE_CLOSED


def in_another_context(function: Callable[[], Any]) -> Any:
    """Call as another task or thread would: what a probe calls belongs to the probe."""
    return contextvars.Context().run(function)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_rejected_probe_goes_to_the_fallback(clock: StillClock, shape: str) -> None:
    breaker = CircuitBreaker(1, 10, single_probe=True, fallback_function=lambda: "else")
    guarded = breaker(ok)
    trip(breaker)
    clock.advance(10)
    probe = Held(breaker, shape)

    assert in_another_context(guarded) == "else"
    end_well(probe)


def test_a_probe_that_says_nothing_frees_its_place(clock: StillClock) -> None:
    breaker = CircuitBreaker(1, 10, single_probe=True, neutral_cancellation=True)
    trip(breaker)
    clock.advance(10)

    Held(breaker, "coroutine").fail(asyncio.CancelledError())

    assert breaker.state == STATE_HALF_OPEN
    assert in_another_context(breaker(ok)) == "ok"
    assert breaker.state == STATE_CLOSED


def test_a_failed_single_probe_opens_and_the_next_one_may_go(clock: StillClock) -> None:
    breaker = CircuitBreaker(1, 10, single_probe=True)
    guarded = breaker(fail)
    trip(breaker)
    clock.advance(10)

    with pytest.raises(OSError):
        guarded()
    opened = breaker.state
    clock.advance(10)
    with pytest.raises(OSError):
        guarded()

    assert opened == STATE_OPEN
    assert breaker.failure_count == 3


def test_neutral_cancellation_leaves_the_books_alone(clock: StillClock) -> None:
    breaker = CircuitBreaker(3, neutral_cancellation=True)
    call = Held(breaker, "coroutine")
    with pytest.raises(OSError):
        breaker.call(fail)

    call.fail(asyncio.CancelledError())

    assert breaker.failure_count == 1


def test_a_cancellation_that_is_expected_counts_whatever_the_switch() -> None:
    breaker = CircuitBreaker(
        1,
        expected_exception=lambda kind, _: kind is asyncio.CancelledError,
        neutral_cancellation=True,
    )

    Held(breaker, "coroutine").fail(asyncio.CancelledError())

    assert breaker.opened


def test_the_switches_can_be_set_on_a_subclass_and_given_to_the_decorator() -> None:
    class Careful(CircuitBreaker):
        single_probe = True
        neutral_cancellation = True

    by_class = circuit(cls=Careful)
    by_option = circuit(single_probe=True, late_results=True)

    assert (by_class.single_probe, by_class.neutral_cancellation) == (True, True)
    assert (by_class.late_results, by_option.late_results) == (False, True)
    assert by_option.single_probe


@pytest.fixture
def impatient_threads() -> Generator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_no_failure_is_lost_between_threads() -> None:
    breaker = CircuitBreaker(failure_threshold=10**9)
    guarded = breaker(fail)

    def hammer() -> None:
        for _ in range(2_000):
            with pytest.raises(OSError):
                guarded()

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert breaker.failure_count == 8_000


def test_no_lock_is_held_while_a_call_runs() -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    done = threading.Event()

    def meanwhile() -> None:
        with pytest.raises(OSError):
            breaker(fail)()
        done.set()

    def slow() -> None:
        thread = threading.Thread(target=meanwhile)
        thread.start()
        assert done.wait(60)
        thread.join()

    breaker(slow)()

    assert breaker.opened


def test_a_finaliser_of_a_dropped_error_may_use_the_breaker_from_another_thread() -> (
    None
):
    breaker = CircuitBreaker(failure_threshold=10)
    finished = []

    class Dropped(OSError):
        def __del__(self) -> None:
            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join(60)
            finished.append(not thread.is_alive())

    def attempt() -> None:
        with pytest.raises(OSError):
            breaker.call(fail)

    def fail_oddly() -> None:
        raise Dropped

    with pytest.raises(Dropped):
        breaker.call(fail_oddly)
    breaker.reset()
    gc.collect()

    assert finished == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_while_another_thread_writes_the_books_does_not_block_the_child() -> (
    None
):
    breaker = CircuitBreaker(failure_threshold=1)
    inside, forked = threading.Event(), threading.Event()

    class Slow:
        """A threshold that takes its time, while the lock is held."""

        def __le__(self, other: object) -> bool:
            inside.set()
            assert forked.wait(60)
            return False

    breaker._failure_threshold = Slow()

    def failing() -> None:
        with pytest.raises(OSError):
            breaker.call(fail)

    thread = threading.Thread(target=failing)
    thread.start()
    assert inside.wait(60)

    child = os.fork()
    if child == 0:
        breaker._failure_threshold = 1
        try:
            breaker.call(fail)
        except OSError:
            os._exit(0 if breaker.opened else 1)
        os._exit(2)
    forked.set()
    thread.join()
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_an_error_keeps_no_exception_of_the_user_once_the_breaker_has_dropped_it(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(failure_threshold=1)

    class Heavy(OSError):
        pass

    def fail_heavily() -> None:
        raise Heavy

    with pytest.raises(Heavy):
        breaker.call(fail_heavily)
    failure = breaker.last_failure
    assert failure is not None
    heavy = weakref.ref(failure)
    error = CircuitBreakerError(breaker)

    del failure
    breaker.reset()
    gc.collect()

    assert heavy() is None
    assert error.last_failure is not None
