"""The types of everything else a user holds. Never run: `make types`."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from recloser import (
    Adaptive,
    Backoff,
    BreakerGroup,
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    FalseTripBudget,
    Policy,
    Ramp,
    Shed,
    SlowCallRate,
    Snapshot,
    State,
    TimeWindow,
    Wait,
    breaker_of,
    breakers,
    get_breaker,
)
from recloser.testing import FakeClock, force

ANSWER = 42


def plain(amount: int, *, currency: str = "EUR") -> str:
    return f"{amount} {currency}"


async def coroutine(amount: int) -> str:
    return str(amount)


def every_option_is_accepted() -> None:
    CircuitBreaker("a", trip=5, recovery=30, probes=3, probe_concurrency=2)
    CircuitBreaker("b", recovery=timedelta(minutes=1), probe_lease=30.0)
    CircuitBreaker(
        "c",
        trip=ConsecutiveFailures(5)
        | FailureRate(0.5, window=TimeWindow(60), minimum_calls=20)
        & SlowCallRate(0.8, slower_than=2.0, window=CountWindow(100), minimum_calls=20),
        recovery=Backoff(5, factor=2, maximum=300),
        ignore=(ValueError,),
        successes=(LookupError,),
        failures=(OSError,),
        failure_result=lambda result: result is None,
        initial_state=State.CLOSED,
    )
    trip = FalseTripBudget(1, per=timedelta(days=1), slower_than=2.0) | FailureRate(0.5)
    CircuitBreaker("f", trip=trip, baseline={"failed": [1.0, 100.0]})
    CircuitBreaker("d", policy=Policy(probes=3, recovery=Wait(10)))
    CircuitBreaker("e", Policy())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def calling_by_hand_keeps_types(breaker: CircuitBreaker) -> None:
    assert_type(breaker.call(plain, 1, currency="CHF"), str)
    assert_type(await breaker.acall(coroutine, 1), str)
    breaker.call(plain, "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await breaker.acall(plain, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def a_with_block_swallows_nothing(breaker: CircuitBreaker) -> int:
    with breaker:
        return ANSWER  # a manager that may swallow makes checkers miss a return here


async def an_async_with_block_swallows_nothing(breaker: CircuitBreaker) -> int:
    async with breaker:
        return ANSWER


async def permits(breaker: CircuitBreaker) -> None:
    permit = breaker.acquire(timeout=2.0)
    permit.success()
    with await breaker.aacquire(timeout=2.0):
        pass
    maybe = breaker.try_acquire()
    maybe.release()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    if maybe is not None:
        assert_type(maybe.is_probe, bool)
        maybe.failure(OSError())


def what_a_rejection_tells(error: CircuitOpenError) -> None:
    assert_type(error.name, str)
    assert_type(error.state, State)
    assert_type(error.retry_after, float | None)
    assert_type(error.reason, str)


def what_a_breaker_tells(breaker: CircuitBreaker) -> None:
    assert_type(breaker.state, State)
    assert_type(breaker.explain(), str)
    snapshot = breaker.snapshot()
    assert_type(snapshot, Snapshot)
    assert_type(snapshot.state, State)
    assert_type(snapshot.epoch, int)
    assert_type(snapshot.retry_after, float | None)


def many_breakers() -> None:
    group = BreakerGroup("api", max_size=100, trip=3)
    assert_type(group["host-a"], CircuitBreaker)
    assert_type(get_breaker("payments"), CircuitBreaker | None)
    assert_type(breaker_of(plain), CircuitBreaker | None)
    for breaker in breakers():
        assert_type(breaker, CircuitBreaker)


def testing_kit() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("f", clock=clock)
    assert_type(clock(), float)
    clock.advance(1)
    force(breaker, State.OPEN)


async def recovery_has_types() -> None:
    ramp = Ramp((0.1, 1.0), round=timedelta(seconds=2).total_seconds(), evidence=2)
    breaker = CircuitBreaker("g", recovery=Adaptive(0.2), ramp=ramp, chance=lambda: 0.5)
    CircuitBreaker("h", recovery=Shed(2.0, memory=60), ramp=False)
    Policy(ramp=True)
    assert_type(breaker.policy.ramp, Ramp | None)
    assert_type(breaker.snapshot().admitting, float)
    assert_type(breaker.check_health(lambda: None), bool)
    assert_type(await breaker.acheck_health(lambda: coroutine(1)), bool)
    breaker.permit_probes()
    with breaker.acquire(key="tenant"), await breaker.aacquire(key=7, timeout=1):
        ...
    breaker.try_acquire(key=b"tenant")
    assert_type(breaker(key=str)(plain)(1), str)
    CircuitBreaker("i", ramp=0.5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    breaker.acquire(key=1.5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
