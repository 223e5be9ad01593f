from __future__ import annotations

import pytest

from recloser.compat import circuitbreaker
from tests.compat.still_clock import StillClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StillClock:
    clock = StillClock()
    clock.replace_clocks_of(circuitbreaker, patch=monkeypatch)
    return clock


@pytest.fixture(autouse=True)
def empty_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = circuitbreaker.CircuitBreakerMonitor
    monkeypatch.setattr(monitor, "circuit_breakers", {})
