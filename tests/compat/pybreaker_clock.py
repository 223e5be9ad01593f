"""A wall clock that only moves when told, for a module that asks `datetime`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

START = datetime(2030, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)


class WallClock:
    """What time it is. `datetime` is the class to put in the module's namespace."""

    def __init__(self) -> None:
        self.now = START
        clock = self

        class Stopped(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                at = clock.now if tz else clock.now.replace(tzinfo=None)
                return cls.combine(at.date(), at.timetz())

            @classmethod
            def utcnow(cls) -> Self:
                return cls.now()

        self.datetime = Stopped

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
