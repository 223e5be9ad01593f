"""The figures of a run, computed from its records and from nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .records import Call, Change, Client, Ending, Recording, Visit
from .story import DYING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LOST = (Ending.FAILED, Ending.TIMED_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long calls took."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One client's run. Times are seconds; a figure nobody could measure is None.

    Attributes:
        calls: How many calls its callers made.
        endings: How they ended.
        reached_dying: Requests that came to the service in its dying stages.
        most_at_once: Requests inside the service at its fullest moment.
        waited: Time all callers together spent in calls.
        waited_for_nothing: The part of it that ended in a failure or a timeout.
        all_calls: Spread of the time of all calls, rejections too.
        answered_calls: The same of the calls that were answered.
        recovery_to_closed: From the end of the dying stages until the breaker closed
            for good.
    """

    calls: int
    endings: Mapping[Ending, int]
    reached_dying: int
    most_at_once: int
    waited: float
    waited_for_nothing: float
    all_calls: Spread
    answered_calls: Spread
    recovery_to_closed: float | None


def figures(recording: Recording, client: Client) -> Figures:
    """Return one client's figures.

    Args:
        recording: A finished run, or a copy of a running one.
        client: Whose calls to look at. Changes of the breaker's state belong to the
            guarded one.
    """
    calls = [call for call in recording.calls if call.client is client]
    visits = [visit for visit in recording.visits if visit.client is client]
    guarded = client is Client.GUARDED
    changes = recording.changes if guarded else []
    return Figures(
        calls=len(calls),
        endings={e: sum(c.ending is e for c in calls) for e in Ending},
        reached_dying=sum(visit.act in DYING for visit in visits),
        most_at_once=most_at_once(visits),
        waited=math.fsum(call.took for call in calls),
        waited_for_nothing=math.fsum(c.took for c in calls if c.ending in _LOST),
        all_calls=_spread(calls),
        answered_calls=_spread(c for c in calls if c.ending is Ending.OK),
        recovery_to_closed=recovery_to_closed(changes, recording.story.recovery),
    )


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that `share` of all values do not exceed, or None."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def most_at_once(visits: Iterable[Visit]) -> int:
    """Return how many requests the service held at its fullest moment."""
    steps = [(v.came, 1) for v in visits]
    steps += [(v.left, -1) for v in visits]
    inside = most = 0
    for _, step in sorted(steps):
        inside += step
        most = max(most, inside)
    return most


def recovery_to_closed(changes: Sequence[Change], recovery: float) -> float | None:
    """Return seconds from `recovery` until the breaker closed for good.

    None if it is not closed at the end, or never changed at all. 0 if it closed
    before the recovery and stayed closed.
    """
    if not changes or changes[-1].after != "closed":
        return None
    return max(changes[-1].at - recovery, 0.0)


def _spread(calls: Iterable[Call]) -> Spread:
    times = [call.took for call in calls]
    return Spread(p50=percentile(times, 0.50), p99=percentile(times, 0.99))
