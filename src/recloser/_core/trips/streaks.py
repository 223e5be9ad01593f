"""Trip after a number of failures in a row."""

from __future__ import annotations

from math import inf

from .. import ranges
from ..durations import counted
from ..hints import TYPE_CHECKING
from ..outcomes import Kind
from .rule import TripRule

if TYPE_CHECKING:
    from ..outcomes import Outcome
    from ..windows import Evidence


class ConsecutiveFailures(TripRule):
    """Trip after a number of failures in a row.

    Args:
        failures: Length of the streak, at least 1. One success ends a streak; a
            neutral call neither ends nor lengthens it.
        slower_than: Seconds, > 0, or a `timedelta`. A call that took at least that long
            lengthens the streak, whether it returned, failed or was cancelled: this is
            how a timeout placed outside the breaker is seen. Default None: slowness
            means nothing.
        within: Seconds, > 0, or a `timedelta`: the greatest age of the streak, from the
            end of its first counted failure to now. Default None: failures of any age
            add up as long as no success comes between.
    """

    failures: int
    slower_than: float | None = None
    within: float | None = None

    def __init__(
        self,
        failures: int,
        *,
        slower_than: float | None = None,
        within: float | None = None,
    ) -> None:
        """Check every number."""
        super().__init__(
            failures=ranges.whole("failures", failures),
            slower_than=ranges.optional_seconds("slower_than", slower_than),
            within=ranges.optional_seconds("within", within),
        )

    def wakes(self, outcome: Outcome) -> bool:
        """Be asked after a failure, and after a slow call where slowness counts."""
        slow = outcome.slow and self.slower_than is not None
        return outcome.kind is Kind.FAILURE or slow

    def judge(self, evidence: Evidence, outcome: Outcome, now: float) -> str | None:
        """Compare the streak with its limit, and its age with `within`."""
        slow = self.slower_than is not None
        streak = evidence.slow_streak if slow else evidence.streak
        if streak < self.failures:
            return None
        bad = (
            ("failure or slow call", "failures or slow calls") if slow else ("failure",)
        )
        text = f"{counted(streak, *bad)} in a row"
        if self.within is None:
            return text
        age = now - evidence.since.get((self.failures, slow), -inf)
        return (
            f"{text}, the last {self.failures} in {age:.3g} s"
            if age <= self.within
            else None
        )

    @property
    def slow_limit(self) -> float | None:
        """The limit of this rule."""
        return self.slower_than

    @property
    def spans(self) -> tuple[tuple[int, bool], ...]:
        """Need the age of the streak only if there is a limit to it."""
        return (
            () if self.within is None else ((self.failures, self.watches_slow_streak),)
        )

    @property
    def watches_slow_streak(self) -> bool:
        """Follow slow calls only if told from when a call is slow."""
        return self.slower_than is not None

    def __str__(self) -> str:
        """Say it in words."""
        slow = (
            "" if self.slower_than is None else f" (or calls of {self.slower_than:g} s)"
        )
        within = "" if self.within is None else f" within {self.within:g} s"
        return f"{counted(self.failures, 'failure')}{slow} in a row{within}"
