"""The error of this facade, and the sentences it can carry."""

from __future__ import annotations

from .._facts import FactsError

TRIPPED = "Failures threshold reached, circuit breaker opened"
TRIAL_FAILED = "Trial call failed, circuit breaker opened"
STILL_OPEN = "Timeout not elapsed yet, circuit breaker still open"


class CircuitBreakerError(FactsError):
    """The call was rejected, or it opened the circuit; then `__context__` is its error.

    Made and shown as the original's. Also a `recloser.CircuitOpenError`, with the facts
    that one has. Picklable.

    Attributes:
        name: The breaker's name, "" if it has none.
        state: open, or half_open where another call held the trial's place.
        retry_after: Seconds until a call may be let through, >= 0; None if this error
            was not made by a breaker.
        reason: Why the circuit opened.
        last_failure: The failure that opened it, if this process saw it.
    """
