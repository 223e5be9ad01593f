"""Names: which breakers exist in this process."""

from __future__ import annotations

import threading
import weakref

from .._core.hints import TYPE_CHECKING, final
from . import forks
from .attending import join
from .publishing import check_listener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .breaker import CircuitBreaker
    from .publishing import Listener


@final
class Registry:
    """Breakers by name, held weakly: a breaker that nobody uses disappears.

    Several living breakers may share a name (notebooks and reloads make them again); the
    newest is found. Safe for threads.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.RLock()
        self._newest: weakref.WeakValueDictionary[str, CircuitBreaker] = (
            weakref.WeakValueDictionary()
        )
        # Keeps the order of adding, which a WeakSet does not.
        self._all: weakref.WeakKeyDictionary[CircuitBreaker, None] = (
            weakref.WeakKeyDictionary()
        )
        self._listeners: tuple[Listener, ...] = ()
        forks.watch(self)

    def after_fork(self) -> None:
        """In a child: a new lock."""
        self._lock = threading.RLock()

    def add(self, breaker: CircuitBreaker) -> None:
        """Add a breaker; it becomes the one found under its name.

        Raises:
            TypeError: It is no breaker.
        """
        if not hasattr(breaker, "_circuit"):
            msg = f"breaker must be a CircuitBreaker, got {breaker!r}"
            raise TypeError(msg)
        with self._lock:
            self._newest[breaker.name] = breaker
            self._all.pop(breaker, None)
            self._all[breaker] = None
            listeners = self._listeners
        for listener in listeners:
            _tell(breaker, listener)
        for listener in listeners:
            if listener not in self._listeners:  # removed meanwhile
                breaker.remove_listener(listener)

    def add_listener(self, listener: Listener) -> None:
        """Tell a listener of every breaker in here: the living, and all that will be added.

        A breaker that has it already is not given it twice. Breakers of a `BreakerGroup`
        are in no registry unless the group says so: give it to the group as well.

        Raises:
            TypeError: It is neither callable nor has an `on_...` method.
        """
        check_listener(listener)
        with self._lock:
            self._listeners = (*self._listeners, listener)
        for breaker in self._living():
            _tell(breaker, listener)

    def remove_listener(self, listener: Listener) -> None:
        """Tell a listener no longer, neither of living breakers nor of new ones."""
        with self._lock:
            self._listeners = tuple(
                other for other in self._listeners if other != listener
            )
        for breaker in self._living():
            breaker.remove_listener(listener)

    def get(self, name: str) -> CircuitBreaker | None:
        """Return the newest living breaker of this name, or None."""
        newest = self._newest.get(name)
        if newest is not None:
            return newest
        older = [breaker for breaker in self if breaker.name == name]
        return older[-1] if older else None

    def __iter__(self) -> Iterator[CircuitBreaker]:
        """Iterate over all living breakers by name, the newest of a name last."""
        return iter(sorted(self._living(), key=lambda breaker: breaker.name))

    def _living(self) -> list[CircuitBreaker]:
        """Return the living breakers in the order of adding.

        Read in one step, since a breaker that dies takes itself out without the lock.
        """
        with self._lock:
            references = self._all.keyrefs()
        return [breaker for each in references if (breaker := each()) is not None]

    def __len__(self) -> int:
        """Count the living breakers."""
        return len(self._all)

    def reset_all(self) -> None:
        """Reset every living breaker: closed, new period, no evidence."""
        for breaker in self:
            breaker.reset()

    def clear(self) -> None:
        """Forget every breaker; they go on working, unregistered."""
        with self._lock:
            self._newest.clear()
            self._all.clear()


def _tell(breaker: CircuitBreaker, listener: Listener) -> None:
    join(breaker, breaker._circuit, listener, again=False)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the same layer


default_registry = Registry()


def get_breaker(name: str) -> CircuitBreaker | None:
    """Return the newest living breaker of this name in the default registry, or None."""
    return default_registry.get(name)


def breakers() -> list[CircuitBreaker]:
    """Return all living breakers of the default registry, sorted by name."""
    return list(default_registry)


def add_listener(listener: Listener) -> None:
    """Tell a listener of every breaker in the default registry, now and from now on.

    Raises:
        TypeError: It is neither callable nor has an `on_...` method.
    """
    default_registry.add_listener(listener)


def remove_listener(listener: Listener) -> None:
    """Tell a listener of the default registry no longer."""
    default_registry.remove_listener(listener)


def reset_all() -> None:
    """Reset every living breaker of the default registry."""
    default_registry.reset_all()
