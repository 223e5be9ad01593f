"""What a trip rule is, and how rules are combined."""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Any, Self, cast
from ..values import Value

if TYPE_CHECKING:
    from ..budget import Budget
    from ..outcomes import Outcome
    from ..windows import Evidence, Window


class TripRule(Value):
    """One reason to open the circuit. Combine rules with `|` (any) and `&` (all).

    Immutable; share it between breakers and threads at will. The rules are a closed
    set: subclassing one outside this library is not supported.
    """

    def wakes(self, outcome: Outcome) -> bool:
        """Tell whether a call that ended like this can have made the rule true."""
        raise NotImplementedError

    def judge(self, evidence: Evidence, outcome: Outcome, now: float) -> str | None:
        """Return the reason to trip after `outcome`, with its figures, or None."""
        raise NotImplementedError

    @property
    def windows(self) -> tuple[Window, ...]:
        """The distinct windows the rule looks at."""
        return ()

    @property
    def slow_limit(self) -> float | None:
        """Seconds from which a call is slow, or None if nobody asks."""
        return None

    @property
    def spans(self) -> tuple[tuple[int, bool], ...]:
        """Streaks whose age matters: (length, slow streak?)."""
        return ()

    @property
    def watches_slow_streak(self) -> bool:
        """Whether slow calls lengthen a streak."""
        return False

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets that a score is kept for."""
        return ()

    def __or__(self, other: object) -> AnyOf:
        """Trip when either rule holds."""
        if not isinstance(other, TripRule):
            return NotImplemented
        return AnyOf(self, other)

    def __and__(self, other: object) -> AllOf:
        """Trip when both rules hold at one reading of the evidence."""
        if not isinstance(other, TripRule):
            return NotImplemented
        return AllOf(self, other)


class _Several(TripRule):
    """Rules that are judged together."""

    rules: tuple[TripRule, ...]

    def __init__(self, *rules: TripRule) -> None:
        """Flatten nested rules of the same kind, and agree on what slow means."""
        flat: list[TripRule] = []
        for rule in cast("tuple[object, ...]", rules):  # whatever the caller passed
            if not isinstance(rule, TripRule):
                msg = f"a trip rule must be combined with trip rules, got {rule!r}"
                raise TypeError(msg)
            flat.extend(rule.rules if isinstance(rule, type(self)) else (rule,))
        limits = {rule.slow_limit for rule in flat} - {None}
        if len(limits) > 1:
            both = " and ".join(f"{limit:g}" for limit in sorted(filter(None, limits)))
            msg = f"one breaker has one slower_than: a policy cannot have {both}"
            raise ValueError(msg)
        super().__init__(rules=tuple(flat))

    def replace(self, **changes: Any) -> Self:  # the one field, checked by __init__
        """Return the same kind of rule over other rules."""
        return type(self)(*changes.pop("rules", self.rules), **changes)

    def wakes(self, outcome: Outcome) -> bool:
        """Be asked when any part would be."""
        return any(rule.wakes(outcome) for rule in self.rules)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The distinct windows of all parts."""
        return tuple(dict.fromkeys(w for rule in self.rules for w in rule.windows))

    @property
    def slow_limit(self) -> float | None:
        """The one limit that the parts agree on."""
        limits = (rule.slow_limit for rule in self.rules)
        return next((limit for limit in limits if limit is not None), None)

    @property
    def spans(self) -> tuple[tuple[int, bool], ...]:
        """The streaks of all parts."""
        return tuple(dict.fromkeys(s for rule in self.rules for s in rule.spans))

    @property
    def watches_slow_streak(self) -> bool:
        """Whether any part does."""
        return any(rule.watches_slow_streak for rule in self.rules)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The distinct budgets of all parts."""
        return tuple(dict.fromkeys(b for rule in self.rules for b in rule.budgets))


class AnyOf(_Several):
    """Trip when any of the rules holds; the reason lists every rule that does."""

    def judge(self, evidence: Evidence, outcome: Outcome, now: float) -> str | None:
        """Collect the reasons of the rules that hold, of those asked now."""
        asked = (rule for rule in self.rules if rule.wakes(outcome))
        reasons = [rule.judge(evidence, outcome, now) for rule in asked]
        return "; ".join(filter(None, reasons)) or None

    def __str__(self) -> str:
        """Say it in words."""
        return ", or ".join(map(str, self.rules))


class AllOf(_Several):
    """Trip when all of the rules hold at one reading of the evidence."""

    def judge(self, evidence: Evidence, outcome: Outcome, now: float) -> str | None:
        """Collect the reasons, or give none if one is missing."""
        reasons = [rule.judge(evidence, outcome, now) for rule in self.rules]
        return "; and ".join(filter(None, reasons)) if all(reasons) else None

    def __str__(self) -> str:
        """Say it in words."""
        return " and ".join(f"({rule})" for rule in self.rules)


def percent(rate: float) -> str:
    """Return a fraction as people write it."""
    return f"{rate * 100:.3g} %"
