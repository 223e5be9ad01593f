"""The API of aiocircuitbreaker 2.0: everything is in the module of the same name.

See `aiocircuitbreaker.aiocircuitbreaker` for what gets better by the switch and for every
difference. It stands on a small machine of its own, not on the core's.
"""

from __future__ import annotations

from .aiocircuitbreaker import CircuitBreaker, CircuitBreakerError, State, circuit

__all__ = ["CircuitBreaker", "CircuitBreakerError", "State", "circuit"]
