"""How our own breaker is set up: through its public names, like any rival."""

from __future__ import annotations

from typing import Any

from .subjects import OURS, POLICIES, Guards, Setup, library


def trip_policy(lib: Any, setup: Setup) -> Any:
    """Return what goes into `trip=`."""
    streak = lib.ConsecutiveFailures(setup.threshold)
    minute = lib.TimeWindow(60)
    rate = lib.FailureRate(1.0, window=minute, minimum_calls=setup.minimum)
    calls = lib.CountWindow(setup.size)
    if setup.policy == "streak":
        return streak
    if setup.policy == "count":
        return lib.FailureRate(1.0, window=calls, minimum_calls=setup.minimum)
    if setup.policy == "time":
        return rate
    slow_window = calls if setup.policy == "combined" else minute
    slow = lib.SlowCallRate(
        1.0, slower_than=60.0, window=slow_window, minimum_calls=setup.minimum
    )
    return rate | slow if setup.policy == "slow" else streak | rate | slow


@library(OURS, "recloser", *POLICIES)
def recloser(lib: Any, setup: Setup) -> Guards:
    """Build one breaker. Names differ, so that nothing is shared by accident."""
    return breaker_guards(lib, setup)


def breaker_guards(lib: Any, setup: Setup, **options: Any) -> Guards:
    """Build one breaker with further options."""
    b = lib.CircuitBreaker(
        "benchmark",
        trip=trip_policy(lib, setup),
        recovery=lib.Wait(setup.wait, jitter=0.0),
        **options,
    )
    return Guards(b, b, b, b, block=b, ablock=b, rejection=lib.CircuitOpenError)
