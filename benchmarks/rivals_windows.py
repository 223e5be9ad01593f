"""How each rival with a rate over a window is set up."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from functools import cache, partial
from itertools import count
from typing import Any

from .subjects import NEVER, Guards, Setup, library, member

_numbers = count()


@library("fluxgate", "fluxgate", "streak", "count", "time", "slow", "combined")
def fluxgate(lib: Any, setup: Setup) -> Guards:
    tripper = partial(member, "fluxgate.trippers")
    rate = tripper("MinRequests")(setup.minimum) & tripper("FailureRate")(1.0)
    streak = tripper("FailureStreak")(setup.threshold)
    trip = {"streak": streak, "combined": streak | rate}.get(setup.policy, rate)
    if setup.policy in {"slow", "combined"}:
        trip = trip | tripper("SlowRate")(1.0, threshold=60.0)
    timed = setup.policy in {"time", "slow", "combined"}
    kind = member("fluxgate.windows", "TimeWindow" if timed else "CountWindow")
    size = 60 if timed else setup.size
    retry = member("fluxgate.retries", "Cooldown")(setup.wait)
    permit = partial(member, "fluxgate.permits")
    options = {"tripper": trip, "retry": retry}

    def plain(function: Any) -> Any:
        lottery = permit("Random")(0.1)
        return lib.CircuitBreaker(kind(size), permit=lottery, **options)(function)

    def aio(function: Any) -> Any:
        one = {"permit": permit("All")(), "max_half_open_calls": 1}
        return lib.AsyncCircuitBreaker(kind(size), **one, **options)(function)

    return Guards(plain, aio, rejection=lib.CallNotPermittedError)


@library("interlock-cb", "interlock", "count", "time", "slow", note="always times")
def interlock(lib: Any, setup: Setup) -> Guards:
    timed = setup.policy in {"time", "slow"}
    config = lib.Config(
        failure_rate_threshold=1.0,
        minimum_number_of_calls=setup.minimum,
        permitted_calls_in_half_open=1,
        wait_duration_in_open=setup.wait,
        window_type=lib.WindowType.TIME_BASED if timed else lib.WindowType.COUNT_BASED,
        window_size=60 if timed else setup.size,
    )
    b = lib.CircuitBreaker(name="b", config=config)
    return Guards(b, b, block=b, ablock=b, rejection=lib.CircuitOpenError)


@library("nopanic", "nopanic", "time", "slow", note="always a time window")
def nopanic(lib: Any, setup: Setup) -> Guards:
    b = lib.circuit_breaker(
        failure_threshold=1.0,
        min_calls=setup.minimum,
        window=60.0,
        reset_timeout=setup.wait,
        slow_call_duration=60.0 if setup.policy == "slow" else None,
    )
    blocks = {"block": b.guard, "entry": "m()", "ablock": b.guard, "aentry": "m()"}
    return Guards(b, b, b, b, rejection=lib.CircuitOpen, **blocks)


@library(
    "pyresilience",
    "pyresilience",
    "streak",
    "count",
    "slow",
    note="slow calls over a count window; a breaker for each decorated function",
)
def pyresilience(lib: Any, setup: Setup) -> Guards:
    config = lib.CircuitBreakerConfig(
        failure_threshold=setup.threshold,
        recovery_timeout=setup.wait,
        success_threshold=1,
        sliding_window_size=0 if setup.policy == "streak" else setup.size,
        failure_rate_threshold=1.0,
        minimum_calls=setup.minimum,
        slow_call_duration=60.0 if setup.policy == "slow" else 0.0,
    )
    guard = lib.resilient(circuit_breaker=config)
    return Guards(guard, guard, rejection=lib.CircuitOpenError)


@cache
def _storage() -> Any:
    return member("resilient_circuit.storage", "InMemoryStorage")()


@library(
    "resilient-circuit",
    "resilient_circuit",
    "count",
    note="its async path goes to a worker thread",
)
def resilient_circuit(lib: Any, setup: Setup) -> Guards:
    # The window is the limit's denominator, and it is judged only when it is full.
    size = setup.size if setup.threshold == NEVER else setup.threshold
    b = lib.CircuitProtectorPolicy(
        resource_key=f"b{next(_numbers)}",
        storage=_storage(),
        cooldown=timedelta(seconds=setup.wait),
        failure_limit=Fraction(size - 1, size),
        success_limit=Fraction(1, 1),
    )
    error = member("resilient_circuit.exceptions", "ProtectedCallError")
    return Guards(b, b, rejection=error)
