"""The return of traffic by shares: what a round of a ramp, or of shedding, comes to.

The part of `rules` that is about shares, pure as they are: values in, values out.

A ramp is slow start (TCP) over admission probabilities. A share that failed is
remembered as TCP's CUBIC remembers a window: growth beyond it begins gently and speeds
up. The numbers come from a simulation that is in `benchmarks/recovery`.
"""

from __future__ import annotations

import math

from . import ranges
from .hints import TYPE_CHECKING, cast
from .phases import Closed, Ramping, Shedding
from .recovery import Shed
from .values import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .phases import HalfOpen, Open, Phase
    from .recovery import Recovery

_CUT = 0.7  # of the share, where a part of a round's answers was bad
_HALF = 0.5  # of the share, where a ramp had to be given up
_FASTEST = 2.0  # growth per round beyond a safe share, where the steps say nothing
_SLOWEST = 1.5
ROUND = 1.0  # seconds between two settings of what Shed lets through


class Ramp(Value):
    """Let traffic return by shares once enough probes have succeeded.

    The circuit stays half_open and lets a share of the calls through, drawn at random or
    by the caller's key. At the end of a good round the share grows to the next step, and
    after a good round at 1 the circuit closes. A server that is cold, half back or
    stormed by waiting users is not given everything at once.

    *Hard abort*: `failures` bad answers in a row open the circuit with its shortest wait,
    and half of the share is remembered as safe. *Soft abort*: at the end of a round with
    at least `minimum_calls` answers of which `failure_rate` are bad, the share is cut by
    30 % and the ramp goes on. The next ramp begins at the safe share, and grows beyond it
    by 10, 20, 40, 80 and then 100 % per round. A call is bad if it failed, or was
    cancelled as slow; a slow answer is good here, because a cold server is slow.

    The circuit closes while calls of the last round are still out. How they end counts
    for the trip rule of the closed circuit, so that an overload is seen at once.

    Args:
        steps: Shares in (0, 1], each more than the last; the last must be 1. Default
            (0.25, 0.5, 1).
        round: Length of a round, > 0, in seconds or as a `timedelta`. Default 1.
        evidence: Good answers that a round needs before the share grows, at least 0.
            Default 1.
        patience: Seconds, at least `round`, after which a round needs no answer. Default
            5, or `round` if that is longer.
        failures: Bad answers in a row that abort, at least 1. Default 3.
        failure_rate: Fraction in (0, 1] of bad answers that cuts. Default 0.5.
        minimum_calls: Answers that a round needs to be cut, at least 1. Default 5.
        floor: Smallest share, in (0, 1], at most the first step. Default 0.05, or the
            first step if that is smaller.
        fade: Seconds closed, >= 0, within which a new trip makes the next ramp begin at
            one half and grow gently. Default 30.
    """

    steps: tuple[float, ...]
    round: float
    evidence: int
    patience: float
    failures: int
    failure_rate: float
    minimum_calls: int
    floor: float
    fade: float

    def __init__(
        self,
        steps: Sequence[float] = (0.25, 0.5, 1.0),
        *,
        round: float = 1.0,  # noqa: A002 - its name
        evidence: int = 1,
        patience: float | None = None,
        failures: int = 3,
        failure_rate: float = 0.5,
        minimum_calls: int = 5,
        floor: float | None = None,
        fade: float = 30.0,
    ) -> None:
        """Check every number, and that they do not contradict each other."""
        shares = _steps(steps)
        length = ranges.seconds("round", round)
        longest = max(5.0, length) if patience is None else patience
        if ranges.seconds("patience", longest) < length:
            msg = f"patience must be at least round ({length:g} s), got {patience!r}"
            raise ValueError(msg)
        smallest = min(0.05, shares[0]) if floor is None else floor
        if ranges.rate("floor", smallest) > shares[0]:
            msg = f"floor must be at most the first step ({shares[0]:g}), got {floor!r}"
            raise ValueError(msg)
        super().__init__(
            steps=shares,
            round=length,
            evidence=ranges.whole("evidence", evidence, 0),
            patience=ranges.seconds("patience", longest),
            failures=ranges.whole("failures", failures),
            failure_rate=ranges.rate("failure_rate", failure_rate),
            minimum_calls=ranges.whole("minimum_calls", minimum_calls),
            floor=ranges.rate("floor", smallest),
            fade=ranges.duration("fade", fade),
        )

    @property
    def fastest(self) -> float:
        """Growth per round beyond a safe share, at most: that of the steps."""
        ratios = [after / before for before, after in _neighbours(self.steps)]
        return max(_SLOWEST, *ratios) if ratios else _FASTEST

    def halved(self, share: float) -> float:
        """Return the share that is safe after one that failed."""
        return max(self.floor, _HALF * share)

    def __str__(self) -> str:
        """Say it in words."""
        shares = ", ".join(f"{100 * share:g} %" for share in self.steps)
        return f"ramp by {shares}, {self.round:g} s each"


def _neighbours(steps: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(zip(steps, steps[1:], strict=False))  # noqa: RUF007 - itertools for one call


def _steps(value: object) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or not value:
        msg = f"steps must be a list of shares, got {value!r}"
        raise TypeError(msg)
    given = cast("Sequence[object]", value)
    shares = tuple(ranges.rate(f"steps[{at}]", step) for at, step in enumerate(given))
    if shares[-1] != 1 or any(b <= a for a, b in _neighbours(shares)):
        msg = f"steps must grow and end with 1, got {value!r}"
        raise ValueError(msg)
    return shares


def turned(
    ramp: Ramp | None, recovery: Recovery, phase: Ramping | Shedding, now: float
) -> Ramping | Shedding | Closed:
    """End the round if it is over; a policy that has no shares any more closes."""
    closed = Closed(epoch=phase.epoch + 1, since=now, trips=phase.trips)
    if isinstance(phase, Shedding):
        if not isinstance(recovery, Shed):
            return closed
        after = _resettled(recovery, phase, now)
        quiet = after.share == 1 and now - after.quiet >= recovery.memory
        return closed if quiet else after
    if ramp is None:
        return closed
    if not _is_over(ramp, phase, now):
        return phase
    following = phase.replace(began=now, good=0, bad=0)
    if _is_bad(ramp, phase):
        share = max(ramp.floor, _CUT * phase.share)
        return following.replace(
            epoch=phase.epoch + 1, since=now, share=share, safe=share, grown=0
        )
    if phase.share >= 1:
        return closed.replace(ramped=True)  # I12
    share, times = _grown(ramp, phase)
    return following.replace(share=share, grown=times)


# -- a ramp ------------------------------------------------------------------------------


def ramping(ramp: Ramp, phase: Open | HalfOpen, now: float) -> Ramping:
    """Begin the ramp that follows an outage."""
    return Ramping(
        epoch=phase.epoch + 1,
        since=now,
        trips=phase.trips,
        reason=phase.reason,
        failure=phase.failure,
        evidence=phase.evidence,
        origin=phase.origin,
        share=phase.safe or ramp.steps[0],
        began=now,
        safe=phase.safe,
    )


def answered(phase: Ramping, *, good: bool) -> Ramping:
    """Count one answer of the round."""
    if good:
        return phase.replace(good=phase.good + 1, row=0)
    return phase.replace(bad=phase.bad + 1, row=phase.row + 1)


def next_look(ramp: Ramp, phase: Ramping, now: float) -> float:
    """Return when the share is looked at again: after a round, or at the end of patience."""
    first = phase.began + ramp.round
    return first if now < first else phase.began + ramp.patience


def _is_over(ramp: Ramp, phase: Ramping, now: float) -> bool:
    if now < phase.began + ramp.round:
        return False
    waits = phase.good < ramp.evidence and now < phase.began + ramp.patience
    return not waits or _is_bad(ramp, phase)


def _is_bad(ramp: Ramp, phase: Ramping) -> bool:
    answers = phase.good + phase.bad
    return answers >= ramp.minimum_calls and phase.bad >= ramp.failure_rate * answers


def _grown(ramp: Ramp, phase: Ramping) -> tuple[float, int]:
    """Return the share after a good round, and how many rounds grew beyond the safe one."""
    share = phase.share
    if phase.safe is None:
        return next((step for step in ramp.steps if step > share), 1.0), 0
    factor = min(ramp.fastest, 1 + 0.1 * 2.0**phase.grown)
    return min(1.0, share * factor), min(phase.grown + 1, 99)


# -- shedding ----------------------------------------------------------------------------


def shedding(before: Phase, opened: Open, now: float) -> Shedding:
    """Begin to shed where another policy would have opened the circuit."""
    return Shedding(
        epoch=before.epoch + 1,
        since=now,
        trips=opened.trips,
        reason=opened.reason,
        failure=opened.failure,
        evidence=opened.evidence,
        began=now,
        quiet=now,
    )


def _resettled(shed: Shed, phase: Shedding, now: float) -> Shedding:
    """Forget a little, and set the share anew, if its second is over."""
    age = now - phase.began
    if age < ROUND:
        return phase
    kept = math.exp(-2 * age / shed.memory)
    calls, accepted = kept * phase.calls, kept * phase.accepted
    share = 1 - max(0.0, (calls - shed.k * accepted) / (calls + 1))
    share = max(shed.floor, share)
    return phase.replace(
        share=share,
        began=now,
        calls=calls,
        accepted=accepted,
        quiet=phase.quiet if share == 1 else now,
    )
