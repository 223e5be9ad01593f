"""What is excluded and who listens: the lists the pybreaker family keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from ._locks import ModuleLock

ListenerT = TypeVar("ListenerT")

Exclusion = type[BaseException] | Callable[[Any], bool]
"""An exception class, or a predicate that gets the exception."""


class Settings(Generic[ListenerT]):
    """The lists of one breaker. A change acts from the next call on.

    Reading gives a tuple of that moment; entries may repeat, and one removal takes one.
    """

    def __init__(
        self,
        exclude: Iterable[Exclusion] | None,
        listeners: Iterable[ListenerT] | None,
    ) -> None:
        """Copy both lists; a single class or listener in their place is a TypeError."""
        self._excluded_exceptions: list[Any] = list(exclude or ())  # unchecked
        self._listeners = tuple(listeners or ())

    @property
    def excluded_exceptions(self) -> tuple[Exclusion, ...]:
        """The classes and predicates whose exceptions count as a success."""
        return tuple(self._excluded_exceptions)

    def add_excluded_exception(self, exception: Exclusion) -> None:
        """Count exceptions of this class, or that satisfy this predicate, as success."""
        self._excluded_exceptions.append(exception)

    def add_excluded_exceptions(self, *exceptions: Exclusion) -> None:
        """Add several classes or predicates."""
        for exception in exceptions:
            self.add_excluded_exception(exception)

    def remove_excluded_exception(self, exception: Exclusion) -> None:
        """Take one entry off the list; ValueError if it is not there."""
        self._excluded_exceptions.remove(exception)

    def is_system_error(self, exception: BaseException) -> bool:
        """Tell whether this exception is evidence against the dependency.

        An entry whose type is exactly `type` is compared by class; anything else
        callable gets the exception. So a class with a metaclass of its own is called
        like a predicate and excludes everything: the original does that too.
        """
        kind = type(exception)
        for entry in self._excluded_exceptions:
            if type(entry) is type:
                if issubclass(kind, entry):
                    return False
            elif callable(entry) and entry(exception):
                return False
        return True

    @property
    def listeners(self) -> tuple[ListenerT, ...]:
        """Who is told, in this order."""
        return self._listeners

    def add_listener(self, listener: ListenerT) -> None:
        """Tell this listener as well, after those already there."""
        while True:
            before = self._listeners
            if self._replaced(before, (*before, listener)):
                return

    def add_listeners(self, *listeners: ListenerT) -> None:
        """Add several listeners."""
        for listener in listeners:
            self.add_listener(listener)

    def remove_listener(self, listener: ListenerT) -> None:
        """Take a listener off the list once; ValueError if it is not there."""
        while True:
            before = self._listeners
            left = list(before)
            left.remove(listener)
            if self._replaced(before, tuple(left)):
                return

    def _replaced(
        self, before: tuple[ListenerT, ...], after: tuple[ListenerT, ...]
    ) -> bool:
        """Replace the listeners, unless another thread has."""
        with _swaps.lock:
            if self._listeners is not before:
                return False
            self._listeners = after
            return True


_swaps = ModuleLock()
"""Held while listeners are compared and replaced, and for nothing else."""
