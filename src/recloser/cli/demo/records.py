"""What a run leaves behind: calls, visits, changes of state. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from .story import Act, Story


class Client(StrEnum):
    """Who calls."""

    UNGUARDED = "unguarded"
    GUARDED = "guarded"


class Ending(StrEnum):
    """How one call ended, as its caller saw it."""

    OK = "answered"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, measured by its caller, in seconds of the run."""

    client: Client
    began: float
    ended: float
    ending: Ending

    @property
    def took(self) -> float:
        """Seconds the caller waited."""
        return self.ended - self.began


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request that reached the service, measured by the service."""

    client: Client
    act: Act
    came: float
    left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the breaker's state, as its event told."""

    at: float
    before: str
    after: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Recording:
    """One run: what was given, and everything it measured.

    Shared by all threads of the run while it lasts: they only append, which is one
    atomic step of a list; readers take a copy first.

    Attributes:
        story: The script.
        seed: Settles chances and pauses.
        elapsed: The clock of the run: seconds since it began.
    """

    story: Story
    seed: int
    elapsed: Callable[[], float]
    calls: list[Call] = field(default_factory=list[Call])
    visits: list[Visit] = field(default_factory=list[Visit])
    changes: list[Change] = field(default_factory=list[Change])
