"""Where the state is kept: the base for storages of one's own, and memory."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class CircuitBreakerStorage:
    """State, two counters and the opening time of one circuit.

    Derive from it and override everything but `name`; what is not overridden does
    nothing and gives None. A breaker calls it under its lock, a storage shared by
    several breakers must guard itself.
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
    def state(self) -> str:
        """One of "closed", "open" and "half-open"."""

    @state.setter
    @abstractmethod
    def state(self, state: str) -> None: ...

    @abstractmethod
    def increment_counter(self) -> None:
        """Count one more failure."""

    @abstractmethod
    def reset_counter(self) -> None:
        """Set the failure counter to 0."""

    @abstractmethod
    def increment_success_counter(self) -> None:
        """Count one more success in half-open."""

    @abstractmethod
    def reset_success_counter(self) -> None:
        """Set the success counter to 0."""

    @property
    @abstractmethod
    def counter(self) -> int:
        """Failures in a row."""

    @property
    @abstractmethod
    def success_counter(self) -> int:
        """Successes in a row in half-open."""

    @property
    @abstractmethod
    def opened_at(self) -> datetime | None:
        """When the circuit was last opened, as an aware UTC time, or None."""

    @opened_at.setter
    @abstractmethod
    def opened_at(self, opened_at: datetime) -> None: ...


class CircuitMemoryStorage(CircuitBreakerStorage):
    """Keeps everything in this process."""

    def __init__(self, state: str) -> None:
        """Start in `state`, unchecked, with both counters at 0."""
        super().__init__("memory")
        self._fail_counter = 0
        self._success_counter = 0
        self._opened_at: datetime | None = None
        self._state = state

    @property
    def state(self) -> str:
        """One of "closed", "open" and "half-open"."""
        return self._state

    @state.setter
    def state(self, state: str) -> None:
        self._state = state

    def increment_counter(self) -> None:
        """Count one more failure."""
        self._fail_counter += 1

    def reset_counter(self) -> None:
        """Set the failure counter to 0."""
        self._fail_counter = 0

    def increment_success_counter(self) -> None:
        """Count one more success in half-open."""
        self._success_counter += 1

    def reset_success_counter(self) -> None:
        """Set the success counter to 0."""
        self._success_counter = 0

    @property
    def counter(self) -> int:
        """Failures in a row."""
        return self._fail_counter

    @property
    def success_counter(self) -> int:
        """Successes in a row in half-open."""
        return self._success_counter

    @property
    def opened_at(self) -> datetime | None:
        """When the circuit was last opened; aware UTC if the breaker set it."""
        return self._opened_at

    @opened_at.setter
    def opened_at(self, opened_at: datetime) -> None:
        self._opened_at = opened_at
