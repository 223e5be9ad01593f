"""What listeners are told of single calls; transitions tell themselves (`events`)."""

from __future__ import annotations

from .._core.events import CallEnded, Event, Failed, LateResult, ProbeEnded
from .._core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from .._core.outcomes import Outcome
    from .._core.phases import Admission
    from .publishing import Publisher


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
