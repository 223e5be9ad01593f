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
    ramped: bool = False
    """Whether a ramp led here: a trip soon after makes the next one gentler."""


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
    outage: float | None = None
    """When the outage began, if earlier than `since`: failed probes keep it."""
    safe: float | None = None
    """The share that the next ramp begins with, if one failed before."""
    permitted: bool = False
    """Somebody ended the wait: a probe needs no further rejected calls."""


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
    outage: float | None = None
    """When the outage began."""
    safe: float | None = None
    """The share that the next ramp begins with, if one failed before."""


class Ramping(Struct):
    """The return of traffic by shares, after enough probes succeeded.

    A ramp, and each cut of its share, is a period of its own: what was admitted before
    is late, so that the answers from before a cut cannot cut twice.
    """

    state: ClassVar[State] = State.HALF_OPEN
    epoch: int
    since: float
    trips: int
    reason: str
    failure: FailureInfo | None = None
    evidence: Evidence | None = None
    origin: Origin = Origin.HERE
    share: float
    """The fraction of the calls that goes through, in (0, 1]."""
    began: float
    """When this round began."""
    safe: float | None = None
    """A share that could be carried; growth beyond it begins gently."""
    grown: int = 0
    """Rounds that grew beyond the safe share."""
    good: int = 0
    bad: int = 0
    """Answers of this round."""
    row: int = 0
    """Bad answers since the last good one."""


class Shedding(Struct):
    """A share of the calls is rejected as long as the dependency fails a part of them."""

    state: ClassVar[State] = State.HALF_OPEN
    epoch: int
    since: float
    trips: int
    reason: str
    failure: FailureInfo | None = None
    evidence: Evidence | None = None
    origin: Origin = Origin.HERE
    share: float = 1.0
    """The fraction of the calls that goes through, in (0, 1]."""
    began: float
    """When the share was last set."""
    calls: float = 0.0
    """Calls that came, rejected ones too; older ones count for less."""
    accepted: float = 0.0
    """Calls that the dependency answered; older ones count for less."""
    quiet: float
    """Since when nothing has been shed."""


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


Phase = (
    Closed | Open | HalfOpen | Ramping | Shedding | ForcedOpen | Disabled | Observing
)


def admitted_share(phase: Phase) -> float:
    """Return the fraction of the calls that goes through; probes are no share."""
    if isinstance(phase, Ramping | Shedding):
        return phase.share
    return 0.0 if isinstance(phase, Open | HalfOpen | ForcedOpen) else 1.0


class Command(Enum):
    """What an operator can ask for."""

    TRIP = "trip"
    FORCE_OPEN = "force_open"
    DISABLE = "disable"
    OBSERVE = "observe"
    RESET = "reset"
    PERMIT = "permit_probes"


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
