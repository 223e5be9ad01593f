"""The error, the state objects, and the enum whose values are their classes."""

from __future__ import annotations

import asyncio
from abc import ABC
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from .._facts import FactsError

if TYPE_CHECKING:
    from .circuitbreaker import CircuitBreaker


class CircuitBreakerError(FactsError):
    """The call was rejected, or it opened the circuit; then `__cause__` is its error.

    Made and shown as the original's. Also a `recloser.CircuitOpenError`, with the facts
    that one has. Picklable.

    Attributes:
        message: What happened.
        reopen_time: When a call may be let through, as a naive UTC time, or None.
        name: The breaker's name, "" if it has none.
        state: open, or half_open where another call held the trial's place.
        retry_after: Seconds until a call may be let through, >= 0; None if this error
            was not made by a breaker.
        reason: Why the circuit opened.
        last_failure: The failure that opened it, if this process saw it.
    """

    def __init__(self, message: str, reopen_time: datetime | None) -> None:
        """Keep both; they are the `args`, too."""
        self.message = message
        self.reopen_time = reopen_time

    @property
    def time_remaining(self) -> timedelta | None:
        """Time from now to `reopen_time`, negative once past; None if there is none."""
        if self.reopen_time is None:
            return None
        return self.reopen_time - _utc_now()

    async def sleep_until_open(self) -> None:
        """Sleep until `reopen_time`; not at all once past, or if there is none."""
        remaining = self.time_remaining
        if remaining is not None:
            await asyncio.sleep(remaining.total_seconds())


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class CircuitBreakerBaseState(ABC):  # noqa: B024  as the original: nothing to override
    """One stay of a breaker in one state. It names the state; the machine decides."""

    def __init__(self, breaker: CircuitBreaker, state: CircuitBreakerState) -> None:
        """Belong to `breaker`."""
        self._breaker = breaker
        self._state = state

    @property
    def state(self) -> CircuitBreakerState:
        """Which state this is: a member of the enum."""
        return self._state

    def _tell(self, prev_state: CircuitBreakerBaseState | None) -> None:
        for listener in self._breaker.listeners:
            listener.state_change(self._breaker, prev_state, self)


class CircuitClosedState(CircuitBreakerBaseState):
    """Calls go through and are counted."""

    def __init__(
        self,
        breaker: CircuitBreaker,
        prev_state: CircuitBreakerBaseState | None = None,
        notify: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> None:
        """Tell the listeners of `breaker` if asked to."""
        super().__init__(breaker, CircuitBreakerState.CLOSED)
        if notify:
            self._tell(prev_state)


class CircuitOpenState(CircuitBreakerBaseState):
    """Calls are rejected until the timeout is over."""

    def __init__(
        self,
        breaker: CircuitBreaker,
        prev_state: CircuitBreakerBaseState | None = None,
        notify: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> None:
        """Tell the listeners of `breaker` if asked to."""
        super().__init__(breaker, CircuitBreakerState.OPEN)
        if notify:
            self._tell(prev_state)


class CircuitHalfOpenState(CircuitBreakerBaseState):
    """Trial calls go through, one at a time."""

    def __init__(
        self,
        breaker: CircuitBreaker,
        prev_state: CircuitBreakerBaseState | None = None,
        notify: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> None:
        """Tell the listeners of `breaker` if asked to."""
        super().__init__(breaker, CircuitBreakerState.HALF_OPEN)
        if notify:
            self._tell(prev_state)


class CircuitBreakerState(Enum):
    """The states; the value of each is the class of its state objects."""

    OPEN = CircuitOpenState
    CLOSED = CircuitClosedState
    HALF_OPEN = CircuitHalfOpenState
