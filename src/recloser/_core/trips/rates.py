"""Trip when a fraction of the calls in a window failed, or was slow."""

from __future__ import annotations

from .. import ranges
from ..hints import TYPE_CHECKING, Any, cast
from ..outcomes import Kind
from ..windows import Counts, CountWindow, TimeWindow, Window
from .rule import TripRule, percent

if TYPE_CHECKING:
    from ..outcomes import Outcome
    from ..windows import Evidence

_NOT_KEPT = (
    Counts()
)  # of a window that a recorder does not keep: it was reshaped meanwhile
_MINIMUM_CALLS = 20  # Hystrix' request volume: 20 calls before a rate means anything


class _Rate(TripRule):
    """What the two rates share: a window and a minimum of evidence."""

    rate: float
    window: Window
    minimum_calls: int

    def _evidence_is_enough(self, calls: int) -> bool:
        return calls >= self.minimum_calls

    @property
    def windows(self) -> tuple[Window, ...]:
        """The one window."""
        return (self.window,)

    def _text(self, what: str, part: int, whole: int) -> str:
        rates = f"{percent(part / whole)}, limit {percent(self.rate)}"
        return f"{part} of {whole} calls {what} in {self.window} ({rates})"


class FailureRate(_Rate):
    """Trip when a fraction of the calls in a window failed.

    Args:
        rate: Fraction in (0, 1]; the rule holds from this rate on.
        window: `TimeWindow(seconds)` or `CountWindow(size)`. Default 60 s.
        minimum_calls: Calls in the window before the rate means anything, at least 1
            and at most the size of a count window. Default 20, or that size if smaller.
    """

    def __init__(
        self,
        rate: float,
        *,
        window: Window | None = None,
        minimum_calls: int | None = None,
    ) -> None:
        """Check every number."""
        super().__init__(**_rate_fields(rate, window, minimum_calls))

    def wakes(self, outcome: Outcome) -> bool:
        """Be asked after a failure."""
        return outcome.kind is Kind.FAILURE

    def judge(self, evidence: Evidence, outcome: Outcome, now: float) -> str | None:
        """Compare the failure rate with its limit."""
        counts: Counts = evidence.counts.get(self.window, _NOT_KEPT)
        if not self._evidence_is_enough(counts.calls):
            return None
        if counts.failures / counts.calls < self.rate:
            return None
        return self._text("failed", counts.failures, counts.calls)

    def __str__(self) -> str:
        """Say it in words."""
        least = f"{percent(self.rate)} of {self.window}"
        return f"{least} failed (from {self.minimum_calls} calls)"


class SlowCallRate(_Rate):
    """Trip when a fraction of the calls in a window was slow.

    A call is slow when it returned, failed or was cancelled after `slower_than` or
    later. For a stream, the time to its first item counts.

    Args:
        rate: Fraction in (0, 1]; the rule holds from this rate on.
        slower_than: Seconds, > 0, or a `timedelta`. One value per breaker.
        window: `TimeWindow(seconds)` or `CountWindow(size)`. Default 60 s.
        minimum_calls: Timed calls in the window before the rate means anything, at least
            1 and at most the size of a count window. Default 20, or that size if smaller.
    """

    slower_than: float

    def __init__(
        self,
        rate: float,
        *,
        slower_than: float,
        window: Window | None = None,
        minimum_calls: int | None = None,
    ) -> None:
        """Check every number."""
        super().__init__(
            **_rate_fields(rate, window, minimum_calls),
            slower_than=ranges.seconds("slower_than", slower_than),
        )

    def wakes(self, outcome: Outcome) -> bool:
        """Be asked after a slow call, however it ended."""
        return outcome.slow

    def judge(self, evidence: Evidence, outcome: Outcome, now: float) -> str | None:
        """Compare the slow rate with its limit."""
        counts: Counts = evidence.counts.get(self.window, _NOT_KEPT)
        if not self._evidence_is_enough(counts.slow_calls):
            return None
        if counts.slow / counts.slow_calls < self.rate:
            return None
        text = self._text("were slow", counts.slow, counts.slow_calls)
        return f"{text}, slow is {self.slower_than:g} s"

    @property
    def slow_limit(self) -> float | None:
        """The limit of this rule."""
        return self.slower_than

    def __str__(self) -> str:
        """Say it in words."""
        least = f"{percent(self.rate)} of {self.window}"
        slow = f"took {self.slower_than:g} s or more"
        return f"{least} {slow} (from {self.minimum_calls} calls)"


def _rate_fields(
    rate: float, window: Window | None, minimum: int | None
) -> dict[str, Any]:
    if window is None:
        window = TimeWindow(60)
    if not isinstance(cast("object", window), Window):
        msg = f"window must be a CountWindow or a TimeWindow, got {window!r}"
        raise TypeError(msg)
    size = window.size if isinstance(window, CountWindow) else None
    if minimum is None:
        minimum = _MINIMUM_CALLS if size is None else min(_MINIMUM_CALLS, size)
    ranges.whole("minimum_calls", minimum)
    if size is not None and minimum > size:
        msg = (
            f"minimum_calls must be at most the window's {size} calls, got {minimum!r}"
        )
        raise ValueError(msg)
    return {
        "rate": ranges.rate("rate", rate),
        "window": window,
        "minimum_calls": minimum,
    }
