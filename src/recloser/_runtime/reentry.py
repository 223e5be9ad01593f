"""Which guarded blocks and probes the running task is inside of.

A call made inside a probe of the same breaker is part of that probe: it takes no place
and reports nothing. So is a call inside one that was let through as a share. The same chain lets a `with` block find its own entry again when it
ends. It is a tuple in a context variable, so each thread and task has its own; a child
task inherits it, but a probe that is over admits nobody.
"""

from __future__ import annotations

from contextvars import ContextVar

from .._core.hints import TYPE_CHECKING
from .._core.phases import HalfOpen

if TYPE_CHECKING:
    from .._core.phases import Phase
    from .circuit import Circuit
    from .entries import Entry


_DEEPEST = 1000  # blocks left in other contexts must not add up for ever


class Inside:
    """One block or probe that a task is inside of."""

    __slots__ = ("circuit", "entry", "is_block", "live")

    def __init__(self, circuit: Circuit, entry: Entry, is_block: bool) -> None:  # noqa: FBT001
        """Stand for an admitted call until `leave`."""
        self.circuit: Circuit = circuit
        self.entry: Entry = entry
        self.is_block: bool = is_block
        self.live: bool = True


_chain: ContextVar[tuple[Inside, ...]] = ContextVar("recloser_inside", default=())


def enter(circuit: Circuit, entry: Entry, *, block: bool = False) -> Inside:
    """Step inside; give what this returns to `leave`.

    Entries whose period is over are dropped, so that blocks which were left in another
    context do not add up.
    """
    inside = Inside(circuit, entry, block)
    chain = _chain.get()
    if chain:
        chain = tuple(other for other in chain if other.live and _is_current(other))
    _chain.set((*chain[-_DEEPEST:], inside))
    return inside


def leave(inside: Inside) -> None:
    """Step out of exactly this one; others stay, in whatever order they are left."""
    inside.live = False
    chain = _chain.get()
    if chain and chain[-1] is inside:
        _chain.set(chain[:-1])
    elif inside in chain:
        _chain.set(tuple(other for other in chain if other is not inside))


def find_block(circuit: Circuit) -> Inside | None:
    """Return the innermost living `with` block of this circuit, or None."""
    for inside in reversed(_chain.get()):
        if inside.is_block and inside.circuit is circuit and inside.live:
            return inside
    return None


def is_inside(circuit: Circuit, phase: Phase, now: float) -> bool:
    """Tell whether the task is inside a call of this half-open period.

    Such a call is a probe that still holds its place, or, where a share is let through,
    one that was admitted and is not over.
    """
    calls = [
        inside
        for inside in _chain.get()
        if inside.circuit is circuit and inside.entry.admission.epoch == phase.epoch
    ]
    if not isinstance(phase, HalfOpen):
        return any(inside.live for inside in calls)
    held = {place.number for place in phase.places if now < place.until}
    return any(inside.entry.admission.place in held for inside in calls)


def _is_current(inside: Inside) -> bool:
    return inside.entry.admission.epoch == inside.circuit.phase.epoch
