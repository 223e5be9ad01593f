"""Locks of the facades: for signal handlers, finalisers and forks.

Re-entrant, as the first two come in the middle of anything, and made anew in a forked
child, as another thread may have held the old one.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakValueDictionary


class Locked(Protocol):
    """Something that keeps its books under a lock."""

    _lock: threading.RLock


# By identity: users derive from the facades, and may compare as they like.
_owners: WeakValueDictionary[int, Locked] = WeakValueDictionary()


def give_lock(owner: Locked) -> None:
    """Give an object its lock, here and in every child."""
    owner._lock = threading.RLock()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what this is for
    _owners[id(owner)] = owner


class ModuleLock:
    """A lock for what a whole module shares."""

    _lock: threading.RLock

    def __init__(self) -> None:
        """Make it, here and in every child."""
        give_lock(self)

    @property
    def lock(self) -> threading.RLock:
        """The lock of this process."""
        return self._lock


def _renew() -> None:
    for reference in _owners.valuerefs():
        owner = reference()
        if owner is not None:
            owner._lock = threading.RLock()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what this is for


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
