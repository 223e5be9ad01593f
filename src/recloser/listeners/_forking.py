"""What holds a lock or a thread must let go of it around a fork.

A thread does not come along into a child, but a lock that it held does, held for ever:
so locks are taken before a fork, and threads are ended, also because Python warns of a
process with threads that forks.
"""

from __future__ import annotations

import os
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
_resting: list[Forkable] = []
_hooked: list[bool] = []


def watch(owner: Forkable) -> None:
    """Tell `owner` of every fork; the hooks are registered with the first."""
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked.append(True)
        os.register_at_fork(
            before=_before,
            after_in_parent=lambda: _after(child=False),
            after_in_child=lambda: _after(child=True),
        )
    _living[owner] = None


def _before() -> None:
    _resting[:] = list(_living)
    for owner in reversed(_resting):
        owner.before_fork()


def _after(*, child: bool) -> None:
    for owner in _resting:
        owner.after_fork(child=child)
    _resting.clear()
