"""When to trip: rules over evidence, each naming its reason.

A rule is asked only after a call that can have made it true: failure rules after a
failure, slow rules after a slow call. So a fast success never trips a circuit
(resilience4j evaluates on success too, which surprised its users: its issue 1754).
"""

from __future__ import annotations

from .budgets import FalseTripBudget
from .rates import FailureRate, SlowCallRate
from .rule import AllOf, AnyOf, TripRule
from .streaks import ConsecutiveFailures

__all__ = [
    "AllOf",
    "AnyOf",
    "ConsecutiveFailures",
    "FailureRate",
    "FalseTripBudget",
    "SlowCallRate",
    "TripRule",
]
