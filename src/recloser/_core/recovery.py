"""How long to stay open: a fixed wait, or one that grows with trips or with the outage.

Jitter is on by default, so that everything that opened together does not probe
together (reddit/baseplate.py 697 tells of a fleet that did).
"""

from __future__ import annotations

import math

from . import ranges
from .values import Value

_JITTER = 0.1
_LONGEST_HINT = 300.0  # Envoy's and Finagle's longest ejection: five minutes
_BY_HAND = 30.0


class Recovery(Value):
    """How long the circuit stays open before the first probe.

    Immutable; the policies are a closed set.
    """

    jitter: float
    longest_hint: float

    @property
    def waived_after(self) -> float:
        """Seconds open after which a probe needs no rejected calls."""
        return 0.0

    def wait(
        self, trips: int, chance: float, hint: float | None = None, dead: float = 0.0
    ) -> float:
        """Return the wait in seconds.

        Args:
            trips: Which trip in a row this is, from 1.
            chance: A number in [0, 1) that places the wait within its jitter.
            hint: What the server asked for (Retry-After), in seconds. It may lengthen
                the wait, up to `longest_hint`; never shorten it. Jitter only adds to it.
            dead: Seconds since the outage began, 0 at its first trip.
        """
        wait = self.base(trips, dead) * (1 + self.jitter * (2 * chance - 1))
        if hint is None:
            return wait
        return max(wait, min(hint * (1 + self.jitter * chance), self.longest_hint))

    def base(self, trips: int, dead: float = 0.0) -> float:
        """Return the wait before jitter and hint."""
        raise NotImplementedError

    def missing(self, rejected: int, opened: float) -> int:
        """Return how many more calls must be rejected before one may probe.

        Args:
            rejected: Calls rejected since the circuit opened.
            opened: Seconds since then.
        """
        return 0

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

    def base(self, trips: int, dead: float = 0.0) -> float:
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

    def base(self, trips: int, dead: float = 0.0) -> float:
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


class Adaptive(Recovery):
    """Wait a fraction of the time that the dependency has been dead.

    So the wait is never much more than that fraction of the outage, whatever its length:
    doubling waits overshoot, and a fixed one is too long for a blip and wastes calls on
    a long outage. `docs/recovery.md` has the measurements behind every default.

    The outage begins when the circuit opens from closed, or when a ramp is aborted, and
    lasts until enough probes have succeeded. So failed probes lengthen the wait, and an
    aborted ramp starts again with the shortest.

    The reject rule: a probe also needs some calls to have been rejected since the
    circuit opened. It keeps the probes of every client below a share of its traffic, so
    that a fleet of small clients cannot hammer a dead server, and measures no rate.
    Callers that wait for a place count once their time is up.

    Args:
        fraction: Of the time dead, > 0 and at most 1. Default 0.1.
        minimum: Shortest wait before jitter, > 0, in seconds or as a `timedelta`.
            Default 1.
        maximum: Longest wait before jitter, at least `minimum`. Default 30.
        jitter: Fraction in [0, 1): each wait is spread evenly over plus or minus this
            part of it. Default 0.25.
        rejections: Calls that must be rejected before one probes, at least 0. Default 10.
        waiver: Seconds open, > 0, after which a probe needs no rejected calls. Default
            30.
        longest_hint: Ceiling in seconds, > 0, of a wait that the server asks for. Its
            hint replaces the wait, also a longer one, but no wait is shorter than
            `minimum`; jitter only adds to it. Default `maximum`: a server that asks for
            an hour in a blip is not obeyed.
    """

    fraction: float
    minimum: float
    maximum: float
    rejections: int
    waiver: float

    def __init__(
        self,
        fraction: float = 0.1,
        *,
        minimum: float = 1.0,
        maximum: float = 30.0,
        jitter: float = 0.25,
        rejections: int = 10,
        waiver: float = 30.0,
        longest_hint: float | None = None,
    ) -> None:
        """Check every number, and that the ceiling is above the floor."""
        shortest = ranges.seconds("minimum", minimum)
        longest = ranges.seconds("maximum", maximum)
        if longest < shortest:
            msg = f"maximum must be at least minimum ({shortest:g} s), got {maximum!r}"
            raise ValueError(msg)
        hint = longest if longest_hint is None else longest_hint
        super().__init__(
            fraction=ranges.rate("fraction", fraction),
            minimum=shortest,
            maximum=longest,
            jitter=ranges.share("jitter", jitter),
            rejections=ranges.whole("rejections", rejections, 0),
            waiver=ranges.seconds("waiver", waiver),
            longest_hint=ranges.seconds("longest_hint", hint),
        )

    def wait(
        self, trips: int, chance: float, hint: float | None = None, dead: float = 0.0
    ) -> float:
        """Return the wait in seconds; a hint replaces it, within its ceiling."""
        if hint is None:
            return super().wait(trips, chance, None, dead)
        asked = max(self.minimum, min(hint, self.longest_hint))
        return asked * (1 + self.jitter * chance)

    def base(self, trips: int, dead: float = 0.0) -> float:
        """Return the fraction of the time dead, within its bounds."""
        return min(max(self.fraction * dead, self.minimum), self.maximum)

    @property
    def longest(self) -> float:
        """The maximum, or the longest hint, with all its jitter."""
        return max(self.maximum, self.longest_hint) * (1 + self.jitter)

    def remembered(self, trips: int, healthy: float) -> int:
        """Forget at once: the wait grows with the outage, not with trips."""
        return 0

    @property
    def waived_after(self) -> float:
        """The waiver of the reject rule."""
        return self.waiver

    def missing(self, rejected: int, opened: float) -> int:
        """Count what is missing, until the waiver."""
        return 0 if opened >= self.waiver else max(0, self.rejections - rejected)

    def __str__(self) -> str:
        """Say it in words."""
        part = f"{100 * self.fraction:g} % of the time dead"
        return f"{part}, from {self.minimum:g} s to {self.maximum:g} s"


class Shed(Recovery):
    """Reject a share of the calls instead of opening, for steady partial errors.

    A trip begins to shed. From then on the share of the calls that is rejected is
    `(calls - k * accepted) / (calls + 1)`, set anew each second from what came and what
    the dependency answered lately: the client-side throttling of Google's SRE book.
    Rejected calls count as calls, on purpose. The circuit closes when nothing has been
    shed for as long as it remembers.

    It pays where failures do not depend on load (one bad shard, 10 to 60 % errors).
    Where overload is the cause it keeps the queue full, and an opening is better:
    `docs/recovery.md` has the figures. While it sheds the state is half_open, and
    `snapshot().admitting` is the share that goes through. A circuit that is opened by
    hand or by a link stays open for 30 s and then sheds. Probes are not used.

    Args:
        k: Calls that are sent for each one that is answered, at least 1. With 2 nothing
            is shed up to 50 % errors. Default 2.
        memory: Seconds, > 0, over which calls are remembered; half of it is their mean
            age. Default 120.
        floor: Share of the calls that always goes through, in (0, 1], so that recovery
            is seen. Default 0.05.
    """

    k: float
    memory: float
    floor: float

    def __init__(
        self, k: float = 2.0, *, memory: float = 120.0, floor: float = 0.05
    ) -> None:
        """Check every number."""
        super().__init__(
            k=ranges.at_least("k", k, 1),
            memory=ranges.seconds("memory", memory),
            floor=ranges.rate("floor", floor),
            jitter=_JITTER,
            longest_hint=_BY_HAND,
        )

    def base(self, trips: int, dead: float = 0.0) -> float:
        """Return how long a circuit that was opened by hand stays open."""
        return _BY_HAND

    @property
    def longest(self) -> float:
        """The one wait, with all its jitter."""
        return _BY_HAND * (1 + self.jitter)

    def remembered(self, trips: int, healthy: float) -> int:
        """Forget at once."""
        return 0

    def __str__(self) -> str:
        """Say it in words."""
        return f"nothing, but shed beyond {self.k:g} calls for each that is answered"
