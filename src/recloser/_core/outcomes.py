"""How one call ended."""

from __future__ import annotations

from enum import Enum

from .values import Passing, Value


class FailureInfo(Value):
    """What is remembered of a failed call. It keeps no exception, hence no frames.

    Attributes:
        type: Name of the exception's class, or of the type of a failing result.
        message: Its text, cut at 200 characters. It may hold secrets: show it to
            people, not to callers. No error of ours prints it.
        at: When the call ended, in seconds of the breaker's clock.
    """

    type: str
    message: str
    at: float

    def __init__(self, type: str, message: str, at: float) -> None:  # noqa: A002 - its name
        """Keep the three; made at every failure, hence by hand."""
        values = self.__dict__
        values["type"] = type
        values["message"] = message
        values["at"] = at


class Kind(Enum):
    """What a call says about the dependency."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


class Outcome(Passing):
    """One settled call, as the rules see it.

    Attributes:
        kind: What it says about the dependency.
        slow: The call took at least the breaker's `slower_than`.
        cause: What failed, for a failure.
        retry_after: The server's hint, in seconds, or None.
        cancelled: The call ended by cancellation; always neutral.
    """

    __slots__ = ("cancelled", "cause", "kind", "retry_after", "slow")

    def __init__(
        self,
        kind: Kind,
        slow: bool = False,  # noqa: FBT001, FBT002 - made by position, for speed
        cause: FailureInfo | None = None,
        retry_after: float | None = None,
        cancelled: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Keep the facts."""
        self.kind: Kind = kind
        self.slow: bool = slow
        self.cause: FailureInfo | None = cause
        self.retry_after: float | None = retry_after
        self.cancelled: bool = cancelled

    def counted(self) -> Outcome:
        """Return the same outcome of a call whose slowness was counted before."""
        return Outcome(
            self.kind,
            cause=self.cause,
            retry_after=self.retry_after,
            cancelled=self.cancelled,
        )

    def slowed(self) -> Outcome:
        """Return the same outcome of a slow call."""
        return Outcome(self.kind, True, self.cause, self.retry_after, self.cancelled)  # noqa: FBT003
