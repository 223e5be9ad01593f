"""Telling listeners, with no lock held, and containing what they raise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from .._core import events
from .._core.events import CallbackFailed, CallEnded, Event
from .._core.hints import TYPE_CHECKING, Any, cast
from . import forks
from .mishaps import report
from .shapes import runs_later

if TYPE_CHECKING:
    from .insight import Snapshot

    Farewell = Callable[[Snapshot], object]

Listener = Callable[[Event], object] | object
"""A callable that takes an event, or an object with `on_...` methods."""
if TYPE_CHECKING:
    Parting = tuple[Listener, Farewell]

_METHODS: dict[str, type[Event]] = {
    "on_transition": events.Transition,
    "on_rejected": events.Rejected,
    "on_failed": events.Failed,
    "on_call": events.CallEnded,
    "on_probe_started": events.ProbeStarted,
    "on_probe_ended": events.ProbeEnded,
    "on_probe_lost": events.ProbeLost,
    "on_share_changed": events.ShareChanged,
    "on_late_result": events.LateResult,
    "on_would_trip": events.WouldTrip,
    "on_would_reject": events.WouldReject,
    "on_callback_failed": events.CallbackFailed,
}
_ATTACHED = "on_attached"  # is handed the breaker itself (`attending`), no event
_HANDOVER = (
    "a listener runs on the thread that made the call and cannot be a coroutine function "
    "or a generator, got {!r}: hand over with `lambda event: loop.call_soon_threadsafe(queue.put_nowait, event)`"
)


_Table = Mapping[type[Event], tuple[Callable[[Any], object], ...]]
_Heard = tuple[tuple[Listener, ...], _Table, bool]
_NOBODY: _Heard = ((), {}, False)


class _Swaps:
    """The lock under which any table is compared and replaced, and nothing else is done.

    One thread may enter twice: a finaliser may come in between.
    """

    def __init__(self) -> None:
        """Make the lock, now and in every child."""
        self.after_fork()
        forks.watch(self)

    def after_fork(self) -> None:
        """In a child: a new lock."""
        self.lock = threading.RLock()


_swaps = _Swaps()


class Publisher:
    """The listeners of one breaker, found by kind of event.

    Adding and removing replaces a whole table, so publishing needs no lock and a
    listener may add or remove listeners. Who finds the table replaced starts again.
    """

    __slots__ = ("_failures", "farewells", "heard", "name")

    def __init__(self, name: str) -> None:
        """Begin with nobody listening."""
        self.name: str = name
        self._failures = 0
        self.heard: _Heard = _NOBODY
        """Listeners, their methods by kind of event, and whether rejections are wanted."""
        self.farewells: tuple[Parting, ...] = ()
        """Who wants the last snapshot, and how to hand it over."""

    @property
    def callback_errors(self) -> int:
        """How often a predicate, listener or fallback of the user's raised."""
        return self._failures

    def change(
        self, change: Callable[[tuple[Listener, ...]], Iterable[Listener]]
    ) -> None:
        """Replace the listeners by what `change` makes of them; refuse all or none.

        Safe for threads, and for a finaliser that comes in between: it is done again if
        somebody else changed them meanwhile.
        """
        while True:
            before = self.heard
            listeners = tuple(change(before[0]))
            after = _heard_by(listeners) if listeners else _NOBODY
            with _swaps.lock:
                if self.heard is before:
                    self.heard = after
                    return

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Who is told, in order."""
        return self.heard[0]

    def keep(self, parting: Parting) -> None:
        """Remember what a listener wants done in the end. Safe for threads, like `change`."""
        while True:
            before = self.farewells
            after = (*before, parting)
            with _swaps.lock:
                if self.farewells is before:
                    self.farewells = after
                    self.heard = (*self.heard,)  # who removes it now looks again
                    return

    def drop(self, partings: Iterable[Parting]) -> tuple[Parting, ...]:
        """Forget what was to be done in the end; return what nobody forgot before."""
        unwanted = {id(one) for one in partings}
        while True:
            before = self.farewells
            dropped = tuple(one for one in before if id(one) in unwanted)
            after = tuple(one for one in before if id(one) not in unwanted)
            with _swaps.lock:
                if self.farewells is before:
                    self.farewells = after
                    return dropped

    def wants(self, kind: type[Event]) -> bool:
        """Tell whether anybody listens, so that nobody makes events in vain."""
        return kind in self.heard[1]

    def publish(self, event: Event) -> None:
        """Tell everybody who listens to this kind of event, one after the other."""
        for method in self.heard[1].get(type(event), ()):
            try:
                method(event)
            except Exception as error:  # noqa: BLE001 - the listener's, not the caller's
                tells_of_itself = isinstance(
                    event, CallbackFailed
                )  # it would go on for ever
                self.mishap(
                    "listeners", error, event.epoch, event.at, tell=not tells_of_itself
                )

    def mishap(
        self,
        callback: str,
        error: Exception,
        epoch: int,
        now: float,
        *,
        tell: bool = True,
    ) -> None:
        """Count, log and publish that a callback of the user's raised."""
        with _swaps.lock:
            self._failures += 1
        failure = report(self.name, callback, error, now)
        if tell:
            event = CallbackFailed(
                name=self.name, epoch=epoch, at=now, callback=callback, failure=failure
            )
            self.publish(event)


def _heard_by(listeners: tuple[Listener, ...]) -> _Heard:
    table = _table(listeners)
    return listeners, table, events.Rejected in table


def _table(listeners: Iterable[Listener]) -> _Table:
    table: dict[type[Event], tuple[Callable[[Any], object], ...]] = {}
    for found in map(_methods, listeners):
        for kind, method in found.items():
            table[kind] = (*table.get(kind, ()), method)
    return table


def each_listener(listeners: object) -> tuple[Listener, ...]:
    """Return the listeners of an option.

    Raises:
        TypeError: It is no iterable, such as a single listener.
    """
    if isinstance(listeners, Iterable) and not isinstance(listeners, str):
        return tuple(cast("Iterable[Listener]", listeners))
    msg = f"listeners must be an iterable of listeners, got {listeners!r}"
    raise TypeError(msg)


def check_listener(listener: object) -> None:
    """Refuse what cannot listen.

    Raises:
        TypeError: It is neither callable nor has an `on_...` method, or is async.
    """
    _methods(listener)


def _methods(listener: Listener) -> dict[type[Event], Callable[[Any], object]]:
    if isinstance(listener, type):
        msg = f"a listener must be an object, got the class {listener!r}"
        raise TypeError(msg)
    found: dict[type[Event], Callable[[Any], object]] = {
        kind: getattr(listener, name)
        for name, kind in _METHODS.items()
        if hasattr(listener, name)
    }
    if not found and callable(listener):
        found = {kind: listener for kind in _METHODS.values() if kind is not CallEnded}
    if not found and not hasattr(listener, _ATTACHED):
        msg = f"a listener must be callable or have an on_... method, got {listener!r}"
        raise TypeError(msg)
    for method in found.values():
        if runs_later(method):
            raise TypeError(_HANDOVER.format(listener))
    return found
