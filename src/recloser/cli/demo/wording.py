"""How times and changes are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .records import Change

_FORMS = (
    (9.995, 1.0, ".1f", "s"),
    (0.9995, 1.0, ".2f", "s"),
    (9.995e-4, 1e-3, ".0f", "ms"),
)
"""From which time on, what one unit is, how many decimals, and its name.

Each begins where the one below would round up to its own first figure.
"""


def duration(seconds: float | None) -> str:
    """Return a time as people write it; a dash for one that was not measured."""
    if seconds is None:
        return "-"
    for least, unit, decimals, name in _FORMS:
        if seconds >= least:
            return f"{seconds / unit:{decimals}} {name}"
    return f"{seconds * 1e6:.0f} µs" if seconds else "0 s"


def state_name(state: str) -> str:
    """Return a state as prose has it."""
    return state.replace("_", "-")


def state_change(change: Change) -> str:
    """Return a change of state, with the reason if it opened the circuit.

    A half-open circuit still has the reason for which it was opened; it is not why the
    circuit went half-open.
    """
    why = f": {change.reason}" if change.after == "open" else ""
    return f"{state_name(change.before)} → {state_name(change.after)}{why}"
