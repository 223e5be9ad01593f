"""Finding a rejection behind the error that somebody made of it."""

from __future__ import annotations

from .. import CircuitOpenError


def rejection_in(error: BaseException | None) -> CircuitOpenError | None:
    """Return the rejection that an error is, or was raised from (`raise ... from`)."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, CircuitOpenError):
            return error
        seen.add(id(error))
        error = error.__cause__
    return None


def is_rejected(error: BaseException) -> bool:
    """Tell whether an error is a rejection, or was raised from one."""
    return rejection_in(error) is not None


def pause(error: BaseException, longest: float | None) -> float | None:
    """Return how long to wait before a rejected call is tried again, or None: never."""
    rejection = rejection_in(error)
    if rejection is None or longest is None or rejection.retry_after is None:
        return None
    return rejection.retry_after if rejection.retry_after <= longest else None


def longest_wait(value: object) -> float | None:
    """Check the option: seconds, or None for never.

    Raises:
        TypeError, ValueError: It is no number of seconds, or not more than 0.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"longest_wait must be seconds, got {value!r}"
        raise TypeError(msg)
    if not value > 0:
        msg = f"longest_wait must be more than 0 seconds, got {value!r}"
        raise ValueError(msg)
    return value
