"""The switch for whole suites: with RECLOSER_DISABLED=1 every new breaker is disabled."""

from __future__ import annotations

import os
from functools import cache

_OFF = {"", "0", "false", "no", "off"}


def is_disabled() -> bool:
    """Tell whether breakers are to begin disabled."""
    return _held_off[0] > 0 or _environment_says_so()


_held_off = [0]


def hold_off(change: int) -> None:
    """Count who wants new breakers disabled, from our testing kit."""
    _held_off[0] += change


@cache
def _environment_says_so() -> bool:
    """Read the environment once, at first use, and log what it did."""
    if os.environ.get("RECLOSER_DISABLED", "").strip().lower() in _OFF:
        return False
    import logging  # here, so that importing the package does not

    logging.getLogger("recloser").warning(
        "RECLOSER_DISABLED is set: every breaker begins disabled"
    )
    return True
