"""Rejections that cost no more than the originals': their facts are made when asked for.

Our own error sets five attributes at once; the originals set one or none, and a rejection
has to be as fast as theirs. So these keep a tuple, in a slot, and unfold it on demand.
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from typing import Any

from .. import CircuitOpenError, FailureInfo, State
from .._core.durations import counted

_MESSAGE_LIMIT = 200  # characters, as in the core's own errors

Facts = tuple[str, Any, float, int, FailureInfo | None]
"""Name, state, seconds of the wait left, failures in a row, and the last one.

The state is one of ours, or what a facade stores: then "open" with no wait left was
half-open.
"""

NO_FACTS: Facts = "", State.OPEN, 0.0, 0, None


class RejectionError(CircuitOpenError):
    """Base of the facades' errors that must be fast."""

    __slots__ = ("_facts",)

    _facts: Facts

    @cached_property
    def name(self) -> str:  # type: ignore[override]  # settable, as in the base
        """The breaker's name, "" if it has none."""
        return self._facts[0]

    @cached_property
    def state(self) -> State:  # type: ignore[override]  # settable, as in the base
        """What the breaker was in."""
        _, stored, left, _, _ = self._facts
        if isinstance(stored, State):
            return stored
        word = stored.value if isinstance(stored, Enum) else stored
        return State.HALF_OPEN if word == "open" and left <= 0 else State(word)

    @cached_property
    def retry_after(self) -> float:  # type: ignore[override]  # settable, as above
        """Seconds until a call may be admitted, >= 0."""
        return max(self._facts[2], 0.0)

    @cached_property
    def reason(self) -> str:  # type: ignore[override]  # settable, as in the base
        """Why the circuit opened, "" if it was opened from outside."""
        failures = self._facts[3]
        return f"{counted(failures, 'failure')} in a row" if failures else ""

    @cached_property
    def last_failure(self) -> FailureInfo | None:  # type: ignore[override]  # as above
        """The failure that opened it, or None where that is not known."""
        return self._facts[4]


def described(error: BaseException, at: float) -> FailureInfo:
    """Return what is remembered of an exception that was raised at `at`."""
    try:
        message = str(error)[:_MESSAGE_LIMIT]
    except Exception:  # noqa: BLE001 - somebody's __str__ must not replace their error
        message = ""
    return FailureInfo(type=type(error).__name__, message=message, at=at)
