"""Who is told what happens to calls and circuits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .circuitbreaker import CircuitBreaker
    from .state import CircuitBreakerBaseState


class CircuitBreakerListener:
    """Override what you want to hear. Called under the breaker's lock: be brief.

    An error raised here reaches the caller of the guarded function; raised while the
    state changes it also stops that change.
    """

    def before_call(
        self,
        breaker: CircuitBreaker,
        func: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """A call was let through and is about to run."""

    def failure(self, breaker: CircuitBreaker, exception: Exception) -> None:
        """A call failed. Also told of results too late to be counted."""

    def success(self, breaker: CircuitBreaker) -> None:
        """A call succeeded. Also told of results too late to be counted."""

    def state_change(
        self,
        breaker: CircuitBreaker,
        old: CircuitBreakerBaseState | None,
        new: CircuitBreakerBaseState,
    ) -> None:
        """The state is about to change; `breaker.current_state` is still the old one."""
