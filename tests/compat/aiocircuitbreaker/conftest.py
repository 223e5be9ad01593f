from __future__ import annotations

import pytest

from recloser.compat.aiocircuitbreaker import aiocircuitbreaker
from tests.compat.still_clock import StillClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StillClock:
    clock = StillClock()
    clock.replace_clocks_of(aiocircuitbreaker, patch=monkeypatch)
    return clock
