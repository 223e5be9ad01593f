"""Calls that overlap: late results, and the switches for what is on offer."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from typing import Any

import pytest

from recloser.compat.aiocircuitbreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    State,
    circuit,
)
from tests.compat.still_clock import StillClock
from tests.compat.streaks_run import finish


class Pause:
    def __await__(self) -> Generator[None]:
        yield


async def ok() -> str:
    return "ok"


async def fail() -> None:
    raise OSError("down")


async def held() -> str:
    await Pause()
    return "ok"


def trip(breaker: CircuitBreaker) -> None:
    while not breaker.opened:
        with pytest.raises(OSError):
            finish(breaker.call(fail))


def begin(breaker: CircuitBreaker, way: str = "decorated") -> Coroutine[Any, Any, Any]:
    """Begin a call that ends when told."""
    call = breaker(held)() if way == "decorated" else breaker.call(held)
    call.send(None)
    return call


def end_badly(call: Coroutine[Any, Any, Any], error: BaseException) -> None:
    with pytest.raises(type(error)):
        call.throw(error)


WAYS = pytest.mark.parametrize("way", ["decorated", "call"])


@WAYS
def test_late_results_change_nothing(clock: StillClock, way: str) -> None:
    breaker = CircuitBreaker(1, 10)
    succeeding, failing, cancelled = (begin(breaker, way) for _ in range(3))
    trip(breaker)
    clock.advance(4)

    finish(succeeding)
    end_badly(failing, OSError("late"))
    end_badly(cancelled, asyncio.CancelledError())

    assert (breaker.state, breaker.failure_count) == (State.OPEN, 1)
    assert breaker.open_remaining == 6.0


@WAYS
def test_late_results_count_if_the_user_wants_the_originals_way(
    clock: StillClock, way: str
) -> None:
    breaker = CircuitBreaker(1, 10, late_results=True)
    succeeding, failing = begin(breaker, way), begin(breaker, way)
    trip(breaker)
    clock.advance(4)

    end_badly(failing, OSError("late"))
    counted = breaker.failure_count, breaker.open_remaining
    finish(succeeding)

    assert counted == (2, 10.0)
    assert breaker.state is State.CLOSED


def test_failures_of_one_closed_period_add_up_whatever_their_order() -> None:
    breaker = CircuitBreaker(failure_threshold=3)
    calls = [begin(breaker) for _ in range(3)]
    finish(breaker.call(ok))

    for call in calls:
        end_badly(call, OSError())

    assert breaker.state is State.OPEN


def test_half_open_lets_everybody_through_and_the_first_result_decides(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(1, 10)
    trip(breaker)
    clock.advance(10)
    calls = [begin(breaker) for _ in range(3)]

    end_badly(calls[0], OSError())
    for call in calls[1:]:
        finish(call)

    assert (breaker.state, breaker.failure_count) == (State.OPEN, 2)


def test_single_probe_lets_one_call_through_at_a_time(clock: StillClock) -> None:
    breaker = CircuitBreaker(1, 10, single_probe=True)
    trip(breaker)
    clock.advance(12)
    probe = contextvars.Context().run(begin, breaker)

    with pytest.raises(CircuitBreakerError) as caught:
        finish(breaker(ok)())
    finish(probe)

    assert caught.value.state == "half_open"
    assert caught.value.retry_after == pytest.approx(30, abs=5)
    assert finish(breaker(ok)()) == "ok"
    assert breaker.state is State.CLOSED


def test_single_probe_sends_the_others_to_the_fallback(clock: StillClock) -> None:
    breaker = CircuitBreaker(1, 10, single_probe=True, fallback_function=ok)
    trip(breaker)
    clock.advance(10)
    probe = contextvars.Context().run(begin, breaker)

    assert finish(breaker(fail)()) == "ok"
    finish(probe)


def test_a_cancelled_probe_says_nothing_and_frees_its_place(clock: StillClock) -> None:
    breaker = CircuitBreaker(1, 10, single_probe=True, neutral_cancellation=True)
    trip(breaker)
    clock.advance(10)
    probe = contextvars.Context().run(begin, breaker)

    end_badly(probe, asyncio.CancelledError())
    after = breaker.state
    finish(breaker(ok)())

    assert after is State.HALF_OPEN
    assert breaker.state is State.CLOSED


def test_the_decorator_passes_the_switches_on() -> None:
    breaker = circuit(single_probe=True)

    assert breaker.single_probe
    assert not breaker.late_results
