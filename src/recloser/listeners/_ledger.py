"""What all breakers of a process add up to, by name. It only grows.

Nothing is done when a call succeeds, fails or is rejected: breakers count anyway, and
are read when somebody wants the figures. What a breaker has counted more than at its
last reading is added to the sums of its name. So a breaker that is collected leaves its
sums behind, and one that is made again under its name goes on from them.

Breakers come (`on_attached`) and go (their last snapshot) on any thread, at any moment,
from the middle of a garbage collection even: that only appends to a queue, which the
next reading takes in, so it can wait for nothing.

A forked child begins at zero: what was counted before is its parent's to tell.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, cast

from . import _forking
from ._figures import (
    FOLDED,
    READ_AT,
    SPENT,
    Figure,
    Merge,
    Series,
    counters,
    gauges,
    states,
    zeros,
)
from ._names import OTHER, Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .. import CircuitBreaker, Snapshot


class Report(NamedTuple):
    """All figures at one reading."""

    counters: dict[Series, float]
    """Since this process began."""
    gauges: dict[Series, float]
    """Right now."""
    generation: int
    """Grows with each fork: a child's counters begin anew."""


class _Member:
    """One breaker: how to find it, and what of it has been added up."""

    __slots__ = ("breaker", "counted", "is_used", "label", "wanted")

    def __init__(self, breaker: CircuitBreaker, wanted: str) -> None:
        """Hold the breaker weakly."""
        self.breaker: weakref.ref[CircuitBreaker] = weakref.ref(breaker)
        self.wanted: str = wanted
        self.label: str | None = None
        self.counted: dict[Series, float] = {}
        self.is_used: bool = False


class Ledger:
    """Adds up what the breakers it is handed have counted. Safe for threads and forks.

    Args:
        label: Makes the value of the label `name` out of a breaker's name.
        names: Names with series of their own; the rest is `other`.
        idle: Whether breakers that no call has reached yet count in the states.

    Raises:
        TypeError: The label is no function.
    """

    def __init__(
        self, label: Callable[[str], str] | None, names: Names, *, idle: bool = True
    ) -> None:
        """Begin with no breaker."""
        if label is not None and not callable(cast("object", label)):
            msg = f"label must be a function of a breaker's name, got {label!r}"
            raise TypeError(msg)
        self._label = label
        self._names = names
        self._idle = idle
        self._lock = threading.RLock()
        self._news: deque[tuple[_Member, Snapshot | None]] = deque()
        self._members: dict[_Member, None] = {}
        self._counted: weakref.WeakKeyDictionary[
            CircuitBreaker, dict[Series, float]
        ] = weakref.WeakKeyDictionary()
        self._sums: dict[Series, float] = {(FOLDED, ()): 0.0}
        self._labels: dict[str, None] = {}
        self._generation = 0
        self._last: Report | None = None
        self._told: set[Figure] = set()
        _forking.watch(self)

    def on_attached(self, breaker: CircuitBreaker) -> Callable[[Snapshot], object]:
        """Take in a breaker, and return how to take its last snapshot.

        Raises:
            TypeError: The label function returned no string.
        """
        wanted = cast("object", (self._label or str)(breaker.name))
        if not isinstance(wanted, str):
            msg = f"label must return a string, got {wanted!r}"
            raise TypeError(msg)
        member = _Member(breaker, wanted.encode("utf-8", "replace").decode())
        news = self._news
        news.append((member, None))
        return lambda last: news.append((member, last))

    def read(self) -> Report:
        """Read every living breaker; return the figures of all that ever were."""
        with self._lock:
            self._take_in()
            now: dict[Series, float] = {(READ_AT, ()): time.time()}
            for label in self._labels:
                now.update(states(label, None))
            for member in list(self._members):
                breaker = member.breaker()
                if breaker is not None:  # if it is gone, its last snapshot will come
                    self._read(member, breaker, now)
            return Report(dict(self._sums), now, self._generation)

    def read_for(self, figure: Figure) -> Report:
        """Return the last report if it has not told this figure yet, or else a new one.

        So who asks for one figure after the other reads the breakers once for all.
        """
        with self._lock:
            if self._last is None or figure in self._told:
                self._last = self.read()
                self._told.clear()
            self._told.add(figure)
            return self._last

    def _take_in(self) -> None:
        """Admit the breakers that came, and let those go that went, in their order."""
        while self._news:
            member, last = self._news.popleft()
            if last is None:
                self._admit(member)
            else:
                self._add(member, last)
                self._members.pop(member, None)

    def _admit(self, member: _Member) -> None:
        label = self._names.admitted(member.wanted)
        if label == OTHER != member.wanted:
            self._sums[FOLDED, ()] += 1
        member.label = label
        breaker = member.breaker()
        if breaker is not None:  # one that comes back was counted before
            member.counted = self._counted.setdefault(breaker, member.counted)
        self._members[member] = None
        if label not in self._labels:
            self._labels[label] = None
            self._sums.update(dict.fromkeys(zeros(label), 0.0))

    def _read(
        self, member: _Member, breaker: CircuitBreaker, now: dict[Series, float]
    ) -> None:
        snapshot, label = breaker.snapshot(), member.label or OTHER
        self._add(member, snapshot)
        if self._idle or member.is_used:
            _merge(now, states(label, snapshot.state))
        _merge(now, gauges(label, snapshot, breaker.policy.trip.windows))

    def _add(self, member: _Member, snapshot: Snapshot) -> None:
        """Add what the breaker has counted since it was read before."""
        counted = member.counted
        for series, total in counters(member.label or OTHER, snapshot):
            more = total - counted.get(series, 0.0)
            if more > 0:  # two clock readings can swap places by a microsecond
                counted[series] = total
                self._sums[series] = self._sums.get(series, 0.0) + more
                member.is_used = member.is_used or series[0] is not SPENT

    def before_fork(self) -> None:
        """Wait until nobody reads."""
        self._lock.acquire()

    def after_fork(self, *, child: bool) -> None:
        """Go on; a child begins at zero."""
        if not child:
            self._lock.release()
            return
        self._lock = threading.RLock()
        self.read()
        self._sums = dict.fromkeys(self._sums, 0.0)
        self._generation += 1
        self._last = None
        for member in self._members:
            member.is_used = False


def _merge(into: dict[Series, float], more: Iterable[tuple[Series, float]]) -> None:
    for series, value in more:
        before = into.get(series)
        if before is None:
            into[series] = value
        elif series[0].merge is Merge.SUM:
            into[series] = before + value
        else:
            into[series] = max(before, value)
