"""How durations, shares and numbers are said to people."""

from __future__ import annotations

_MINUTES_FROM = 100.0


def in_words(seconds: float) -> str:
    """Return a duration in seconds, with as many digits as a person reads."""
    return f"{seconds:.3g} s" if seconds < _MINUTES_FROM else f"{seconds:.0f} s"


def percent(share: float) -> str:
    """Return a fraction as a percentage, with as many digits as a person reads."""
    return f"{100 * share:.3g} %"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number of things: "1 failure", "2 failures"."""
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"
