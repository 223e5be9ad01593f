"""When to trip: rules over evidence, each naming its reason.

A rule is asked only after a call that can have made it true: failure rules after a
failure, slow rules after a slow call. So a fast success never trips a circuit
(resilience4j evaluates on success too, which surprised its users: its issue 1754).
"""

from __future__ import annotations

from math import inf

from . import ranges
from .hints import Any, Self, cast
from .outcomes import Kind, Outcome
from .values import Value
from .windows import Counts, CountWindow, Evidence, TimeWindow, Window

_NOT_KEPT = (
    Counts()
)  # of a window that a recorder does not keep: it was reshaped meanwhile
_MINIMUM_CALLS = 20  # Hystrix' request volume: 20 calls before a rate means anything


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
            slower_than=_optional_seconds("slower_than", slower_than),
            within=_optional_seconds("within", within),
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
        what = "failures or slow calls" if slow else "failures"
        text = f"{streak} {what} in a row"
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
        return f"{self.failures} failures{slow} in a row{within}"


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
        rates = f"{_percent(part / whole)}, limit {_percent(self.rate)}"
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
        least = f"{_percent(self.rate)} of {self.window}"
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
        least = f"{_percent(self.rate)} of {self.window}"
        slow = f"took {self.slower_than:g} s or more"
        return f"{least} {slow} (from {self.minimum_calls} calls)"


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


def _percent(rate: float) -> str:
    return f"{rate * 100:.3g} %"


def _optional_seconds(name: str, value: object) -> float | None:
    return None if value is None else ranges.seconds(name, value)


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
