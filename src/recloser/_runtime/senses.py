"""What a circuit takes from outside: the time and chance, whatever the user's do.

A clock or a source of chance that is the user's can raise or return nonsense. The call in
which it happens still gets its own result: the mistake is reported, and the circuit goes
on with the last good time, or with one half.
"""

from __future__ import annotations

from math import inf

from .._core.hints import TYPE_CHECKING
from .keys import place_of
from .publishing import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from .keys import Key
    from .waiting import Clock


class Senses:
    """The clock, the chance and the listeners of one circuit. No lock is needed."""

    __slots__ = ("chance", "clock", "name", "publisher", "seen")

    def __init__(
        self, name: str, clock: Clock, chance: Callable[[], float] | None
    ) -> None:
        """Read the clock once."""
        from random import random  # here: it is a tenth of our import time

        self.name: str = name
        self.clock: Clock = clock
        self.chance: Callable[[], float] = chance or random
        self.seen: float = clock()
        self.publisher: Publisher = Publisher(name)

    def mishap(self, callback: str, error: Exception) -> None:
        """Report that a callback of the user's raised."""
        raise NotImplementedError

    def now(self) -> float:
        """Read the clock, which stands still where the user's goes back or breaks."""
        try:
            now = self.clock()
        except Exception as error:  # noqa: BLE001 - the user's clock; the caller gets the result
            self.mishap("clock", error)
            return self.seen
        if self.seen <= now < inf:  # neither true of what is no number
            self.seen = now
        return self.seen

    def since(self, started: float | None) -> float | None:
        """Return when a call began in `now` time, from a raw reading of the clock."""
        if started is None:
            return None
        try:
            return self.now() - (self.clock() - started)
        except Exception:  # noqa: BLE001 - the user's clock; `now` has reported it
            return None

    def draw(self, key: Key | None = None) -> float:
        """Return a number in [0, 1): a random one, or always the same for a key."""
        if key is not None:
            return place_of(self.name, key)
        try:
            chance = self.chance()
            if 0 <= chance < 1:
                return chance
        except Exception as error:  # noqa: BLE001 - the user's; the caller gets the result
            self.mishap("chance", error)
        return 0.5
