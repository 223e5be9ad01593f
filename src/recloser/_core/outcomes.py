"""How one call ended."""

from __future__ import annotations

from enum import Enum
from .hints import NamedTuple

from .values import Value


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


class Outcome(NamedTuple):
    """One settled call, as the rules see it."""

    kind: Kind
    slow: bool = False
    """The call took at least the breaker's `slower_than`."""
    cause: FailureInfo | None = None
    """What failed, for a failure."""
    retry_after: float | None = None
    """The server's hint, in seconds, or None."""
    cancelled: bool = False
    """The call ended by cancellation; always neutral."""
