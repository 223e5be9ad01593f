"""Which small policies are explored, and how much happens around each."""

from __future__ import annotations

from typing import Final, NamedTuple

from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import Origin
from recloser._core.policy import Policy
from recloser._core.recovery import Backoff, Recovery, Wait
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
    Scope(
        "two links",
        _policy(_SHORT, 1, 1).replace(probe_lease=1),
        links=(Origin.HOST, Origin.FLEET),
        most_calls=1,
    ),
)
