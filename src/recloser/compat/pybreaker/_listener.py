"""Who is told what happens to calls and circuits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import CircuitBreaker
    from ._states import CircuitBreakerState


class CircuitBreakerListener:
    """Override what you want to hear. Called under the breaker's lock: be brief.

    An error raised here reaches the caller of the guarded function; raised while the
    state changes it also stops that change.
    """

    def before_call(
        self, cb: CircuitBreaker, func: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """A call was let through and is about to run."""

    def failure(self, cb: CircuitBreaker, exc: BaseException) -> None:
        """A call failed. Also told of results too late to be counted."""

    def success(self, cb: CircuitBreaker) -> None:
        """A call succeeded. Also told of results too late to be counted."""

    def state_change(
        self,
        cb: CircuitBreaker,
        old_state: CircuitBreakerState | None,
        new_state: CircuitBreakerState,
    ) -> None:
        """The state is about to change; `cb.current_state` is still the old one."""
