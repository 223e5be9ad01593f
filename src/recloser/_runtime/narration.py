"""What listeners are told of single calls; transitions tell themselves (`events`)."""

from __future__ import annotations

from .._core.events import (
    CallEnded,
    Event,
    Failed,
    LateResult,
    ProbeEnded,
    ProbeStarted,
    Rejected,
    WouldReject,
)
from .._core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from .._core.outcomes import Outcome
    from .._core.phases import Admission, Phase
    from .publishing import Publisher


def started(
    publisher: Publisher, admission: Admission, now: float
) -> tuple[Event, ...]:
    """Return what is told of a call that was admitted, if it is a probe."""
    epoch, place = admission
    if place is None or not publisher.wants(ProbeStarted):
        return ()
    return (ProbeStarted(name=publisher.name, epoch=epoch, at=now, place=place),)


def ended(
    publisher: Publisher, epoch: int, admission: Admission, outcome: Outcome, now: float
) -> tuple[Event, ...]:
    """Return what is told of a call that ended in its own period."""
    events: tuple[Event, ...] = ()
    name, wants, place = publisher.name, publisher.wants, admission.place
    kind, slow, cause = outcome.kind, outcome.slow, outcome.cause
    if place is not None and wants(ProbeEnded):
        events += (ProbeEnded(name=name, epoch=epoch, at=now, place=place, kind=kind),)
    if cause is not None and wants(Failed):
        events += (Failed(name=name, epoch=epoch, at=now, failure=cause, slow=slow),)
    if wants(CallEnded):
        events += (CallEnded(name=name, epoch=epoch, at=now, kind=kind, slow=slow),)
    return events


def rejected(
    name: str, phase: Phase, reason: str, retry_after: float | None, now: float
) -> Rejected:
    """Return what is told of a rejected call."""
    return Rejected(
        name=name,
        epoch=phase.epoch,
        at=now,
        state=phase.state,
        reason=reason,
        retry_after=retry_after,
    )


def would_reject(name: str, phase: Phase, now: float) -> WouldReject:
    """Return what is told of a call that only an observed circuit let through."""
    reason = getattr(phase, "reason", "")
    return WouldReject(name=name, epoch=phase.epoch, at=now, reason=reason)


def late(
    publisher: Publisher, epoch: int, admission: Admission, outcome: Outcome, now: float
) -> tuple[Event, ...]:
    """Return what is told of a call that ended in a later period than its own."""
    if not publisher.wants(LateResult):
        return ()
    event = LateResult(
        name=publisher.name,
        epoch=epoch,
        at=now,
        admitted_epoch=admission.epoch,
        kind=outcome.kind,
        failure=outcome.cause,
    )
    return (event,)
