"""What a link to other processes must offer, so that no arrow of the layers turns."""

from __future__ import annotations

from .._core.hints import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.phases import Origin, Word


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
