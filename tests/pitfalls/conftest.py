"""What the tests of pitfalls and traps share."""

from __future__ import annotations

from typing import Any

import pytest

from recloser import CircuitBreaker, CircuitOpenError, Wait
from recloser.testing import FakeClock


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
    """Make a breaker that trips on the first failure and waits exactly ten seconds."""

    def make_breaker(name: str = "payments", **options: Any) -> CircuitBreaker:
        usual = {
            "clock": clock,
            "registry": "none",
            "trip": 1,
            "recovery": Wait(10, jitter=0),
        }
        return CircuitBreaker(name, **{**usual, **options})

    return make_breaker


def answer(value: Any = "answer") -> Any:
    return value


def down() -> Any:
    raise OSError("down")


@pytest.fixture
def fail():
    """Let calls of a breaker fail; each is admitted and gets its own error."""

    def fail_calls(breaker: CircuitBreaker, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(OSError, match="down"):
                breaker.call(down)

    return fail_calls


@pytest.fixture
def rejected():
    """Tell whether a breaker rejects a call that would succeed."""

    def is_rejected(breaker: CircuitBreaker) -> bool:
        try:
            breaker.call(answer)
        except CircuitOpenError:
            return True
        return False

    return is_rejected
