"""What is remembered: sliding windows, and what they add up to.

A window says which calls are still inside. It holds no calls itself; recorders do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from . import ranges
from .hints import TYPE_CHECKING, NamedTuple
from .values import Value

if TYPE_CHECKING:
    from .budget import Budget, Score


class CountWindow(Value):
    """The last `size` calls, however old they are.

    It knows no age: a failure leaves it only when `size` newer calls have ended.

    Args:
        size: Number of calls, at least 1. A larger window costs no more per call.
    """

    size: int

    def __init__(self, size: int) -> None:
        """Check the size."""
        super().__init__(size=ranges.whole("size", size))

    def __hash__(self) -> int:
        """Hash the size: windows are looked up at every failure."""
        return self.size

    def __str__(self) -> str:
        """Name the calls inside, for reasons and explanations."""
        return f"the last {self.size} calls"


_SHORTEST = 0.001  # a bucket of it is near the resolution of a clock


class TimeWindow(Value):
    """The calls that ended in the last `seconds`.

    Kept in ten buckets, so it covers between nine and ten tenths of `seconds`; a call
    belongs to the bucket in which it ended. Ages while idle, too.

    Args:
        seconds: Length, > 0, in seconds or as a `timedelta`.
    """

    BUCKETS = 10  # linkerd, opossum and Polly settled on ten: 10 % of the length is fine enough

    seconds: float

    def __init__(self, seconds: float) -> None:
        """Check the length."""
        super().__init__(seconds=ranges.seconds("seconds", seconds))
        if self.seconds < _SHORTEST:
            msg = f"seconds must be at least {_SHORTEST:g}, got {seconds!r}"
            raise ValueError(msg)

    @property
    def width(self) -> float:
        """Seconds in one bucket."""
        return self.seconds / self.BUCKETS

    def bucket(self, now: float) -> int:
        """Return the number of the bucket that `now` falls into."""
        return math.floor(now / self.width)

    def __hash__(self) -> int:
        """Hash the length: windows are looked up at every failure."""
        return hash(self.seconds)

    def __str__(self) -> str:
        """Name the calls inside, for reasons and explanations."""
        return f"the last {self.seconds:g} s"


Window = CountWindow | TimeWindow


class Counts(NamedTuple):
    """What a window adds up to.

    A slow call that was cancelled is in `slow` and `slow_calls` only: it says that the
    dependency is slow, and neither that it failed nor that it answered.
    """

    calls: int = 0
    """Successes and failures."""
    failures: int = 0
    slow: int = 0
    """Calls that returned, failed or were cancelled after `slower_than` or later."""
    slow_calls: int = 0
    """Calls of which slowness is known: the denominator of `slow`."""

    @property
    def failure_rate(self) -> float | None:
        """Fraction of the calls that failed, or None without calls."""
        return self.failures / self.calls if self.calls else None

    @property
    def slow_rate(self) -> float | None:
        """Fraction of the calls that were slow, or None without calls."""
        return self.slow / self.slow_calls if self.slow_calls else None

    def minus(self, other: Counts) -> Counts:
        """Return what was added since `other`."""
        return Counts(
            self.calls - other.calls,
            self.failures - other.failures,
            self.slow - other.slow,
            self.slow_calls - other.slow_calls,
        )


class Evidence(NamedTuple):
    """All that trip rules may look at, read once."""

    streak: int = 0
    """Failures since the last success."""
    slow_streak: int = 0
    """Failures and slow calls since the last call that was fast and good."""
    counts: Mapping[Window, Counts] = {}
    """What each window of the policy adds up to."""
    since: Mapping[tuple[int, bool], float] = {}
    """When the n-th last call of a streak ended: (n, slow streak?) to clock seconds."""
    scores: Mapping[Budget, Score] = {}
    """The score of each budget of the policy, as of its last failure or slow call."""
