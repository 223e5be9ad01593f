"""Turning calls away: counted, told to listeners, and never evidence."""

from __future__ import annotations

from .._core.errors import CircuitOpenError, rejection
from .._core.events import Rejected, WouldReject
from .._core.hints import TYPE_CHECKING
from .._core.phases import Open
from .._core.rules import shut_for
from .._core.states import State
from .narration import rejected, would_reject

if TYPE_CHECKING:
    from .._core.phases import Phase
    from .circuit import Circuit
    from .entries import Refusal

_OPEN = State.OPEN  # looking up a member costs as much as a call before 3.12
_new_error = CircuitOpenError.__new__


def knock(circuit: Circuit) -> None:
    """Reject at once where asking cannot end otherwise: the way of most rejections.

    Raises:
        CircuitOpenError: The circuit is open, its wait is not over, and nobody
            listens to rejections.
    """
    phase = circuit.current[0]
    if type(phase) is not Open or circuit.publisher.heard[2]:
        return
    try:
        now = circuit.clock()
    except Exception:  # noqa: BLE001 - the user's clock; asking reports it
        return
    seen = circuit.seen
    left = shut_for(phase, now if now > seen else seen)  # noqa: FURB136 - `max` is a call
    if left is None:
        return
    next(circuit.rejected)
    raise _new_error(
        CircuitOpenError, circuit.name, _OPEN, left, phase.reason, phase.failure
    )


def reject(circuit: Circuit, refusal: Refusal) -> CircuitOpenError:
    """Count a rejection and return the error to raise for it."""
    next(circuit.rejected)
    phase, reason, retry_after = refusal.phase, refusal.reason, refusal.retry_after
    publisher = circuit.publisher
    if publisher.listeners and publisher.wants(Rejected):
        event = rejected(circuit.name, phase, reason, retry_after, circuit.now())
        publisher.publish(event)
    failure = getattr(phase, "failure", None)
    return rejection(circuit.name, phase.state, retry_after, reason, failure)


def pass_by(circuit: Circuit, phase: Phase, now: float) -> None:
    """Count and tell that a call would have been rejected, but only metrics are kept."""
    circuit.note(would_reject=1)
    if circuit.publisher.wants(WouldReject):
        circuit.publisher.publish(would_reject(circuit.name, phase, now))
