"""Every way to make a guarded call, and policies of which each needs another template.

A way takes a breaker and what the dependency does, and returns what a caller calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from recloser import (
    CircuitBreaker,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    State,
    TimeWindow,
    Wait,
)
from recloser.testing import FakeClock, force

Work = Callable[[], Any]
AsyncWork = Callable[[], Awaitable[Any]]

POLICIES: Final = {
    "streak": 3,
    # One more than the others need: an interrupt can leave a call that seems to be out.
    "slow streak": ConsecutiveFailures(4, slower_than=5),
    "count window": FailureRate(0.5, window=CountWindow(8), minimum_calls=3),
    "time window": FailureRate(0.5, window=TimeWindow(5), minimum_calls=3),
}
"""Untimed, timed twice, untimed, timed once: each compiles another wrapper."""

ADMITTING: Final = (
    State.CLOSED,
    State.HALF_OPEN,
    State.DISABLED,
    State.METRICS_ONLY,
)


class Stage:
    """A breaker on a clock that is moved by hand, in a state."""

    def __init__(
        self, state: State = State.CLOSED, trip: Any = 3, **options: Any
    ) -> None:
        self.clock = FakeClock()
        usual = {
            "trip": trip,
            "clock": self.clock,
            "registry": "none",
            "recovery": Wait(10, jitter=0),
            "probe_lease": 20,
        }
        self.breaker = CircuitBreaker("payments", **{**usual, **options})
        if state is not State.CLOSED:
            force(self.breaker, state)

    def heals(self) -> None:
        """Check that one lease and one wait later a probe closes the circuit for good."""
        if self.breaker.state is State.METRICS_ONLY:
            self.breaker.reset()
        self.clock.advance(30)
        assert self.breaker.call(answer) == "answer"
        assert self.breaker.state is State.CLOSED
        assert self.breaker.snapshot().probes == 0

    def has_one_place(self) -> None:
        """Check that half-open admits one, and that nobody has a pass past it."""
        first, second = self.breaker.try_acquire(), self.breaker.try_acquire()
        assert first is not None, "its place was not given back"
        if self.breaker.state is State.HALF_OPEN:
            assert second is None, (
                "somebody is taken for a part of a probe that is over"
            )
        else:
            assert second is not None
            second.release()
        first.release()


def answer() -> str:
    return "answer"


def down() -> Any:
    raise OSError("down")


# -- plain ways --------------------------------------------------------------------------


def function(breaker: CircuitBreaker, work: Work) -> Work:
    def ask() -> Any:
        return work()

    return breaker(ask)


def call(breaker: CircuitBreaker, work: Work) -> Work:
    return lambda: breaker.call(work)


def block(breaker: CircuitBreaker, work: Work) -> Work:
    def ask() -> Any:
        with breaker:
            return work()

    return ask


def permit(breaker: CircuitBreaker, work: Work) -> Work:
    def ask() -> Any:
        with breaker.acquire():
            return work()

    return ask


def stream(breaker: CircuitBreaker, work: Work) -> Work:
    @breaker
    def items() -> Any:
        yield work()

    def ask() -> Any:
        (item,) = items()
        return item

    return ask


WAYS: Final = (function, call, block, permit, stream)


# -- async ways --------------------------------------------------------------------------


def coroutine(breaker: CircuitBreaker, work: AsyncWork) -> AsyncWork:
    async def ask() -> Any:
        return await work()

    return breaker(ask)


def acall(breaker: CircuitBreaker, work: AsyncWork) -> AsyncWork:
    async def ask() -> Any:
        return await breaker.acall(work)

    return ask


def async_block(breaker: CircuitBreaker, work: AsyncWork) -> AsyncWork:
    async def ask() -> Any:
        async with breaker:
            return await work()

    return ask


def async_permit(breaker: CircuitBreaker, work: AsyncWork) -> AsyncWork:
    async def ask() -> Any:
        async with await breaker.aacquire():
            return await work()

    return ask


def async_stream(breaker: CircuitBreaker, work: AsyncWork) -> AsyncWork:
    @breaker
    async def items() -> Any:
        yield await work()

    async def ask() -> Any:
        (item,) = [item async for item in items()]
        return item

    return ask


ASYNC_WAYS: Final = (coroutine, acall, async_block, async_permit, async_stream)
