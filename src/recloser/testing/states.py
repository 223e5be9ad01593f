"""Breakers in the state that a test wants."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from .._core.states import State
from .._runtime.breaker import CircuitBreaker
from .._runtime.registry import default_registry
from .._runtime.switch import hold_off, is_disabled

if TYPE_CHECKING:
    from collections.abc import Generator


def force(breaker: CircuitBreaker, state: State) -> None:
    """Put a breaker into any state, at the beginning of a fresh period.

    Open begins its wait; half-open begins a round with all places free.

    Args:
        breaker: The breaker.
        state: Any state, half_open too.

    Raises:
        TypeError: It is no breaker.
        ValueError: It is no state.
    """
    if not isinstance(cast("object", breaker), CircuitBreaker):
        msg = f"breaker must be a CircuitBreaker, got {breaker!r}"
        raise TypeError(msg)
    breaker._circuit.enter(State(state))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what the public API keeps from production


@contextmanager
def disabled() -> Generator[None]:
    """Let every call through: living breakers of the default registry, and new ones.

    At the end those made before are reset, and so are those of the default registry that
    were made inside, unless something else still holds them disabled: an enclosing
    block, or RECLOSER_DISABLED. A breaker of no registry that was made inside stays
    disabled.
    """
    living = list(default_registry)
    hold_off(+1)
    for breaker in living:
        breaker.disable()
    try:
        yield
    finally:
        hold_off(-1)
        if not is_disabled():
            made = (b for b in default_registry if b.state is State.DISABLED)
            for breaker in dict.fromkeys((*living, *made)):
                breaker.reset()
