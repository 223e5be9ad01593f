"""All clocks of a module in one, which only moves when told."""

from __future__ import annotations

import datetime as dt
import time
from types import ModuleType
from typing import Self

import pytest

START = dt.datetime(2030, 1, 2, 3, 4, 5, 250_000, tzinfo=dt.UTC)


class StillClock:
    """Stands in for `time.monotonic` and for the class `datetime`."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall_is_ahead = 0.0
        clock = self

        class Still(dt.datetime):
            @classmethod
            def now(cls, tz: dt.tzinfo | None = None) -> Self:
                since = dt.timedelta(seconds=clock.seconds + clock.wall_is_ahead)
                at = START + since
                return cls.combine(at.date(), at.timetz() if tz else at.time())

            @classmethod
            def utcnow(cls) -> Self:
                return cls.now()

        self.datetime = Still

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def set_wall_clock(self, ahead: float) -> None:
        """Let the time of day differ from the steady clock by so many seconds."""
        self.wall_is_ahead = ahead

    def replace_clocks_of(
        self, *modules: ModuleType, patch: pytest.MonkeyPatch
    ) -> None:
        """Put this clock wherever the modules have the real ones, under any name."""
        for module in modules:
            for name, value in list(vars(module).items()):
                if value is time.monotonic:
                    patch.setattr(module, name, self.monotonic)
                elif value is dt.datetime:
                    patch.setattr(module, name, self.datetime)
