"""What holds a lock or a thread must let go of it around a fork.

A thread does not come along into a child, but a lock that it held does, held for ever:
so locks are taken before a fork, and threads are ended, also because Python warns of a
process with threads that forks.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that minds forks."""

    def before_fork(self) -> None:
        """Come to rest."""

    def after_fork(self, *, child: bool) -> None:
        """Go on; in a child, as a new process."""


_living: weakref.WeakKeyDictionary[Forkable, None] = weakref.WeakKeyDictionary()
"""In the order of their making: what uses another comes after it."""
_hooked: list[bool] = []


def watch(owner: Forkable) -> None:
    """Tell `owner` of every fork; the hooks are registered with the first."""
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked.append(True)
        os.register_at_fork(
            before=_forks.before,
            after_in_parent=lambda: _forks.after(child=False),
            after_in_child=lambda: _forks.after(child=True),
        )
    _living[owner] = None


class _Forks:
    """One fork after the other: Python lets two threads begin one at the same time."""

    def __init__(self) -> None:
        """Begin with none."""
        self._turn = threading.RLock()
        self._resting: list[list[Forkable]] = []

    def before(self) -> None:
        """Wait for another thread's fork, then have everybody come to rest."""
        self._turn.acquire()
        living = [owner for each in _living.keyrefs() if (owner := each()) is not None]
        self._resting.append(living)
        for owner in reversed(living):
            owner.before_fork()

    def after(self, *, child: bool) -> None:
        """Have those go on who came to rest."""
        for owner in self._resting.pop():
            owner.after_fork(child=child)
        if child:
            self._turn = threading.RLock()
        else:
            self._turn.release()


_forks = _Forks()
