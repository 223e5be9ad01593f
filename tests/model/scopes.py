"""Which small policies are explored, and how much happens around each."""

from __future__ import annotations

from typing import Final, NamedTuple

from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import Origin
from recloser._core.policy import Policy
from recloser._core.recovery import Adaptive, Backoff, Recovery, Shed, Wait
from recloser._core.shares import Ramp
from recloser._core.trips import ConsecutiveFailures

from .worlds import STREAK

GOOD = Outcome(Kind.SUCCESS)
BAD = Outcome(Kind.FAILURE)
NEUTRAL = Outcome(Kind.NEUTRAL)
SLOW_GOOD = Outcome(Kind.SUCCESS, slow=True)
SLOW_BAD = Outcome(Kind.FAILURE, slow=True)
SLOW_CANCELLED = Outcome(Kind.NEUTRAL, slow=True, cancelled=True)

FAST = (GOOD, BAD, NEUTRAL)
ALL = (*FAST, SLOW_GOOD, SLOW_BAD, SLOW_CANCELLED)


class Scope(NamedTuple):
    """One policy, and how much happens around it."""

    name: str
    policy: Policy
    outcomes: tuple[Outcome, ...] = FAST
    links: tuple[Origin, ...] = ()
    most_calls: int = 3
    """Calls out at once; one more is judged, and then not followed."""


def _policy(recovery: Recovery, probes: int, concurrency: int) -> Policy:
    return Policy(
        trip=STREAK,
        recovery=recovery,
        probes=probes,
        probe_concurrency=concurrency,
        probe_lease=2,
    )


_WAIT = Wait(2, jitter=0, longest_hint=2)
_SHORT = Wait(1, jitter=0, longest_hint=1)
_GROWING = Backoff(1, factor=2, maximum=4, jitter=0, fade=2)
_SLOW = ConsecutiveFailures(STREAK, slower_than=1)
_ADAPTIVE = Adaptive(
    1, minimum=1, maximum=2, jitter=0, rejections=1, waiver=2, longest_hint=2
)
_RAMP = Ramp((0.5, 1), patience=1, failures=2, minimum_calls=2, floor=0.5, fade=1)
_STRICT = Ramp((0.25, 1), evidence=2, patience=2, failures=2, minimum_calls=2, fade=0)

SCOPES: Final = (
    Scope("one probe", _policy(_WAIT, 1, 1)),
    Scope("one probe, one link", _policy(_WAIT, 1, 1), links=(Origin.FLEET,)),
    Scope("two probes in turn", _policy(_WAIT, 2, 1)),
    Scope("two probes at once", _policy(_WAIT, 2, 2), most_calls=4),
    Scope("three probes, two at once", _policy(_WAIT, 3, 2), most_calls=4),
    Scope(
        "slow calls, two probes at once",
        _policy(_WAIT, 2, 2).replace(trip=_SLOW),
        outcomes=ALL,
    ),
    Scope("growing waits that fade", _policy(_GROWING, 1, 1)),
    Scope("adaptive", _policy(_ADAPTIVE, 1, 1), most_calls=2),
    Scope(
        "adaptive with a ramp",
        _policy(_ADAPTIVE, 1, 1).replace(ramp=_RAMP, probe_lease=1),
        most_calls=2,
    ),
    Scope(
        "a ramp that asks for more",
        _policy(_SHORT, 1, 1).replace(ramp=_STRICT, probe_lease=1),
        most_calls=2,
    ),
    Scope(
        "a ramp, slow calls, growing waits",
        _policy(_GROWING, 1, 1).replace(trip=_SLOW, ramp=_RAMP),
        outcomes=ALL,
        most_calls=2,
    ),
    Scope(
        "a ramp, one link",
        _policy(_SHORT, 1, 1).replace(ramp=_RAMP, probe_lease=1),
        links=(Origin.FLEET,),
        most_calls=1,
    ),
    Scope(
        "shedding, one link",
        _policy(Shed(1, memory=2, floor=0.5), 1, 1),
        links=(Origin.FLEET,),
        most_calls=1,
    ),
    Scope(
        "two links",
        _policy(_SHORT, 1, 1).replace(probe_lease=1),
        links=(Origin.HOST, Origin.FLEET),
        most_calls=1,
    ),
)
