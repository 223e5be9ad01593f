"""What a link to other processes must offer, so that no arrow of the layers turns."""

from __future__ import annotations

import weakref

from .._core import rules
from .._core.hints import TYPE_CHECKING, Any, Protocol
from .._core.phases import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.phases import Origin, Phase, Word
    from .circuit import Circuit


class LinkProtocol(Protocol):
    """Something that brings words about a breaker from elsewhere (`share=`).

    A link calls the function it was given with every word it hears, on any thread;
    words that are no news are dropped. It learns of local transitions as a listener.
    """

    origin: Origin

    def attach(self, name: str, adopt: Callable[[Word], None]) -> object:
        """Begin to bring words for the breaker of this name.

        Returns:
            A listener that is told of the breaker's transitions, or None.
        """
        ...


_sharing: weakref.WeakValueDictionary[str, Circuit] = weakref.WeakValueDictionary()


def attach(circuit: Circuit, share: Any) -> None:  # checked here, typed by its protocol
    """Join a circuit to a link, which holds it weakly.

    Raises:
        TypeError: It is no link.
        ValueError: Another living breaker shares under this name with another policy:
            they would trip each other by different rules.
    """
    if not callable(getattr(share, "attach", None)):
        msg = f"share must be a link with an attach method, got {share!r}"
        raise TypeError(msg)
    other = _sharing.get(circuit.name)
    if other is not None and other.policy != circuit.policy:
        msg = f"{circuit.name!r} is shared already with another policy: {other.policy}"
        raise ValueError(msg)
    reference = weakref.ref(circuit)

    def adopt(word: Word) -> None:
        living = reference()
        if living is not None:
            take_in(living, share, share.origin, word)

    listener = share.attach(circuit.name, adopt)
    if listener is not None:
        circuit.publisher.change(lambda before: (*before, listener))
    _sharing[circuit.name] = circuit


def take_in(circuit: Circuit, source: object, origin: Origin, word: Word) -> None:
    """Take in a word that a link brought; if it is news, the phase follows it."""
    now = circuit.now()
    with circuit._lock:  # pyright: ignore[reportPrivateUsage] - a part of the circuit
        links = circuit._links or {}  # pyright: ignore[reportPrivateUsage] - a part of the circuit
        circuit._links = links  # pyright: ignore[reportPrivateUsage] - a part of the circuit
        link = links.get(source) or Link(origin=origin)
        if rules.is_news(link, word):
            links[source] = link.replace(last=word)

        def accept(phase: Phase) -> Phase:
            newest = links.get(source)
            if newest is not None and newest.last is not word:
                return phase  # a newer word came while this one was being taken in
            return rules.adopt(circuit.policy, phase, link, word, now)

        events = circuit._swap(accept, now)  # pyright: ignore[reportPrivateUsage] - a part of the circuit
    circuit._publish(events)  # pyright: ignore[reportPrivateUsage] - a part of the circuit
