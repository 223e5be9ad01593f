"""State kept in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import CircuitBreakerStorage

if TYPE_CHECKING:
    from datetime import datetime

    from ..state import CircuitBreakerState


class CircuitMemoryStorage(CircuitBreakerStorage):
    """Keeps everything in this process."""

    def __init__(self, state: CircuitBreakerState) -> None:
        """Start in `state`, with the counter at 0."""
        super().__init__("memory")
        self._fail_counter = 0
        self._opened_at: datetime | None = None
        self._state = state

    @property
    def state(self) -> CircuitBreakerState:
        """The state, a member of the enum."""
        return self._state

    @state.setter
    def state(self, state: CircuitBreakerState) -> None:
        self._state = state

    def increment_counter(self) -> None:
        """Count one more failure."""
        self._fail_counter += 1

    def reset_counter(self) -> None:
        """Set the failure counter to 0."""
        self._fail_counter = 0

    @property
    def counter(self) -> int:
        """Failures in a row."""
        return self._fail_counter

    @property
    def opened_at(self) -> datetime | None:
        """When the circuit was last opened; naive UTC if the breaker set it."""
        return self._opened_at

    @opened_at.setter
    def opened_at(self, opened_at: datetime) -> None:
        self._opened_at = opened_at
