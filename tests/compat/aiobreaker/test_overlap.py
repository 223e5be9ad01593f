"""Where calls overlap: what gets better by the switch from aiobreaker."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recloser import State
from recloser.compat._trial import TrialPlace
from recloser.compat.aiobreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
)
from recloser.compat.aiobreaker.storage import CircuitMemoryStorage
from recloser.testing import FakeClock
from tests.compat.pybreaker_held import HeldCall

OPEN, CLOSED, HALF_OPEN = CircuitBreakerState
STILL_OPEN = "Timeout not elapsed yet, circuit breaker still open"


class Hearing(CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def before_call(self, breaker: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        self.heard.append("before")

    def failure(self, breaker: Any, exception: BaseException) -> None:
        self.heard.append(f"failure {exception}")

    def success(self, breaker: Any) -> None:
        self.heard.append("success")


def half_open(**options: Any) -> CircuitBreaker:
    return CircuitBreaker(state_storage=CircuitMemoryStorage(HALF_OPEN), **options)


async def soon() -> str:
    await asyncio.sleep(0)
    return "done"


async def never() -> None:
    await asyncio.Event().wait()


def fail() -> None:
    raise KeyError("down")


def several(breaker: CircuitBreaker, number: int) -> list[Any]:
    async def gathered() -> list[Any]:
        calls = (breaker.call_async(soon) for _ in range(number))
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(gathered())


def test_half_open_lets_one_call_through_at_a_time() -> None:
    breaker = half_open(name="payments", trial_lease=20)

    result, *refusals = several(breaker, 4)

    assert result == "done"
    assert {refusal.message for refusal in refusals} == {STILL_OPEN}
    assert {refusal.state for refusal in refusals} == {State.HALF_OPEN}
    assert {refusal.name for refusal in refusals} == {"payments"}
    assert all(0 < refusal.retry_after <= 20 for refusal in refusals)
    assert breaker.current_state is CLOSED


def test_a_refusal_in_half_open_says_when_the_place_is_free_at_the_latest() -> None:
    breaker = half_open(trial_lease=3600)
    now = datetime.now(UTC).replace(tzinfo=None)

    with HeldCall(breaker), pytest.raises(CircuitBreakerError) as refusal:
        breaker.call(str)

    reopen_time = refusal.value.reopen_time
    assert reopen_time is not None
    assert timedelta(minutes=59) < reopen_time - now < timedelta(minutes=61)


def test_all_calls_go_through_half_open_if_asked_to() -> None:
    breaker = half_open(bound_trials=False)

    assert several(breaker, 4) == ["done"] * 4


def test_a_trial_that_hangs_loses_its_place_when_its_lease_is_over() -> None:
    breaker = half_open(trial_lease=5.0)
    clock = FakeClock()
    breaker._place = TrialPlace(clock)

    with HeldCall(breaker):
        clock.advance(4.5)
        with pytest.raises(CircuitBreakerError) as refusal:
            breaker.call(str)
        clock.advance(0.5)
        result = breaker.call(str)

    assert refusal.value.retry_after == 0.5
    assert (result, breaker.current_state) == ("", CLOSED)


def test_a_cancelled_trial_is_no_evidence_and_frees_its_place() -> None:
    listener = Hearing()
    breaker = half_open(listeners=[listener])

    async def cancelled() -> str:
        task = asyncio.create_task(breaker.call_async(never))
        for _ in range(3):  # until it waits inside
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await breaker.call_async(soon)

    result = asyncio.run(cancelled())

    assert (result, breaker.current_state) == ("done", CLOSED)
    assert listener.heard == ["before", "before", "success"]


def test_what_a_trial_awaits_belongs_to_the_trial() -> None:
    breaker = half_open()

    async def outer() -> str:
        return await asyncio.create_task(breaker.call_async(soon))

    result = asyncio.run(breaker.call_async(outer))

    assert (result, breaker.current_state) == ("done", CLOSED)


def test_a_failure_that_ends_after_the_trip_is_not_counted() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(fail_max=1)
    late = KeyError("late")

    with HeldCall(breaker, late) as held:
        with pytest.raises(CircuitBreakerError):
            breaker.call(fail)
        breaker.add_listener(listener)
        opened_at = breaker._state_storage.opened_at
        with pytest.raises(KeyError) as raised:
            held.end()

    assert raised.value is late
    assert (breaker.fail_counter, breaker._state_storage.opened_at) == (1, opened_at)
    assert listener.heard == [f"failure {late}"]


def test_a_late_success_does_not_close_the_circuit_that_opened_meanwhile() -> None:
    breaker = half_open()

    with HeldCall(breaker) as held:
        breaker.open()
        held.end()

    assert breaker.current_state is OPEN


def test_a_trial_does_not_overwrite_what_another_process_decided_meanwhile() -> None:
    storage = CircuitMemoryStorage(HALF_OPEN)
    here, there = (CircuitBreaker(state_storage=storage) for _ in range(2))

    with HeldCall(here) as held:
        with pytest.raises(CircuitBreakerError):
            there.call(fail)
        held.end()

    assert storage.state is OPEN


def test_failures_of_many_threads_open_the_circuit_at_exactly_the_threshold() -> None:
    breaker = CircuitBreaker(fail_max=5)

    def fail_often(_: int) -> None:
        for _ in range(100):
            with pytest.raises((KeyError, CircuitBreakerError)):
                breaker.call(fail)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(fail_often, range(3)))

    assert breaker.fail_counter == 5
