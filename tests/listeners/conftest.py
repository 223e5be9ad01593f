from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest

from recloser import CircuitBreaker, CircuitOpenError, Wait
from recloser.testing import FakeClock

PATIENCE = 120  # seconds until a test gives up on another thread or process, and fails


def pytest_configure(config: pytest.Config) -> None:
    """Declare our plugin's mark, so that the suite runs with the plugin and without."""
    config.addinivalue_line(
        "markers", "recloser_allow_callback_errors: callbacks may raise in this test"
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(clock):
    """Make a breaker on the fake clock that trips at 2 failures and waits 10 seconds."""

    def make_breaker(name: str = "payments", **options: Any) -> CircuitBreaker:
        usual = {
            "clock": clock,
            "registry": "none",
            "trip": 2,
            "recovery": Wait(10, jitter=0),
        }
        return CircuitBreaker(name, **{**usual, **options})

    return make_breaker


@pytest.fixture
def live():
    """Lead a breaker through a life with a little of everything, ending half-open."""

    def lead(breaker: CircuitBreaker, clock: FakeClock) -> None:
        late = breaker.acquire()
        for _ in range(3):
            breaker.call(lambda: "answer")
        breaker.acquire().release()
        for _ in range(2):
            breaker.acquire().failure(OSError("secret"))
        for _ in range(4):
            with suppress(CircuitOpenError):
                breaker.acquire()
        breaker(fallback=lambda: "cached").call(lambda: "answer")
        late.failure(OSError("secret"))
        clock.advance(12)
        breaker.acquire()
        clock.advance(31)  # beyond its lease
        breaker.acquire()

    return lead


@pytest.fixture
def until():
    """Wait for another thread or process until something is so; return what it is."""

    def wait_until(condition) -> Any:
        giving_up = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < giving_up, "it never came so far"
            time.sleep(0.01)
        return found

    return wait_until
