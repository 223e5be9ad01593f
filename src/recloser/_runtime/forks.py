"""What has a lock must get a new one in a forked child: another thread may hold the old."""

from __future__ import annotations

import os
import threading
import weakref

from .._core.hints import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._core.phases import HalfOpen

    class Forked(Protocol):
        """Something to set right in a child."""

        def after_fork(self) -> None:
            """Make new locks, and free what belonged to threads that are gone."""


_watched: weakref.WeakSet[Forked] = weakref.WeakSet()
_hooked: list[bool] = []


def watch(owner: Forked) -> None:
    """Call `owner.after_fork()` in every child; the hook is registered with the first."""
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked.append(True)
        os.register_at_fork(after_in_child=_after_fork)
    _watched.add(owner)


def surviving(phase: HalfOpen, owners: Mapping[int, int]) -> HalfOpen:
    """Return the phase with the places of this thread only: the others are gone."""
    here = threading.get_ident()
    places = tuple(one for one in phase.places if owners.get(one.number) == here)
    lost = phase.lost + len(phase.places) - len(places)
    return phase.replace(places=places, lost=lost)


def _after_fork() -> None:
    for owner in list(_watched):
        owner.after_fork()
