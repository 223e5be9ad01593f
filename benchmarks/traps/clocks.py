"""Time that passes when a story says so, for libraries that bring their own clocks.

`install` has to run before any library is imported, as many keep what they import.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

_wall = 0.0
_steady = 0.0


def install() -> None:
    """Put clocks that can be moved in the places where libraries look for one."""
    real_time, real_monotonic = time.time, time.monotonic
    real_counter, real_datetime = time.perf_counter, dt.datetime

    class MovedDatetime(real_datetime):
        """A datetime whose present can be moved."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real_datetime.now(tz) + dt.timedelta(seconds=_wall)

        @classmethod
        def utcnow(cls) -> Any:
            present = real_datetime.now(dt.UTC).replace(tzinfo=None)
            return present + dt.timedelta(seconds=_wall)

    time.time = lambda: real_time() + _wall
    time.monotonic = lambda: real_monotonic() + _steady
    time.perf_counter = lambda: real_counter() + _steady
    dt.datetime = MovedDatetime  # type: ignore[misc]


def advance(seconds: float) -> None:
    """Let time pass, on every clock."""
    global _steady  # noqa: PLW0603 - there is one time
    _steady += seconds
    step_wall(seconds)


def step_wall(seconds: float) -> None:
    """Step the wall clock alone, as an operator or a time server does."""
    global _wall  # noqa: PLW0603 - there is one time
    _wall += seconds
