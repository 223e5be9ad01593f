"""aiobreaker's names on a small machine of this facade's own (`compat/_machine.py`).

    from recloser.compat import aiobreaker

One call at a time it does what aiobreaker 1.2.0 does; aiobreaker need not be installed.
What gets better by the switch:

1. Half-open lets one trial through at a time, not all that come, and a trial that hangs
   or is dropped frees its place. `bound_trials=False` lets all through again.
2. Results that come too late no longer open or close the circuit, and threads may share
   a breaker with each other and with event loops.
3. The times agree with each other in every time zone, and are None where there is no
   time, instead of a TypeError. A vanished Redis key no longer breaks every call.

Every difference is listed in docs/migrating/aiobreaker.md.
"""

from __future__ import annotations

from . import storage
from . import version as version
from .circuitbreaker import CircuitBreaker
from .listener import CircuitBreakerListener
from .state import CircuitBreakerError, CircuitBreakerState

__all__ = [
    "CircuitBreaker",
    "CircuitBreakerError",
    "CircuitBreakerListener",
    "CircuitBreakerState",
    "storage",
]
