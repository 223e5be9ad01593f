"""The state objects listeners get. They name a state; the machine decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import CircuitBreaker

STATE_OPEN = "open"
STATE_CLOSED = "closed"
STATE_HALF_OPEN = "half-open"


class CircuitBreakerState:
    """One stay of a breaker in one state."""

    def __init__(self, cb: CircuitBreaker, name: str) -> None:
        """Belong to `cb`."""
        self._breaker = cb
        self._name = name

    @property
    def name(self) -> str:
        """What the state is called: "closed", "open" or "half-open"."""
        return self._name

    def _tell(self, prev_state: CircuitBreakerState | None) -> None:
        for listener in self._breaker.listeners:
            listener.state_change(self._breaker, prev_state, self)


class CircuitClosedState(CircuitBreakerState):
    """Calls go through and are counted."""

    def __init__(
        self,
        cb: CircuitBreaker,
        prev_state: CircuitBreakerState | None = None,
        notify: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> None:
        """Tell the listeners of `cb` if asked to."""
        super().__init__(cb, STATE_CLOSED)
        if notify:
            self._tell(prev_state)


class CircuitOpenState(CircuitBreakerState):
    """Calls are rejected until the timeout is over."""

    def __init__(
        self,
        cb: CircuitBreaker,
        prev_state: CircuitBreakerState | None = None,
        notify: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> None:
        """Tell the listeners of `cb` if asked to."""
        super().__init__(cb, STATE_OPEN)
        if notify:
            self._tell(prev_state)


class CircuitHalfOpenState(CircuitBreakerState):
    """Trial calls go through, one at a time."""

    def __init__(
        self,
        cb: CircuitBreaker,
        prev_state: CircuitBreakerState | None,
        notify: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> None:
        """Tell the listeners of `cb` if asked to."""
        super().__init__(cb, STATE_HALF_OPEN)
        if notify:
            self._tell(prev_state)
