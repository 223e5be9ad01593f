"""Trip when a score says that luck no longer explains it: see `_core/budget`."""

from __future__ import annotations

from .. import ranges
from ..budget import Budget
from ..hints import TYPE_CHECKING, Any, Self
from ..outcomes import Kind
from .rule import TripRule, percent

if TYPE_CHECKING:
    from datetime import timedelta

    from ..budget import Score
    from ..outcomes import Outcome
    from ..windows import Evidence

MONTH = 30 * 86_400.0
_DAY = 86_400.0
_HOUR = 3_600.0
_OFTENEST = 1 / 3600  # above it, fewer than three failures could open a circuit
_RAREST = 1 / (1000 * 365 * _DAY)  # a guard against numbers without a meaning
_UNACCEPTABLE = (0.1, 0.8)
_LONGEST_SETTLE = 5.0


class FalseTripBudget(TripRule):
    """Trip when failures can no longer be bad luck, at a stated risk of being wrong.

    Say how often it may open although nothing changed; how much evidence that takes
    follows from the traffic and from the failure rate that is usual here, which is
    learned. It is as fast as five in a row where failures are rare, and waits for more
    where they are not. A success costs what it costs a streak.

    Not for calls rarer than one in half an hour, and not where "exactly the fifth
    failure" is the contract: use `ConsecutiveFailures`. If the usual rate jumps between
    tolerable levels, each jump has a risk of its own beyond the budget.

    Args:
        false_trips: How often in `per` it may open wrongly, > 0; at most once an hour
            and at least once in 1,000 years. Default 1.
        per: Seconds, or a `timedelta`. Default 30 days.
        unacceptable: Failure rate, a fraction in [0.1, 0.8], at which the dependency
            should be cut off. Default 0.5. A choice of value, so it is not learned:
            opening at a rate q saves q failing calls and loses 1 - q good ones. Rates
            up to 0.4 of it can become usual and then never open the circuit.
        settle: Seconds from 0 to 5, or a `timedelta`: trouble shorter than this opens
            nothing. Default None: a hundredth of the first wait of the policy's
            recovery, within 0.1 and 1.
        slower_than: Seconds, > 0, or a `timedelta`: calls that take at least that long
            are judged like failures, by a score of their own with a usual rate of its
            own. Each of the two then has half of the budget. Default None: slowness
            means nothing. One value per breaker.

    Source: `_core/budget` has the theory, its conditions and its gaps.
    """

    false_trips: float
    per: float
    unacceptable: float
    settle: float | None
    slower_than: float | None

    def __init__(
        self,
        false_trips: float = 1,
        *,
        per: float | timedelta = MONTH,
        unacceptable: float = 0.5,
        settle: float | timedelta | None = None,
        slower_than: float | timedelta | None = None,
    ) -> None:
        """Check every number."""
        super().__init__(
            false_trips=_more_than_none("false_trips", false_trips),
            per=ranges.seconds("per", per),
            unacceptable=_unacceptable(unacceptable),
            settle=None if settle is None else _settle(settle),
            slower_than=ranges.optional_seconds("slower_than", slower_than),
        )
        if self.false_trips / self.per > _OFTENEST * (1 + 1e-9):
            msg = f"false_trips must be at most one an hour, got {false_trips!r} per {self.per:g} s"
            raise ValueError(msg)
        if self.false_trips / self.per < _RAREST:
            msg = f"false_trips must be at least one in 1000 years, got {false_trips!r} per {self.per:g} s"
            raise ValueError(msg)
        self.__dict__["_budgets"] = self._made()  # asked for at every failure

    def _made(self) -> tuple[Budget, ...]:
        kinds = (False,) if self.slower_than is None else (False, True)
        per_second = self.false_trips / self.per / len(kinds)
        return tuple(
            Budget(per_second, self.unacceptable, slow=slow, settle=self.settle)
            for slow in kinds
        )

    def wakes(self, outcome: Outcome) -> bool:
        """Be asked after a failure, and after a slow call where slowness counts."""
        slow = outcome.slow and self.slower_than is not None
        return outcome.kind is Kind.FAILURE or slow

    def judge(self, evidence: Evidence, outcome: Outcome, now: float) -> str | None:
        """Say which scores are full."""
        scores = ((budget, evidence.scores.get(budget)) for budget in self.budgets)
        reasons = [
            self._reason(budget, score)
            for budget, score in scores
            if score is not None and score.full
        ]
        return "; ".join(reasons) or None

    def _reason(self, budget: Budget, score: Score) -> str:
        what = "were slow" if budget.slow else "failed"
        text = f"{score.failures} of the last {score.calls} calls {what}"
        slow = f", slow is {self.slower_than:g} s" if budget.slow else ""
        if score.is_first():
            well = "was fast" if budget.slow else "succeeded"
            return f"{text}; none ever {well}{slow}"
        return f"{text}; usual is {percent(score.usual())}{slow}"

    @property
    def slow_limit(self) -> float | None:
        """The limit of this rule."""
        return self.slower_than

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """One for failures, and one for slow calls if they count."""
        budgets: tuple[Budget, ...] = self.__dict__["_budgets"]
        return budgets

    def replace(self, **changes: Any) -> Self:  # any field type: checked by __init__
        """Return a copy with some fields changed, checked like a new one."""
        fields = {name: getattr(self, name) for name in self._fields}
        return type(self)(**{**fields, **changes})

    def __str__(self) -> str:
        """Say it in words."""
        slow = (
            "" if self.slower_than is None else f" or calls of {self.slower_than:g} s"
        )
        trips = "trip" if self.false_trips == 1 else "trips"
        odds = f"{self.false_trips:g} false {trips} in {_in_units(self.per)}"
        share = f"{percent(self.unacceptable)} is unacceptable"
        return f"failures{slow} beyond bad luck ({odds}, {share})"


def _more_than_none(name: str, value: object) -> float:
    number = ranges.number(name, value)
    if number <= 0:
        msg = f"{name} must be more than 0, got {value!r}"
        raise ValueError(msg)
    return number


def _unacceptable(value: object) -> float:
    rate = ranges.rate("unacceptable", value)
    least, most = _UNACCEPTABLE
    if not least <= rate <= most:
        msg = f"unacceptable must be in [{least:g}, {most:g}], got {value!r}"
        raise ValueError(msg)
    return rate


def _settle(value: object) -> float:
    seconds = ranges.duration("settle", value)
    if seconds > _LONGEST_SETTLE:
        msg = f"settle must be at most {_LONGEST_SETTLE:g} seconds, got {value!r}"
        raise ValueError(msg)
    return seconds


def _in_units(seconds: float) -> str:
    for unit, name in ((_DAY, "day"), (_HOUR, "hour")):
        number = seconds / unit
        if number.is_integer():
            return f"{number:g} {name}{'' if number == 1 else 's'}"
    return f"{seconds:g} s"
