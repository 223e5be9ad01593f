"""Waiting for a permit, bounded: on threads, asyncio and trio, with one queue for all.

No more callers are woken than there are places. Only the first waiters of the queue, as
many as can probe at once, sleep until the circuit may let them in; the others sleep
until their own time is up or somebody who leaves the queue wakes them. When the circuit
closes everybody is woken.

The queue is changed only under its own lock, held for a few list operations; waking
happens outside it. A waiter joins before it asks, so a place that is freed in between
is not missed.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from itertools import count, islice

from .._core.hints import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

Clock = Callable[[], float]
_LONGEST = threading.TIMEOUT_MAX


class Spot(Protocol):
    """Where one caller sleeps."""

    def wake(self) -> None:
        """End the sleep; callable from any thread, any number of times."""


class ThreadSpot:
    """A sleeping thread."""

    def __init__(self) -> None:
        """Begin awake. A bare lock, as a signal handler may wake in the middle of a sleep."""
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        """Let the thread go on."""
        try:
            self._asleep.release()
        except RuntimeError:  # it was woken already
            return

    def sleep(self, seconds: float | None) -> None:
        """Sleep until woken, or for so long; then be ready to sleep again."""
        self._asleep.acquire(timeout=-1 if seconds is None else min(seconds, _LONGEST))


class AsyncioSpot:
    """A sleeping asyncio task."""

    def __init__(self) -> None:
        """Begin awake, in the running loop."""
        import asyncio

        self._asyncio = asyncio
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Set the event in its loop; a loop that is gone has no sleeper."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            return

    async def sleep(self, seconds: float | None) -> None:
        """Sleep until woken, or for so long; then be ready to sleep again."""
        try:
            async with self._asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()


class TrioSpot:
    """A sleeping trio task."""

    def __init__(self, trio: Any) -> None:  # trio is optional: no types without it
        """Begin awake, in the running trio."""
        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()

    def wake(self) -> None:
        """Set the event in its run; a run that is over has no sleeper."""
        try:
            self._token.run_sync_soon(self._set)
        except self._trio.RunFinishedError:
            return

    def _set(self) -> None:
        self._event.set()

    async def sleep(self, seconds: float | None) -> None:
        """Sleep until woken, or for so long; then be ready to sleep again."""
        with self._trio.move_on_after(self._trio_seconds(seconds)):
            await self._event.wait()
        self._event = self._trio.Event()

    @staticmethod
    def _trio_seconds(seconds: float | None) -> float:
        return float("inf") if seconds is None else seconds


def async_spot() -> AsyncioSpot | TrioSpot:
    """Return a place to sleep in the library that is running this task."""
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return TrioSpot(trio)
        except RuntimeError:  # trio is loaded, and this task is not its
            return AsyncioSpot()
    return AsyncioSpot()


class Queue:
    """Callers that wait for one circuit, in the order in which they came.

    It holds them weakly: a waiter lives in the frame that waits, so one whose wait was
    torn by an interrupt disappears by itself.
    """

    __slots__ = ("_lock", "_next", "_spots")

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.RLock()  # a signal handler may come in between
        self._next = count()
        self._spots: weakref.WeakValueDictionary[int, Spot] = (
            weakref.WeakValueDictionary()
        )

    def __bool__(self) -> bool:
        """Tell whether anybody waits."""
        return bool(self._spots)

    def join(self, spot: Spot) -> None:
        """Take the last position."""
        with self._lock:
            self._spots[next(self._next)] = spot

    def leave(self, spot: Spot, places: int) -> None:
        """Give up the position, and wake whoever moves up to the front by it."""
        with self._lock:
            before = self._front(places)
            number = next((n for n, other in self._waiting() if other is spot), None)
            if number is not None:
                self._spots.pop(number, None)
            moved_up = [other for other in self._front(places) if other not in before]
        for other in moved_up:
            other.wake()

    def is_in_front(self, spot: Spot, places: int) -> bool:
        """Tell whether this waiter is one of the first `places`."""
        return spot in self._front(places)

    def wake(self, places: int | None) -> None:
        """Wake the first `places` waiters, or all."""
        for spot in self._front(places):
            spot.wake()

    def _front(self, places: int | None) -> list[Spot]:
        return [spot for _, spot in islice(self._waiting(), places)]

    def _waiting(self) -> Iterator[tuple[int, Spot]]:
        """Return who waits, in order.

        Read in one step: who dies takes itself out, and a signal handler can join, at
        any moment.
        """
        for reference in self._spots.valuerefs():
            spot = reference()
            if spot is not None:
                yield reference.key, spot


class Alarm:
    """Bounds a sleep by the circuit's own clock.

    An ordinary clock runs by itself, so the sleep takes the seconds as they are. A clock
    that is moved by hand offers `call_at(when, callback)`; then the sleep has no limit of
    its own and the clock wakes it.
    """

    __slots__ = ("_cancel", "seconds")

    def __init__(self, clock: Clock, seconds: float, spot: Spot) -> None:
        """Arrange to be woken after so many seconds of `clock`."""
        call_at: Callable[[float, Callable[[], None]], Callable[[], None]] | None
        call_at = getattr(clock, "call_at", None)
        self._cancel = call_at(clock() + seconds, spot.wake) if call_at else None
        self.seconds = None if call_at else seconds

    def __enter__(self) -> float | None:
        """Return how long to sleep, None for no limit."""
        return self.seconds

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the arrangement back."""
        if self._cancel:
            self._cancel()
