"""How long to stay open: a fixed wait, or one that grows with each trip.

Jitter is on by default, so that everything that opened together does not probe
together (reddit/baseplate.py 697 tells of a fleet that did).
"""

from __future__ import annotations

import math

from . import ranges
from .values import Value

_JITTER = 0.1
_LONGEST_HINT = 300.0  # Envoy's and Finagle's longest ejection: five minutes


class Recovery(Value):
    """How long the circuit stays open before the first probe.

    Immutable; the policies are a closed set.
    """

    jitter: float
    longest_hint: float

    def wait(self, trips: int, chance: float, hint: float | None = None) -> float:
        """Return the wait in seconds.

        Args:
            trips: Which trip in a row this is, from 1.
            chance: A number in [0, 1) that places the wait within its jitter.
            hint: What the server asked for (Retry-After), in seconds. It may lengthen
                the wait, up to `longest_hint`; never shorten it. Jitter only adds to it.
        """
        wait = self.base(trips) * (1 + self.jitter * (2 * chance - 1))
        if hint is None:
            return wait
        return max(wait, min(hint * (1 + self.jitter * chance), self.longest_hint))

    def base(self, trips: int) -> float:
        """Return the wait before jitter and hint."""
        raise NotImplementedError

    @property
    def longest(self) -> float:
        """The longest wait that the policy can make, hints included."""
        raise NotImplementedError

    def remembered(self, trips: int, healthy: float) -> int:
        """Return how many past trips still count after `healthy` seconds closed."""
        raise NotImplementedError


class Wait(Recovery):
    """Wait the same time after every trip.

    Args:
        seconds: > 0, or a `timedelta`. Default 30.
        jitter: Fraction in [0, 1): each wait is spread evenly over plus or minus this
            part of it. Default 0.1.
        longest_hint: Ceiling in seconds, > 0, of a wait lengthened by the server's
            hint. Default 300.
    """

    seconds: float

    def __init__(
        self,
        seconds: float = 30.0,
        *,
        jitter: float = _JITTER,
        longest_hint: float = _LONGEST_HINT,
    ) -> None:
        """Check every number."""
        super().__init__(
            seconds=ranges.seconds("seconds", seconds),
            jitter=ranges.share("jitter", jitter),
            longest_hint=ranges.seconds("longest_hint", longest_hint),
        )

    def base(self, trips: int) -> float:
        """Return the one wait."""
        return self.seconds

    @property
    def longest(self) -> float:
        """The wait with all its jitter, or the longest hint."""
        return max(self.seconds * (1 + self.jitter), self.longest_hint)

    def remembered(self, trips: int, healthy: float) -> int:
        """Forget at once: every wait is the same."""
        return 0

    def __repr__(self) -> str:
        """Show how to make it."""
        return f"Wait({self.seconds:g}, jitter={self.jitter:g})"

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.seconds:g} s, give or take {self.jitter:.0%}".replace("%", " %")


class Backoff(Recovery):
    """Wait longer with each trip in a row, up to a ceiling.

    The memory of past trips fades with healthy time instead of vanishing on one
    success: each `fade` seconds closed forget one trip (after Envoy's outlier
    detection, whose ejection multiplier decays one step per healthy interval).

    Args:
        initial: Wait after the first trip, > 0, in seconds or as a `timedelta`.
        factor: Growth per trip in a row, at least 1. Default 2.
        maximum: Longest wait, jitter included, at least `initial`. Default 300.
        jitter: Fraction in [0, 1) by which each wait is spread. Default 0.1.
        fade: Seconds closed that forget one trip, > 0. Default `maximum`.
        longest_hint: Ceiling in seconds of a wait lengthened by the server's hint.
            Default 300.
    """

    initial: float
    factor: float
    maximum: float
    fade: float

    def __init__(
        self,
        initial: float,
        *,
        factor: float = 2.0,
        maximum: float = 300.0,
        jitter: float = _JITTER,
        fade: float | None = None,
        longest_hint: float = _LONGEST_HINT,
    ) -> None:
        """Check every number, and that the ceiling is above the floor."""
        first = ranges.seconds("initial", initial)
        longest = ranges.seconds("maximum", maximum)
        if longest < first:
            msg = f"maximum must be at least initial ({first:g} s), got {maximum!r}"
            raise ValueError(msg)
        super().__init__(
            initial=first,
            factor=ranges.at_least("factor", factor, 1),
            maximum=longest,
            jitter=ranges.share("jitter", jitter),
            fade=longest if fade is None else ranges.seconds("fade", fade),
            longest_hint=ranges.seconds("longest_hint", longest_hint),
        )

    def base(self, trips: int) -> float:
        """Return the grown wait, so far below the ceiling that jitter cannot pass it."""
        ceiling = self.maximum / (1 + self.jitter)
        if self.initial >= ceiling or self.factor == 1:
            return min(self.initial, ceiling)
        steps = math.log(ceiling / self.initial) / math.log(self.factor)
        return (
            ceiling if trips - 1 >= steps else self.initial * self.factor ** (trips - 1)
        )

    @property
    def longest(self) -> float:
        """The maximum, or the longest hint."""
        return max(self.maximum, self.longest_hint)

    def remembered(self, trips: int, healthy: float) -> int:
        """Forget one trip for each `fade` seconds closed."""
        return max(0, trips - math.floor(healthy / self.fade))

    def __str__(self) -> str:
        """Say it in words."""
        growth = f"{self.initial:g} s times {self.factor:g} per trip"
        return f"{growth}, at most {self.maximum:g} s"
