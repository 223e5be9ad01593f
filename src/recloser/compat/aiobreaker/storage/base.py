"""The base for storages of one's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ..state import CircuitBreakerState


class CircuitBreakerStorage(ABC):
    """State, failure counter and opening time of one circuit.

    A breaker calls it under its lock; a storage shared by several breakers must guard
    itself.
    """

    def __init__(self, name: str) -> None:
        """Be called `name`."""
        self._name = name

    @property
    def name(self) -> str:
        """What this kind of storage is called."""
        return self._name

    @property
    @abstractmethod
    def state(self) -> CircuitBreakerState:
        """The state, a member of the enum."""

    @state.setter
    @abstractmethod
    def state(self, state: CircuitBreakerState) -> None: ...

    @abstractmethod
    def increment_counter(self) -> None:
        """Count one more failure."""

    @abstractmethod
    def reset_counter(self) -> None:
        """Set the failure counter to 0."""

    @property
    @abstractmethod
    def counter(self) -> int:
        """Failures in a row."""

    @property
    @abstractmethod
    def opened_at(self) -> datetime | None:
        """When the circuit was last opened, as a naive UTC time, or None."""

    @opened_at.setter
    @abstractmethod
    def opened_at(self, opened_at: datetime) -> None: ...
