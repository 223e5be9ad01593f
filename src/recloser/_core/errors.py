"""What callers catch."""

from __future__ import annotations

from .durations import in_words
from .hints import TYPE_CHECKING, Any
from .states import State

if TYPE_CHECKING:
    from .outcomes import FailureInfo


class RecloserError(Exception):
    """Base of every error of this library. No breaker counts one as a failure."""


class _Fact:
    """An attribute that is kept in `args`, so that a rejection costs one C call to make.

    Assigning to it on an instance works as for any attribute.
    """

    def __init__(self, position: int, default: object) -> None:
        """Read `args[position]`."""
        self._position = position
        self._default = default

    def __get__(
        self, error: CircuitOpenError | None, owner: type
    ) -> Any:  # the fact's own type
        """Return the fact."""
        if error is None:
            return self
        args = error.args
        return args[self._position] if len(args) > self._position else self._default


class CircuitOpenError(RecloserError):
    """The call was rejected: the circuit is open, forced open, or has no free probe place.

    A new object for every rejection; it holds no other exception and no frames.
    Picklable.

    Attributes:
        name: The breaker's name.
        state: What the breaker was in: open, half_open or forced_open.
        retry_after: Seconds until a call may be admitted, >= 0. In half-open an upper
            bound: the time until the first lease ends; while a share of the calls goes
            through, until the share is looked at again. None only when forced open.
        reason: Why the circuit opened, as one sentence with its figures.
        last_failure: The failure that opened it, or None if an operator did.
    """

    if TYPE_CHECKING:
        name: str
        state: State
        retry_after: float | None
        reason: str
        last_failure: FailureInfo | None
    else:
        name = _Fact(0, "")
        state = _Fact(1, State.OPEN)
        retry_after = _Fact(2, None)
        reason = _Fact(3, "")
        last_failure = _Fact(4, None)

    def __init__(
        self,
        name: str,
        state: State = State.OPEN,
        retry_after: float | None = None,
        reason: str = "",
        last_failure: FailureInfo | None = None,
    ) -> None:
        """Keep the facts; the text is made when somebody prints it."""
        self.args: tuple[Any, ...] = (name, state, retry_after, reason, last_failure)

    def __str__(self) -> str:
        """Say what happened, to which breaker, and when to come back."""
        state = str(self.state).replace("_", "-")
        why = f" ({self.reason})" if self.reason else ""
        if self.retry_after is None:
            return f"{self.name!r} is {state}{why}: reset it to let calls through"
        return f"{self.name!r} is {state}{why}: retry in {in_words(self.retry_after)}"

    def __repr__(self) -> str:
        """Show the facts, without the failure's text."""
        facts = f"{self.name!r}, {str(self.state)!r}, retry_after={self.retry_after!r}"
        return f"{type(self).__name__}({facts}, reason={self.reason!r})"


def rejection(
    name: str,
    state: State,
    retry_after: float | None,
    reason: str,
    last_failure: FailureInfo | None,
) -> CircuitOpenError:
    """Return the error for one rejected call, made in one C call."""
    new = CircuitOpenError.__new__
    return new(CircuitOpenError, name, state, retry_after, reason, last_failure)


class PermitError(RecloserError):
    """A permit was settled twice: a bug in the calling code."""


class SharingError(RecloserError):
    """A link's own trouble, raised only where the user asked to be told."""


class ShapeError(RecloserError, TypeError):
    """A guarded function returned something that has not run yet, such as a coroutine."""
