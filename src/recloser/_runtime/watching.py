"""Events as an async iterator, for asyncio and trio."""

from __future__ import annotations

import weakref
from collections import deque

from .._core.hints import TYPE_CHECKING, Self, final
from .counters import counter, steps_of
from .waiting import async_spot

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.events import Event
    from .circuit import Circuit
    from .publishing import Publisher
    from .waiting import AsyncioSpot, TrioSpot


@final
class Watch:
    """The events of one breaker from now on: `async for event in breaker.events():`.

    Use it in one task. It listens until it is closed, left (`async with`) or collected.
    Events from any thread reach it in the order in which they were published.
    """

    __slots__ = (
        "__weakref__",
        "_came",
        "_circuit",
        "_closed",
        "_events",
        "_listener",
        "_spot",
        "_taken",
    )

    def __init__(self, circuit: Circuit, buffer: int) -> None:
        """Begin to listen."""
        self._circuit = circuit
        self._events: deque[Event] = deque(maxlen=buffer)
        self._spot: AsyncioSpot | TrioSpot | None = None
        self._closed = False
        self._came = counter()  # stepped by any number of threads at once
        self._taken = 0
        self._listener = _weakly(self)
        listener = self._listener
        circuit.publisher.change(lambda before: (*before, listener))
        weakref.finalize(self, _stop, circuit.publisher, self._listener).atexit = False

    def _take(self, event: Event) -> None:
        self._events.append(event)
        next(self._came)
        if self._spot is not None:
            self._spot.wake()

    @property
    def dropped(self) -> int:
        """Events that a full buffer pushed out."""
        return max(0, steps_of(self._came) - self._taken - len(self._events))

    def close(self) -> None:
        """Stop listening; what was heard can still be read."""
        self._closed = True
        _stop(self._circuit.publisher, self._listener)
        if self._spot is not None:
            self._spot.wake()

    def __aiter__(self) -> Self:
        """Iterate over the events."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event, waiting for it."""
        if self._spot is None:
            self._spot = async_spot()
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            await self._spot.sleep(None)
        event = self._events.popleft()
        self._taken += 1
        return event

    async def __aenter__(self) -> Self:
        """Begin a block that closes the watch."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop listening."""
        self.close()


def _weakly(watch: Watch) -> Callable[[Event], None]:
    """Return a listener that does not keep the watch alive."""
    reference = weakref.ref(watch)

    def take(event: Event) -> None:
        living = reference()
        if living is not None:
            living._take(event)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - its own

    return take


def _stop(publisher: Publisher, listener: Callable[[Event], None]) -> None:
    publisher.change(
        lambda before: (other for other in before if other is not listener)
    )
