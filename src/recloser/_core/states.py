"""The public name of a breaker's condition."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What a breaker does with a call at this moment. A member equals its string."""

    CLOSED = "closed"
    """Calls go through and are counted."""
    OPEN = "open"
    """Calls are rejected until the wait is over."""
    HALF_OPEN = "half_open"
    """A few probes go through; everybody else is rejected."""
    FORCED_OPEN = "forced_open"
    """Calls are rejected until somebody resets the breaker."""
    DISABLED = "disabled"
    """Calls go through; nothing is counted."""
    METRICS_ONLY = "metrics_only"
    """Calls go through and are counted; the breaker says when it would have tripped."""
