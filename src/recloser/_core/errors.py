"""What callers catch."""

from __future__ import annotations

from .hints import TYPE_CHECKING

from .states import State

if TYPE_CHECKING:
    from .outcomes import FailureInfo


class RecloserError(Exception):
    """Base of every error of this library. No breaker counts one as a failure."""


class CircuitOpenError(RecloserError):
    """The call was rejected: the circuit is open, forced open, or has no free probe place.

    A new object for every rejection; it holds no other exception and no frames.
    Picklable.

    Attributes:
        name: The breaker's name.
        state: What the breaker was in: open, half_open or forced_open.
        retry_after: Seconds until a call may be admitted, >= 0. In half-open an upper
            bound: the time until the first lease ends. None only when forced open.
        reason: Why the circuit opened, as one sentence with its figures.
        last_failure: The failure that opened it, or None if an operator did.
    """

    def __init__(
        self,
        name: str,
        state: State = State.OPEN,
        retry_after: float | None = None,
        reason: str = "",
        last_failure: FailureInfo | None = None,
    ) -> None:
        """Keep the facts; the text is made when somebody prints it."""
        self.name = name
        self.state = state
        self.retry_after = retry_after
        self.reason = reason
        self.last_failure = last_failure

    def __str__(self) -> str:
        """Say what happened, to which breaker, and when to come back."""
        state = str(self.state).replace("_", "-")
        why = f" ({self.reason})" if self.reason else ""
        if self.retry_after is None:
            return f"{self.name!r} is {state}{why}: reset it to let calls through"
        return f"{self.name!r} is {state}{why}: retry in {self.retry_after:.3g} s"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the facts."""
        facts = (self.name, self.state, self.retry_after, self.reason, self.last_failure)
        return type(self), facts


class PermitError(RecloserError):
    """A permit was settled twice: a bug in the calling code."""


class SharingError(RecloserError):
    """A link's own trouble, raised only where the user asked to be told."""


class ShapeError(RecloserError, TypeError):
    """A guarded function returned something that has not run yet, such as a coroutine."""
