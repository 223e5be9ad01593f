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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .breaker import CircuitBreaker
    from .publishing import Farewell


class _Attended(Circuit):
    """A circuit that somebody wants the last of. Only such a one has a finaliser."""

    __slots__ = ()

    def __del__(self) -> None:
        """Give everybody the last snapshot.

        Comes at any moment, on any thread, in the middle of anything: it reads no clock
        and tells no listener of an error, as either could wait for a lock that is held.
        """
        _say(self, self.publisher.farewells)


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
            circuit.publisher.keep((listener, farewell))
            circuit.__class__ = _Attended


def part(circuit: Circuit, listener: object) -> None:
    """Give a listener that was removed its last snapshot."""
    _say(circuit, circuit.publisher.drop(listener))


def _say(circuit: Circuit, farewells: Iterable[tuple[object, Farewell]]) -> None:
    for _, farewell in farewells:
        try:
            farewell(last_snapshot(circuit))
        except Exception as error:  # noqa: BLE001 - the listener's, and nobody to tell
            report(circuit.name, "listeners", error, circuit.seen)
