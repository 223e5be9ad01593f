"""Errors made and shown as an original's, that carry the facts of ours as well."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from .. import CircuitOpenError, State

if TYPE_CHECKING:
    from .. import FailureInfo

Facts = tuple[
    "str | None", State, "float | timedelta | None", str, "FailureInfo | None"
]
"""Name, state, time left, reason and last failure, as the breaker has them at hand."""


class FactsError(CircuitOpenError):
    """An error whose `args`, text and repr are those of any exception.

    The facts are kept in one piece and looked at only when asked for, because making
    the error is most of the cost of a rejection.
    """

    facts: Facts = (None, State.OPEN, None, "", None)

    if not TYPE_CHECKING:  # there they are what the parent says
        name = property(lambda self: self.facts[0] or "")
        state = property(lambda self: self.facts[1])
        retry_after = property(lambda self: _seconds(self.facts[2]))
        reason = property(lambda self: self.facts[3])
        last_failure = property(lambda self: self.facts[4])

    def __init__(self, *args: object) -> None:
        """Keep `args`, whatever they are."""

    def __str__(self) -> str:
        """Show `args` as any exception does."""
        return Exception.__str__(self)

    def __repr__(self) -> str:
        """Show `args` as any exception does."""
        return Exception.__repr__(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle `args` and the facts."""
        return cast("tuple[Any, ...]", Exception.__reduce__(self))  # never a string


def _seconds(left: float | timedelta | None) -> float | None:
    return left.total_seconds() if isinstance(left, timedelta) else left
