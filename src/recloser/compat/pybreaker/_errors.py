"""The error of this facade, and the sentences it can carry."""

from __future__ import annotations

from typing import Any, cast

from ... import CircuitOpenError, State

TRIPPED = "Failures threshold reached, circuit breaker opened"
TRIAL_FAILED = "Trial call failed, circuit breaker opened"
STILL_OPEN = "Timeout not elapsed yet, circuit breaker still open"


class CircuitBreakerError(CircuitOpenError):
    """The call was rejected, or it opened the circuit.

    Made and shown as the original's: `args` are what it was made with, and its text is
    theirs. Also a `recloser.CircuitOpenError`, with the facts that one has. Picklable.

    Attributes:
        name: The breaker's name, "" if it has none.
        state: open, or half_open where another call held the trial's place.
        retry_after: Seconds until a call may be let through, >= 0; None if this error
            was not made by a breaker.
        reason: Why the circuit opened.
        last_failure: The failure that opened it, if this process saw it.
    """

    name = ""
    state = State.OPEN
    retry_after = None
    reason = ""
    last_failure = None

    def __init__(self, *args: object) -> None:
        """Keep `args`, whatever they are."""

    def __str__(self) -> str:
        """Show `args` as any exception does."""
        return Exception.__str__(self)

    def __repr__(self) -> str:
        """Show `args` as any exception does."""
        return Exception.__repr__(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle `args` and the facts."""
        return cast("tuple[Any, ...]", Exception.__reduce__(self))  # never a string
