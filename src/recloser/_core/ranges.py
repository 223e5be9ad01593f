"""Checks of single numbers: every error shows the value and the rule it broke."""

from __future__ import annotations

import math

_LONGEST = 1e12  # beyond it clocks lose fractions, and jitter could reach infinity


def whole(name: str, value: object, minimum: int = 1) -> int:
    """Return `value` if it is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name} must be a whole number, got {value!r}"
        raise TypeError(msg)
    if value < minimum:
        msg = f"{name} must be at least {minimum}, got {value!r}"
        raise ValueError(msg)
    return value


def number(name: str, value: object) -> float:
    """Return `value` as a finite float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name} must be a number, got {value!r}"
        raise TypeError(msg)
    try:
        result = float(value)
    except OverflowError:  # a whole number beyond every float
        result = math.inf
    if not math.isfinite(result):
        msg = f"{name} must be finite, got {value!r}"
        raise ValueError(msg)
    return result


def at_least(name: str, value: object, minimum: float) -> float:
    """Return `value` as a finite float of at least `minimum`."""
    result = number(name, value)
    if result < minimum:
        msg = f"{name} must be at least {minimum:g}, got {value!r}"
        raise ValueError(msg)
    return result


def rate(name: str, value: object) -> float:
    """Return `value` as a fraction in (0, 1]."""
    result = number(name, value)
    if not 0 < result <= 1:
        hint = ""
        if 1 < result <= 100:  # noqa: PLR2004 - a percentage, most likely
            hint = f" (rates are fractions: did you mean {result / 100:g}?)"
        msg = f"{name} must be in (0, 1], got {value!r}{hint}"
        raise ValueError(msg)
    return result


def share(name: str, value: object) -> float:
    """Return `value` as a fraction in [0, 1)."""
    result = number(name, value)
    if not 0 <= result < 1:
        msg = f"{name} must be in [0, 1), got {value!r}"
        raise ValueError(msg)
    return result


def seconds(name: str, value: object) -> float:
    """Return a duration in seconds, > 0, from a number or a `timedelta`."""
    result = _in_seconds(name, value)
    if result <= 0:
        msg = f"{name} must be more than 0 seconds, got {value!r}"
        raise ValueError(msg)
    return result


def optional_seconds(name: str, value: object) -> float | None:
    """Return a duration as `seconds` does, or None for none."""
    return None if value is None else seconds(name, value)


def duration(name: str, value: object) -> float:
    """Return a duration in seconds, >= 0, from a number or a `timedelta`."""
    result = _in_seconds(name, value)
    if result < 0:
        msg = f"{name} must be at least 0 seconds, got {value!r}"
        raise ValueError(msg)
    return result


def _in_seconds(name: str, value: object) -> float:
    total = getattr(value, "total_seconds", None)
    try:
        result = number(name, total() if callable(total) else value)
    except TypeError:
        msg = f"{name} must be seconds or a timedelta, got {value!r}"
        raise TypeError(msg) from None
    if result > _LONGEST:
        msg = f"{name} must be at most {_LONGEST:g} seconds, got {value!r}"
        raise ValueError(msg)
    return result
