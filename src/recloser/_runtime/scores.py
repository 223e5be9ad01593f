"""The scores of one closed period, kept for the budgets of its rule.

Written and read under the circuit's lock only, by the recorder that owns it. A score is a
frozen value of constant size, replaced at each failure or slow call. Between two of them
nothing is written: how many calls went well is read from the recorder's counter, as the
difference from its value at the last one.
"""

from __future__ import annotations

from .._core.budget import Learned, Score, after_failure, known, read
from .._core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._core.budget import Budget, Reading

    Readings = tuple[Reading, ...]
    Usual = Mapping[bool, Learned]
    """What is usual of failures (False) and of slow calls (True)."""


class Scores:
    """One score for each budget, each with the count of good calls that it knows of."""

    __slots__ = ("_kept", "_settle")

    def __init__(
        self,
        budgets: tuple[Budget, ...],
        settle: float,
        usual: Usual,
        good: tuple[int, int],
        now: float,
    ) -> None:
        """Begin with no evidence.

        Args:
            budgets: What scores are kept for.
            settle: Seconds of trouble that open nothing, where a budget does not say.
            usual: What is known of before.
            good: Calls so far that did not fail, and that were not slow.
            now: When the period began.
        """
        self._settle = settle
        self._kept = {
            budget: (
                Score(usual.get(budget.slow, Learned()), now),
                good[budget.slow],
            )
            for budget in budgets
        }

    def fitted(
        self,
        budgets: tuple[Budget, ...],
        settle: float,
        good: tuple[int, int],
        now: float,
    ) -> Scores:
        """Return scores for other budgets; those that stay keep theirs."""
        other = Scores(budgets, settle, self.usual(good, now), good, now)
        other._kept.update(
            (budget, kept) for budget, kept in self._kept.items() if budget in budgets
        )
        return other

    def add(
        self, good: tuple[int, int], now: float, *, failed: bool, slow: bool
    ) -> None:
        """Count one call that failed, or was slow, or both."""
        for budget, (score, seen) in self._kept.items():
            if slow if budget.slow else failed:
                settle = self._settle if budget.settle is None else budget.settle
                well = _since(good[budget.slow], seen)
                after = after_failure(budget, settle, score, well, now)
                self._kept[budget] = after, good[budget.slow]

    def read(self, good: tuple[int, int]) -> dict[Budget, Score]:
        """Return the scores; one that was full is so until a call goes well."""
        return {
            budget: score._replace(full=False)
            if score.full and good[budget.slow] > seen
            else score
            for budget, (score, seen) in self._kept.items()
        }

    def usual(self, good: tuple[int, int], now: float) -> dict[bool, Learned]:
        """Return what is usual by now; of several scores of a kind, by most calls."""
        found: dict[bool, Learned] = {}
        for budget, (score, seen) in self._kept.items():
            learned = known(budget, score, _since(good[budget.slow], seen), now)
            best = found.get(budget.slow)
            if best is None or learned.calls > best.calls:
                found[budget.slow] = learned
        return found

    def readings(self, good: tuple[int, int], now: float) -> Readings:
        """Return the scores as people read them."""
        return tuple(
            read(budget, score, _since(good[budget.slow], seen), now)
            for budget, (score, seen) in self._kept.items()
        )


def _since(good: int, seen: int) -> int:
    """Return the good calls since; a count that a hung call takes back is not negative."""
    return max(0, good - seen)
