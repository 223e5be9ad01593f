"""Checks of the numbers that listeners take. Listeners use public names only."""

from __future__ import annotations

import math
from datetime import timedelta


def whole(name: str, value: object) -> int:
    """Return `value` if it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name} must be a whole number, got {value!r}"
        raise TypeError(msg)
    if value < 1:
        msg = f"{name} must be at least 1, got {value!r}"
        raise ValueError(msg)
    return value


def seconds(name: str, value: object) -> float:
    """Return a finite duration in seconds, > 0, from a number or a `timedelta`."""
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(given, bool) or not isinstance(given, int | float):
        msg = f"{name} must be a number, got {value!r}"
        raise TypeError(msg)
    if not math.isfinite(given):
        msg = f"{name} must be finite, got {value!r}"
        raise ValueError(msg)
    if given <= 0:
        msg = f"{name} must be more than 0 seconds, got {value!r}"
        raise ValueError(msg)
    return float(given)
