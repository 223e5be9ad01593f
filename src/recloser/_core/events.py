"""What listeners are told: frozen facts, made from the difference of two phases.

Events are published after the call's outcome is settled, with no lock held. Between
threads they can arrive out of order: order them by `epoch`, not by arrival.
"""

from __future__ import annotations

from .outcomes import FailureInfo, Kind
from .phases import (
    HalfOpen,
    Observing,
    Open,
    Phase,
    Ramping,
    Shedding,
    admitted_share,
)
from .states import State
from .values import Struct
from .windows import Evidence


class Event(Struct):
    """Something happened to a breaker.

    Attributes:
        name: The breaker's name.
        epoch: Which of its periods it belongs to.
        at: When, in seconds of the breaker's clock.
    """

    name: str
    epoch: int
    at: float


class Transition(Event):
    """The state changed, or a new period of the same state began (a reset)."""

    before: State
    after: State
    reason: str = ""
    retry_after: float | None = None
    """Seconds until the wait is over, if the circuit opened."""
    failure: FailureInfo | None = None
    """The failure that opened it."""
    evidence: Evidence | None = None
    """What the rules had seen, if they tripped it."""


class Rejected(Event):
    """A call was not made."""

    state: State
    reason: str
    retry_after: float | None


class Failed(Event):
    """A call counted as a failure."""

    failure: FailureInfo
    slow: bool = False


class CallEnded(Event):
    """A call ended. Only a listener with an `on_call` method is told of every one."""

    kind: Kind
    slow: bool = False


class ProbeStarted(Event):
    """A half-open circuit let a call through to see."""

    place: int


class ProbeEnded(Event):
    """A probe came back in its own round."""

    place: int
    kind: Kind


class ProbeLost(Event):
    """The lease of a probe ended before its outcome came; its place is free."""

    lost: int
    """Probes of this round that are out without a place."""


class LateResult(Event):
    """A call that was admitted in an earlier period ended; it changed nothing."""

    admitted_epoch: int
    kind: Kind
    failure: FailureInfo | None = None


class ShareChanged(Event):
    """A half-open circuit lets another share of the calls through: a step of a ramp.

    Several steps can belong to one epoch; order them by `at`.
    """

    before: float
    share: float
    """The fraction of the calls that goes through from now on."""
    reason: str


class WouldTrip(Event):
    """Metrics only: in earnest the circuit would have opened."""

    reason: str
    failure: FailureInfo | None = None
    evidence: Evidence | None = None


class WouldReject(Event):
    """Metrics only: in earnest the call would have been rejected."""

    reason: str


class CallbackFailed(Event):
    """A predicate, listener or fallback of the user's raised."""

    callback: str
    """Which one, by its option's name."""
    failure: FailureInfo


def difference(name: str, before: Phase, after: Phase, now: float) -> tuple[Event, ...]:
    """Return what happened between two phases of one breaker."""
    events: list[Event] = []
    if isinstance(after, HalfOpen):
        known = before.lost if isinstance(before, HalfOpen) else 0
        if after.lost > known:
            events.append(
                ProbeLost(name=name, epoch=after.epoch, at=now, lost=after.lost)
            )
    step = _step(name, before, after, now)
    if after.epoch != before.epoch and not (step and before.state == after.state):
        events.append(_transition(name, before, after, now))
    elif isinstance(after, Observing) and after.trips > getattr(before, "trips", 0):
        events.append(_would_trip(name, after, now))
    events.extend(step)
    return tuple(events)


def _transition(name: str, before: Phase, after: Phase, now: float) -> Transition:
    opened = after if isinstance(after, Open) else None
    return Transition(
        name=name,
        epoch=after.epoch,
        at=now,
        before=before.state,
        after=after.state,
        reason=_why(after),
        retry_after=opened.until - now if opened else None,
        failure=getattr(after, "failure", None),
        evidence=opened.evidence if opened else None,
    )


def _step(
    name: str, before: Phase, after: Phase, now: float
) -> tuple[ShareChanged, ...]:
    """Tell of another share, and of a cut that was stopped by the floor."""
    known, share = admitted_share(before), admitted_share(after)
    if not isinstance(after, Ramping | Shedding) or after is before:
        return ()
    if share == known and (after.epoch == before.epoch or before.state != after.state):
        return ()
    event = ShareChanged(
        name=name,
        epoch=after.epoch,
        at=now,
        before=known,
        share=share,
        reason=_why_share(before, after),
    )
    return (event,)


def _why_share(before: Phase, after: Ramping | Shedding) -> str:
    if isinstance(after, Shedding):
        return f"{after.accepted:.0f} of {after.calls:.0f} calls were answered"
    if not isinstance(before, Ramping):
        return "the dependency answers again"
    answers = before.good + before.bad
    if after.epoch != before.epoch:
        return f"{before.bad} of {answers} answers were bad"
    return f"{before.good} of {answers} answers were good"


def _would_trip(name: str, after: Observing, now: float) -> WouldTrip:
    return WouldTrip(
        name=name,
        epoch=after.epoch,
        at=now,
        reason=after.reason,
        failure=after.failure,
        evidence=after.evidence,
    )


def _why(after: Phase) -> str:
    """Return why a phase began; a half-open one also says why the circuit had opened."""
    reason: str = getattr(after, "reason", "")
    return f"the wait is over ({reason})" if isinstance(after, HalfOpen) else reason
