"""The one breaker of the demo, and the listener that writes down what it says.

All that is known about its state comes from its events and from `explain()`; the demo
decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import (
    Backoff,
    CircuitBreaker,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    SlowCallRate,
    TimeWindow,
)
from .records import Change, Recording

if TYPE_CHECKING:
    import httpx

    from ... import Transition


def payments_breaker(recording: Recording) -> CircuitBreaker:
    """Return the breaker that guards every call of the guarded client.

    Its times are those of a usual run; they follow the pace of the story.

    Args:
        recording: Gets every change of its state; its clock is the breaker's.
    """
    pace = recording.story.pace
    slow = SlowCallRate(
        0.5, slower_than=0.5 * pace, window=CountWindow(20), minimum_calls=10
    )
    failing = FailureRate(0.5, window=TimeWindow(2 * pace), minimum_calls=20)
    return CircuitBreaker(
        "payments",
        trip=ConsecutiveFailures(5) | failing | slow,
        recovery=Backoff(0.5 * pace, factor=1.5, maximum=1.5 * pace),
        probes=3,
        probe_lease=2 * pace,
        failure_result=_is_failure,
        listeners=[_Diary(recording)],
        clock=recording.elapsed,
    )


class _Diary:
    """Writes changes of state into the recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def on_transition(self, event: Transition) -> None:
        change = Change(
            at=event.at, before=event.before, after=event.after, reason=event.reason
        )
        self._recording.changes.append(change)


def _is_failure(response: httpx.Response) -> bool:
    return response.is_server_error
