"""Where calls overlap: what gets better by the switch from pybreaker."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from recloser import State
from recloser.compat._trial import TrialPlace
from recloser.compat.pybreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitMemoryStorage,
)
from recloser.testing import FakeClock
from tests.compat.pybreaker_held import PATIENCE, HeldCall

STILL_OPEN = "Timeout not elapsed yet, circuit breaker still open"


class Hearing(CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        self.heard.append("before")

    def failure(self, cb: Any, exc: BaseException) -> None:
        self.heard.append(f"failure {exc}")

    def success(self, cb: Any) -> None:
        self.heard.append("success")

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        self.heard.append(f"{old_state.name} to {new_state.name}")


def half_open(**options: Any) -> CircuitBreaker:
    breaker = CircuitBreaker(name="payments", **options)
    breaker.half_open()
    return breaker


def failing() -> None:
    raise KeyError("down")


def test_calls_of_several_threads_run_side_by_side() -> None:
    breaker = CircuitBreaker()
    all_inside = Barrier(4)

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(breaker.call, all_inside.wait, PATIENCE) for _ in range(4)]
        arrivals = sorted(call.result() for call in calls)

    assert arrivals == [0, 1, 2, 3]


def test_serialized_calls_run_one_after_another() -> None:
    breaker = CircuitBreaker(serialize_calls=True)
    inside: list[int] = []

    def count() -> int:
        inside.append(1)
        together = len(inside)
        for _ in range(1_000):
            together = max(together, len(inside))
        inside.pop()
        return together

    with ThreadPoolExecutor(4) as pool:
        most = max(pool.map(lambda _: breaker.call(count), range(40)))

    assert most == 1


def test_a_held_serialized_call_keeps_others_from_starting() -> None:
    breaker = CircuitBreaker(serialize_calls=True)

    with ThreadPoolExecutor(1) as pool:
        with HeldCall(breaker) as held:
            other = pool.submit(breaker.call, str)
            started_beside = other.done()
            held.end()

        assert other.result(PATIENCE) == ""
        assert not started_beside


def test_half_open_lets_one_call_through_at_a_time() -> None:
    breaker = half_open()
    listener = Hearing()

    with HeldCall(breaker) as held:
        breaker.add_listener(listener)
        with pytest.raises(CircuitBreakerError) as refusal:
            breaker.call(str)

        assert refusal.value.args == (STILL_OPEN,)
        assert refusal.value.state == State.HALF_OPEN
        assert refusal.value.retry_after == pytest.approx(30, abs=PATIENCE)
        assert refusal.value.name == "payments"
        assert listener.heard == []
        assert held.end() == "held"
    assert breaker.current_state == "closed"


def test_a_trial_that_ended_gives_its_place_back() -> None:
    breaker = half_open(success_threshold=3, exclude=[KeyError])

    breaker.call(str)
    with pytest.raises(KeyError) as kept:
        breaker.call(failing)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(breaker.call, str).result(PATIENCE)

    assert kept.value.args == (
        "down",
    )  # as long as it lives, so does the trial's frame
    assert breaker.current_state == "closed"


def test_a_trial_that_could_not_reopen_the_circuit_gives_its_place_back() -> None:
    class Broken(CircuitBreakerListener):
        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            raise LookupError("listener")

    breaker = half_open()
    breaker.add_listener(Broken())

    with pytest.raises(LookupError) as kept:
        breaker.call(failing)
    breaker.remove_listener(breaker.listeners[0])
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(breaker.call, str).result(PATIENCE)

    assert (kept.value.args, result) == (("listener",), "")


def test_a_trial_whose_listener_or_predicate_raises_gives_its_place_back() -> None:
    class Broken(CircuitBreakerListener):
        def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
            raise LookupError("listener")

    def broken_predicate(error: object) -> bool:
        raise LookupError("predicate")

    breaker = half_open(exclude=[broken_predicate], listeners=[Broken()])
    errors: list[str] = []

    for _ in range(2):
        with pytest.raises(LookupError) as raised:
            breaker.call(failing)
        errors.append(raised.value.args[0])
        for listener in breaker.listeners:
            breaker.remove_listener(listener)
    breaker.remove_excluded_exception(broken_predicate)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(breaker.call, str).result(PATIENCE)

    assert errors == ["listener", "predicate"]
    assert result == ""
    assert breaker.current_state == "closed"


def test_a_trial_that_hangs_loses_its_place_when_its_lease_is_over() -> None:
    breaker = half_open(success_threshold=2, trial_lease=5.0)
    clock = FakeClock()
    breaker._place = TrialPlace(clock)

    with HeldCall(breaker) as hanging:
        clock.advance(4.5)
        with pytest.raises(CircuitBreakerError) as refusal:
            breaker.call(str)
        clock.advance(0.5)
        second = breaker.call(str)
        first = hanging.end()

    assert refusal.value.retry_after == 0.5
    assert (first, second) == ("held", "")
    assert breaker.current_state == "closed"


def test_a_trial_nobody_ever_runs_frees_its_place_when_it_is_dropped() -> None:
    breaker = half_open()

    def stream() -> Generator[int]:
        yield 1

    with ThreadPoolExecutor(1) as pool:
        dropped = pool.submit(breaker.call, stream).result(PATIENCE)
        with pytest.raises(CircuitBreakerError):
            breaker.call(str)
        del dropped
        gc.collect()
        result = breaker.call(str)

    assert result == ""


def test_what_a_trial_calls_belongs_to_the_trial() -> None:
    breaker = half_open(success_threshold=2)

    result = breaker.call(lambda: breaker.call(lambda: "inner"))

    assert result == "inner"
    assert breaker.current_state == "closed"


def test_a_thread_started_by_a_trial_does_not_belong_to_it() -> None:
    breaker = half_open()

    def trial() -> str:
        with ThreadPoolExecutor(1) as pool:
            return str(pool.submit(breaker.call, str).exception(PATIENCE))

    message = breaker.call(trial)

    assert message == STILL_OPEN


def test_closing_an_open_circuit_frees_the_trials_place() -> None:
    breaker = half_open()

    with HeldCall(breaker) as hanging:
        breaker.close()
        breaker.half_open()
        result = breaker.call(str)
        hanging.end()

    assert result == ""


def test_a_failure_that_ends_after_the_trip_is_not_counted() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(fail_max=2, listeners=[listener])
    late = KeyError("late")

    with HeldCall(breaker, late) as held:
        for _ in range(2):
            with pytest.raises((KeyError, CircuitBreakerError)):
                breaker.call(failing)
        opened_at = breaker._state_storage.opened_at
        listener.heard.clear()
        with pytest.raises(KeyError) as raised:
            held.end()

    assert raised.value is late
    assert breaker.fail_counter == 2
    assert breaker._state_storage.opened_at == opened_at
    assert listener.heard == [f"failure {late}"]


def test_a_late_success_does_not_close_the_circuit_that_opened_meanwhile() -> None:
    listener = Hearing()
    breaker = half_open(listeners=[listener])

    with HeldCall(breaker) as held:
        breaker.open()
        listener.heard.clear()
        result = held.end()

    assert result == "held"
    assert breaker.current_state == "open"
    assert listener.heard == ["success"]


def test_a_failed_trial_of_an_earlier_half_open_does_not_reopen_the_next_one() -> None:
    listener = Hearing()
    breaker = half_open(listeners=[listener])
    late = KeyError("late")

    with HeldCall(breaker, late) as held:
        breaker.open()
        breaker.half_open()
        listener.heard.clear()
        with pytest.raises(KeyError) as raised:
            held.end()

    assert raised.value is late
    assert (breaker.current_state, breaker.fail_counter) == ("half-open", 0)
    assert listener.heard == [f"failure {late}"]


def test_a_late_success_does_not_clear_the_count_of_the_next_closed_period() -> None:
    breaker = CircuitBreaker(fail_max=2)

    with HeldCall(breaker) as held:
        breaker.open()
        breaker.close()
        with pytest.raises(KeyError):
            breaker.call(failing)
        held.end()

    assert breaker.fail_counter == 1


def test_a_trial_does_not_overwrite_what_another_process_decided_meanwhile() -> None:
    storage = CircuitMemoryStorage("half-open")
    here, there = (CircuitBreaker(state_storage=storage) for _ in range(2))

    with HeldCall(here) as held:
        with pytest.raises(CircuitBreakerError):
            there.call(failing)
        held.end()

    assert storage.state == "open"
    assert here.state.name == "open"


def test_failures_do_not_reopen_what_another_process_opened_meanwhile() -> None:
    storage = CircuitMemoryStorage("closed")
    here, there = (CircuitBreaker(1, state_storage=storage) for _ in range(2))

    with HeldCall(here, KeyError("late")) as held:
        there.open()
        opened_at = storage.opened_at
        with pytest.raises(KeyError):
            held.end()

    assert storage.opened_at == opened_at


def test_two_awaited_calls_in_half_open_are_one_trial_and_one_refusal() -> None:
    breaker = half_open()

    @breaker
    async def call() -> str:
        await asyncio.sleep(0)
        return "done"

    async def both() -> list[Any]:
        return await asyncio.gather(call(), call(), return_exceptions=True)

    first, second = asyncio.run(both())

    assert first == "done"
    assert second.args == (STILL_OPEN,)


def test_two_futures_of_one_task_in_half_open_are_one_trial_and_one_refusal() -> None:
    breaker = half_open()

    async def call() -> str:
        await asyncio.sleep(0)
        return "done"

    async def both() -> list[Any]:
        calls = breaker.call_async(call), breaker.call_async(call)
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second = asyncio.run(both())

    assert first == "done"
    assert second.args == (STILL_OPEN,)


def test_tasks_that_guard_a_block_share_one_trial() -> None:
    breaker = half_open()

    async def block() -> str:
        with breaker.calling():
            await asyncio.sleep(0)
        return "done"

    async def both() -> list[Any]:
        return await asyncio.gather(block(), block(), return_exceptions=True)

    first, second = asyncio.run(both())

    assert first == "done"
    assert second.args == (STILL_OPEN,)


def guarded_block(breaker: CircuitBreaker) -> Callable[[], Any]:
    async def block() -> None:
        with breaker.calling():
            await asyncio.Event().wait()

    return block


def guarded_function(breaker: CircuitBreaker) -> Callable[[], Any]:
    return breaker(waits)


def guarded_future(breaker: CircuitBreaker) -> Callable[[], Any]:
    async def awaits() -> None:
        await breaker.call_async(waits)

    return awaits


def guarded_stream(breaker: CircuitBreaker) -> Callable[[], Any]:
    @breaker
    async def stream() -> AsyncGenerator[int]:
        yield 1
        await waits()

    async def reads() -> None:
        async for _ in stream():
            pass

    return reads


async def waits() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "guard", [guarded_block, guarded_function, guarded_future, guarded_stream]
)
def test_a_cancelled_trial_is_no_evidence_and_frees_its_place(
    guard: Callable[[CircuitBreaker], Callable[[], Any]],
) -> None:
    listener = Hearing()
    breaker = half_open()
    breaker.add_listener(listener)

    async def cancelled() -> None:
        task = asyncio.create_task(guard(breaker)())
        for _ in range(3):  # until it waits inside
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        breaker.call(str)

    asyncio.run(cancelled())

    assert breaker.fail_counter == 0
    assert listener.heard == ["before", "before", "half-open to closed", "success"]


def test_leaving_an_async_generator_half_way_closes_it_and_is_no_evidence() -> None:
    listener = Hearing()
    breaker = half_open()
    breaker.add_listener(listener)
    closing: list[str] = []

    @breaker
    async def stream() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:  # the place is free by now
            with ThreadPoolExecutor(1) as pool:
                closing.append(pool.submit(breaker.call, str).result(PATIENCE))

    async def leaves() -> list[str]:
        numbers = stream()
        await anext(numbers)
        await numbers.aclose()
        return list(closing)

    closed_by_then = asyncio.run(leaves())

    assert closed_by_then == [""]
    assert listener.heard == ["before", "before", "half-open to closed", "success"]


def test_a_future_cancelled_before_its_first_step_leaves_nothing_behind() -> None:
    breaker = half_open()

    async def cancelled() -> str:
        future = breaker.call_async(waits)
        future.cancel()
        await asyncio.wait([future])
        return breaker.call(str)

    result = asyncio.run(cancelled())

    assert result == ""


def test_counts_stay_exact_under_a_slow_counter_and_many_threads() -> None:
    breaker = CircuitBreaker(fail_max=10_000)

    def slow_count(self: CircuitBreaker) -> None:
        storage: Any = self._state_storage
        count = storage._fail_counter
        for _ in range(200):
            pass
        storage._fail_counter = count + 1

    breaker._inc_counter = slow_count.__get__(breaker)  # type: ignore[method-assign]

    def fail_often(_: int) -> None:
        for _ in range(300):
            with pytest.raises(KeyError):
                breaker.call(failing)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(fail_often, range(3)))

    assert breaker.fail_counter == 900


def test_listeners_are_told_of_a_success_one_at_a_time() -> None:
    class Counting(CircuitBreakerListener):
        def success(self, cb: Any) -> None:
            count = getattr(cb, "_success_counter", 0)
            for _ in range(200):
                pass
            cb._success_counter = count + 1

    breaker = CircuitBreaker(listeners=[Counting()])

    def succeed_often(_: int) -> None:
        for _ in range(300):
            breaker.call(str)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(succeed_often, range(3)))

    assert vars(breaker)["_success_counter"] == 900


def test_failures_of_many_threads_open_the_circuit_at_exactly_the_threshold() -> None:
    breaker = CircuitBreaker(fail_max=5)
    started = Barrier(3)

    def fail_often(_: int) -> None:
        started.wait(PATIENCE)
        for _ in range(100):
            with pytest.raises((KeyError, CircuitBreakerError)):
                breaker.call(failing)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(fail_often, range(3)))

    assert breaker.fail_counter == 5


def test_one_of_many_threads_makes_the_circuit_half_open() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(fail_max=1, reset_timeout=60, listeners=[listener])
    breaker.open()
    storage = breaker._state_storage
    assert storage.opened_at is not None
    storage.opened_at -= timedelta(seconds=60)
    started = Barrier(5)

    def fail(_: int) -> None:
        started.wait(PATIENCE)
        with pytest.raises(CircuitBreakerError):
            breaker.call(failing)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(fail, range(5)))

    assert listener.heard.count("open to half-open") == 1
