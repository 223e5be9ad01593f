"""Listeners that want the breakers themselves, from the first to the last.

Events say what happens; a listener that adds up what breakers count needs to read them.
It is handed each breaker, which it must hold weakly, and may leave a function that is
given the last snapshot, so that nothing which was counted is lost with the breaker.
"""

from __future__ import annotations

from .._core.hints import TYPE_CHECKING, Any
from .circuit import Circuit
from .insight import last_snapshot
from .mishaps import report
from .taps import listen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .breaker import CircuitBreaker
    from .publishing import Farewell, Listener, Parting


class _Attended(Circuit):
    """A circuit that somebody wants the last of. Only such a one has a finaliser."""

    __slots__ = ()

    def __del__(self) -> None:
        """Give everybody the last snapshot.

        Comes at any moment, on any thread, in the middle of anything: it reads no clock
        and tells no listener of an error, as either could wait for a lock that is held.
        """
        try:
            _say(self, self.publisher.farewells)
        except Exception:  # noqa: BLE001 - the interpreter ends, and has taken our names away
            return


def greet(breaker: CircuitBreaker, circuit: Circuit, listeners: Iterable[Any]) -> None:
    """Hand the breaker to each listener that has an `on_attached` method."""
    for listener in listeners:
        greeted = getattr(listener, "on_attached", None)
        if greeted is None:
            continue
        try:
            farewell: Farewell | None = greeted(breaker)
        except Exception as error:  # noqa: BLE001 - the listener's, not the caller's
            circuit.mishap("listeners", error)
            continue
        if farewell is not None:
            parting = listener, farewell
            circuit.publisher.keep(parting)
            circuit.__class__ = _Attended
            if listener not in circuit.publisher.listeners:  # removed meanwhile
                _say(circuit, circuit.publisher.drop((parting,)))


def join(
    breaker: CircuitBreaker, circuit: Circuit, listener: Listener, *, again: bool
) -> None:
    """Add a listener, and hand it the breaker if it was not there.

    Args:
        breaker: What it is handed.
        circuit: What it listens to.
        listener: One that can listen.
        again: Whether to add it once more if it is there.
    """
    known = False

    def added(before: tuple[Listener, ...]) -> tuple[Listener, ...]:
        nonlocal known
        known = listener in before
        return before if known and not again else (*before, listener)

    circuit.publisher.change(added)
    listen(circuit)
    if not known:
        greet(breaker, circuit, (listener,))


def part(circuit: Circuit, listener: Listener) -> None:
    """Remove a listener, if it is there, and give it its last snapshot.

    What it wants done when it is added again meanwhile is left alone.
    """
    known = False
    partings: list[Parting] = []

    def without(before: tuple[Listener, ...]) -> Iterable[Listener]:
        nonlocal known, partings
        known = listener in before
        partings = [one for one in circuit.publisher.farewells if one[0] == listener]
        return [other for other in before if other != listener]

    circuit.publisher.change(without)
    listen(circuit)
    if known:
        _say(circuit, circuit.publisher.drop(partings))


def _say(circuit: Circuit, farewells: Iterable[tuple[object, Farewell]]) -> None:
    for _, farewell in farewells:
        try:
            farewell(last_snapshot(circuit))
        except Exception as error:  # noqa: BLE001 - the listener's, and nobody to tell
            report(circuit.name, "listeners", error, circuit.seen)
