"""How each rival that guards coroutine functions only is set up."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from .subjects import Guards, Setup, library, member


@library("aiocircuitbreaker", "aiocircuitbreaker", "streak")
def aiocircuitbreaker(lib: Any, setup: Setup) -> Guards:
    b = lib.CircuitBreaker(setup.threshold, setup.wait, name="b")
    return Guards(aio=b, rejection=lib.CircuitBreakerError)


@library("hyx", "hyx.circuitbreaker", "streak")
def hyx(lib: Any, setup: Setup) -> Guards:
    b = lib.consecutive_breaker(
        failure_threshold=setup.threshold,
        recovery_time_secs=setup.wait,
        recovery_threshold=1,
    )
    error = member("hyx.circuitbreaker.exceptions", "BreakerFailing")
    return Guards(aio=b, ablock=b, rejection=error)


@library("aioresilience", "aioresilience.circuit_breaker", "streak")
def aioresilience(lib: Any, setup: Setup) -> Guards:
    config = lib.CircuitConfig(
        failure_threshold=setup.threshold,
        recovery_timeout=setup.wait,
        success_threshold=1,
        half_open_max_calls=1,
    )
    b = lib.CircuitBreaker("b", config)
    return Guards(
        aio=lib.with_circuit_breaker(b), rejection=lib.CircuitBreakerOpenError
    )


@library("asyncbreaker", "asyncbreaker", "streak")
def asyncbreaker(lib: Any, setup: Setup) -> Guards:
    wait = timedelta(seconds=setup.wait)
    b = lib.CircuitBreaker(fail_max=setup.threshold, timeout_duration=wait)
    return Guards(aio=b, rejection=member("asyncbreaker.errors", "CircuitError"))


@library(
    "escudeiro",
    "escudeiro.ds.circuit",
    "streak",
    note="no breaker proper: after the first error calls wait, none is rejected",
)
def escudeiro(lib: Any, setup: Setup) -> Guards:
    asyncio_sleep = partial(member("asyncio", "sleep"), setup.wait)
    b = lib.CircuitBreaker(freeze_function=asyncio_sleep, on_error=lambda _: None)
    return Guards(aio=lib.with_circuit_breaker(b))
