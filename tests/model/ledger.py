"""A record of everything that ever ended, and slow ways to read it.

This is what a recorder must agree with: plain lists that are never shortened, read from
the end, with no counter and no cleverness.
"""

from __future__ import annotations

from typing import NamedTuple

from recloser._core.outcomes import Kind
from recloser._core.windows import Counts, CountWindow, Window


class Ended(NamedTuple):
    """One call that ended."""

    kind: Kind
    slow: bool
    at: float
    counted: bool = False
    """Whether it was counted as slow while it was out."""

    @property
    def is_call(self) -> bool:
        """Whether it says that the dependency answered or failed."""
        return self.kind is not Kind.NEUTRAL

    @property
    def is_timed(self) -> bool:
        """Whether it says how fast the dependency is."""
        return (self.is_call or self.slow) and not self.counted


class Ledger:
    """Every call of one period, in the order in which they ended."""

    def __init__(self) -> None:
        """Begin with an empty page."""
        self.ended: list[Ended] = []

    def add(
        self, kind: Kind, at: float, *, slow: bool = False, counted: bool = False
    ) -> None:
        """Write down one more."""
        self.ended.append(Ended(kind, slow, at, counted))

    def row(self, begun: int = 0, *, slow: bool = False) -> list[Ended]:
        """Return the failures in a row that the last calls were, the oldest first.

        Args:
            begun: Entries before this one are not looked at.
            slow: Whether slow calls belong to the row too.
        """
        found: list[Ended] = []
        for call in reversed(self.ended[begun:]):
            if call.counted and slow:
                continue  # what it says of slowness is there already
            if call.kind is Kind.FAILURE or (slow and call.slow):
                found.append(call)
            elif call.kind is Kind.SUCCESS:
                break
        return found[::-1]

    def counts(self, window: Window, now: float, begun: int = 0) -> Counts:
        """Return what a window adds up to that was opened at entry `begun`."""
        seen = self.ended[begun:]
        calls = [call for call in seen if call.is_call]
        timed = [call for call in seen if call.is_timed]
        if isinstance(window, CountWindow):
            calls, timed = calls[-window.size :], timed[-window.size :]
        else:
            first = int(now // window.width) - 9
            calls = [call for call in calls if call.at // window.width >= first]
            timed = [call for call in timed if call.at // window.width >= first]
        failures = sum(call.kind is Kind.FAILURE for call in calls)
        return Counts(
            len(calls), failures, sum(call.slow for call in timed), len(timed)
        )

    def totals(self) -> Counts:
        """Return what the whole period adds up to."""
        return self.counts(CountWindow(len(self.ended) + 1), 0.0)
