"""Where the state of a circuit is kept."""

from __future__ import annotations

from .memory import CircuitMemoryStorage
from .redis import CircuitRedisStorage

__all__ = ["CircuitMemoryStorage", "CircuitRedisStorage"]
