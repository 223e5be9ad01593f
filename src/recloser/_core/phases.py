"""What can be: one frozen type per state, with only what exists in that state.

A process has one phase per breaker. Its epoch is its identity: it grows by one with
each change of state, and an outcome that was admitted in another epoch is late.
"""

from __future__ import annotations

from enum import Enum, StrEnum

from .hints import ClassVar, NamedTuple
from .outcomes import FailureInfo
from .states import State
from .values import Struct
from .windows import Evidence


class Origin(StrEnum):
    """Who decided a phase."""

    HERE = "here"
    HOST = "host"
    FLEET = "fleet"


class Place(NamedTuple):
    """A probe in flight: it holds a place of its round until its lease ends."""

    number: int
    until: float


class Admission(NamedTuple):
    """The right to make one call: the epoch it was given in, and a probe's place."""

    epoch: int
    place: int | None = None


class Closed(Struct):
    """Calls go through."""

    state: ClassVar[State] = State.CLOSED
    epoch: int
    since: float
    trips: int = 0
    """Trips in a row before this period, as far as recovery remembers them."""


class Open(Struct):
    """Calls are rejected until the wait is over."""

    state: ClassVar[State] = State.OPEN
    epoch: int
    since: float
    until: float
    trips: int
    reason: str
    failure: FailureInfo | None = None
    evidence: Evidence | None = None
    origin: Origin = Origin.HERE


class HalfOpen(Struct):
    """One round of probes. Closing needs `Policy.probes` successes."""

    state: ClassVar[State] = State.HALF_OPEN
    epoch: int
    since: float
    trips: int
    reason: str
    failure: FailureInfo | None = None
    evidence: Evidence | None = None
    origin: Origin = Origin.HERE
    successes: int = 0
    issued: int = 0
    """Places given out in this round; numbers run from 1."""
    places: tuple[Place, ...] = ()
    """Probes that hold a place."""
    lost: int = 0
    """Probes whose lease ended and whose outcome has not come."""


class ForcedOpen(Struct):
    """Calls are rejected until somebody resets."""

    state: ClassVar[State] = State.FORCED_OPEN
    epoch: int
    since: float
    reason: str = "held open by hand"
    origin: Origin = Origin.HERE


class Disabled(Struct):
    """Calls go through and count for nothing."""

    state: ClassVar[State] = State.DISABLED
    epoch: int
    since: float
    origin: Origin = Origin.HERE


class Observing(Struct):
    """Calls go through and are counted; what would have happened is noted."""

    state: ClassVar[State] = State.METRICS_ONLY
    epoch: int
    since: float
    trips: int = 0
    """How often the circuit would have opened."""
    until: float | None = None
    """End of the wait after the last of those, or None before the first."""
    reason: str = ""
    failure: FailureInfo | None = None
    evidence: Evidence | None = None


Phase = Closed | Open | HalfOpen | ForcedOpen | Disabled | Observing


class Command(Enum):
    """What an operator can ask for."""

    TRIP = "trip"
    FORCE_OPEN = "force_open"
    DISABLE = "disable"
    OBSERVE = "observe"
    RESET = "reset"


class Word(Struct):
    """What a link says about a breaker elsewhere.

    Attributes:
        state: closed, open, forced_open or disabled.
        epoch: The link's own count of changes; only compared with that link's.
        remaining: Seconds left of the wait, for open; 0 otherwise.
        reason: Why, as a sentence.
    """

    state: State
    epoch: int
    remaining: float = 0.0
    reason: str = ""


class Link(Struct):
    """Who brings words: where they come from, and the last one that was accepted."""

    origin: Origin
    last: Word | None = None
