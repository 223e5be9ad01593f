"""The figures that every exporter shows: one table, and how to read them off a snapshot.

Prometheus calls `rejected_calls` `recloser_rejected_calls_total`, OpenTelemetry and
StatsD `recloser.rejected_calls`. A test compares this table with the documentation, the
dashboard and the alert rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .. import CountWindow, Kind, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .. import Snapshot, TimeWindow


class Merge(Enum):
    """How the figures of several breakers under one name, or of several workers, are one."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, eq=False)
class Figure:
    """One line of the table."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    """Labels in their order, the breaker's name first."""
    merge: Merge = Merge.SUM
    is_counter: bool = True
    """Whether it only grows."""
    unit: str = ""
    """`seconds`, or nothing for a number of something."""
    of: str = "1"
    """What is counted, as OpenTelemetry writes units."""

    @property
    def full_name(self) -> str:
        """The name with its unit."""
        return f"{self.name}_{self.unit}" if self.unit else self.name


def _counter(
    name: str, meaning: str, *labels: str, of: str = "{call}", unit: str = ""
) -> Figure:
    return Figure(name, meaning, ("name", *labels), unit=unit, of=of)


def _gauge(
    name: str,
    meaning: str,
    *labels: str,
    merge: Merge = Merge.MAX,
    of: str = "1",
    unit: str = "",
) -> Figure:
    return Figure(
        name, meaning, ("name", *labels), merge, is_counter=False, unit=unit, of=of
    )


CALLS = _counter("calls", "Calls that ended, by outcome.", "outcome")
SLOW = _counter("slow_calls", "Calls that took `slower_than` or longer.")
CANCELLED = _counter("cancelled_calls", "Neutral calls that were cancelled.")
REJECTED = _counter("rejected_calls", "Calls that were not made.")
FALLBACKS = _counter("fallbacks", "Fallbacks that ran instead of a rejected call.")
TRANSITIONS = _counter(
    "transitions",
    "Changes of state, by the states before and after.",
    *("before", "after"),
    of="{transition}",
)
SPENT = _counter(
    "state",
    "Time spent in each state, of all breakers.",
    "state",
    unit="seconds",
    of="s",
)
LATE = _counter("late_results", "Outcomes of an earlier period; they changed nothing.")
LOST = _counter(
    "lost_probes", "Probes whose lease ended before their outcome came.", of="{probe}"
)
MISHAPS = _counter(
    "callback_errors", "Errors raised by predicates and listeners.", of="{error}"
)
WOULD_TRIP = _counter(
    "would_trip", "Metrics only: how often it would have opened.", of="{transition}"
)
WOULD_REJECT = _counter(
    "would_reject", "Metrics only: calls that would have been rejected."
)
FOLDED = Figure(
    "folded_breakers",
    "Breakers that share the name `other`, for lack of room.",
    of="{breaker}",
)

STATE = _gauge(
    "state",
    "Breakers in each state: 0 or 1 for a single one.",
    "state",
    merge=Merge.SUM,
    of="{breaker}",
)
RETRY_AFTER = _gauge(
    "retry_after",
    "Time until a call may be admitted; 0 if one may be now, and if forced open.",
    unit="seconds",
    of="s",
)
STREAK = _gauge("streak", "Failures since the last success.", of="{call}")
PROBES = _gauge(
    "probes", "Probes in flight that hold a place.", merge=Merge.SUM, of="{probe}"
)
FAILURE_RATE = _gauge(
    "failure_rate",
    "Fraction of a window's calls that failed; 0 without calls.",
    "window",
)
SLOW_RATE = _gauge(
    "slow_rate",
    "Fraction of a window's calls that were slow; 0 without calls.",
    "window",
)
WINDOW_CALLS = _gauge(
    "window_calls", "Calls in a window.", "window", merge=Merge.SUM, of="{call}"
)
READ_AT = Figure(
    "read_at",
    "When the figures were read, in seconds since 1970.",
    merge=Merge.MIN,
    is_counter=False,
    unit="seconds",
    of="s",
)

FIGURES: tuple[Figure, ...] = (
    *(CALLS, SLOW, CANCELLED, REJECTED, FALLBACKS, TRANSITIONS, SPENT, LATE, LOST),
    *(MISHAPS, WOULD_TRIP, WOULD_REJECT, FOLDED),
    *(STATE, RETRY_AFTER, STREAK, PROBES, FAILURE_RATE, SLOW_RATE, WINDOW_CALLS),
    READ_AT,
)

Series = tuple[Figure, tuple[str, ...]]
"""A figure with the values of its labels."""

OUTCOMES = tuple(kind.value for kind in Kind)
STATES = tuple(state.value for state in State)
_USUAL = (
    (State.CLOSED, State.OPEN),
    (State.OPEN, State.HALF_OPEN),
    (State.HALF_OPEN, State.OPEN),
    (State.HALF_OPEN, State.CLOSED),
)


def zeros(name: str) -> Iterator[Series]:
    """Return the series of counters that a name has from its first moment on."""
    for figure in FIGURES:
        if figure.is_counter and figure.labels == ("name",):
            yield figure, (name,)
    yield from ((CALLS, (name, outcome)) for outcome in OUTCOMES)
    yield from ((SPENT, (name, state)) for state in STATES)
    yield from ((TRANSITIONS, (name, *pair)) for pair in _USUAL)


def counters(name: str, now: Snapshot) -> Iterator[tuple[Series, float]]:
    """Return everything that only grows."""
    totals = now.totals
    yield (CALLS, (name, Kind.SUCCESS.value)), totals.successes
    yield (CALLS, (name, Kind.FAILURE.value)), totals.failures
    yield (CALLS, (name, Kind.NEUTRAL.value)), totals.neutral
    yield (SLOW, (name,)), totals.slow
    yield (CANCELLED, (name,)), totals.cancelled
    yield (REJECTED, (name,)), totals.rejected
    yield (FALLBACKS, (name,)), totals.fallbacks
    yield (LATE, (name,)), totals.late
    yield (LOST, (name,)), totals.lost
    yield (MISHAPS, (name,)), totals.callback_errors
    yield (WOULD_TRIP, (name,)), totals.would_trip
    yield (WOULD_REJECT, (name,)), totals.would_reject
    for pair, times in now.transitions.items():
        yield (TRANSITIONS, (name, *pair)), times
    for state, seconds in now.seconds.items():
        yield (SPENT, (name, state)), seconds


def states(name: str, state: State | None) -> Iterator[tuple[Series, float]]:
    """Return one series per state: all of them 0 but that of `state`."""
    for one in State:
        yield (STATE, (name, one.value)), float(one is state)


def gauges(
    name: str, now: Snapshot, windows: Sequence[CountWindow | TimeWindow]
) -> Iterator[tuple[Series, float]]:
    """Return what goes up and down, but for the states."""
    yield (RETRY_AFTER, (name,)), now.retry_after or 0.0
    yield (STREAK, (name,)), now.streak or 0
    yield (PROBES, (name,)), now.probes
    for window in windows:
        labels = (name, window_label(window))
        failure_rate, slow_rate = now.rates.get(window, (None, None))
        counts = now.counts.get(window)
        yield (FAILURE_RATE, labels), failure_rate or 0.0
        yield (SLOW_RATE, labels), slow_rate or 0.0
        yield (WINDOW_CALLS, labels), counts.calls if counts else 0


def window_label(window: CountWindow | TimeWindow) -> str:
    """Return `60s` for a minute and `100calls` for a hundred calls."""
    if isinstance(window, CountWindow):
        return f"{window.size}calls"
    return f"{window.seconds:g}s"
