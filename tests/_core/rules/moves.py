"""The moves that the tests of the rules make, in as few words as they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recloser._core.outcomes import FailureInfo, Kind, Outcome
from recloser._core.phases import Admission, Closed, HalfOpen, Open, Phase, Place
from recloser._core.policy import Policy
from recloser._core.recovery import Wait
from recloser._core.rules import Admitted, Refused, admit, settle
from recloser._core.windows import Evidence

if TYPE_CHECKING:
    from recloser._core.phases import Origin

BOOM = FailureInfo(type="ConnectionError", message="refused", at=0.0)

GOOD = Outcome(Kind.SUCCESS)
BAD = Outcome(Kind.FAILURE, cause=BOOM)
NEUTRAL = Outcome(Kind.NEUTRAL)
SLOW_GOOD = Outcome(Kind.SUCCESS, slow=True)
SLOW_BAD = Outcome(Kind.FAILURE, slow=True, cause=BOOM)
SLOW_CANCELLED = Outcome(Kind.NEUTRAL, slow=True, cancelled=True)

NOTHING = Evidence()
EXACT = Wait(10, jitter=0)
"""Ten seconds to the point, so that tests can say when a wait is over."""


def policy(**changes: Any) -> Policy:
    """Two failures in a row, ten seconds, one probe with a lease of five."""
    return Policy(**{"trip": 2, "recovery": EXACT, "probe_lease": 5, **changes})


def closed(epoch: int = 1, since: float = 0.0, trips: int = 0) -> Closed:
    return Closed(epoch=epoch, since=since, trips=trips)


def opened(until: float = 10.0, **changes: Any) -> Open:
    return Open(
        **{
            "epoch": 2,
            "since": 0.0,
            "until": until,
            "trips": 1,
            "reason": "2 failures in a row",
            "failure": BOOM,
            **changes,
        }
    )


def probing(*leases: float, **changes: Any) -> HalfOpen:
    """Begin a round with a probe in flight for each lease, numbered from 1."""
    places = tuple(Place(number, until) for number, until in enumerate(leases, 1))
    return HalfOpen(
        **{
            "epoch": 3,
            "since": 10.0,
            "trips": 1,
            "reason": "2 failures in a row",
            "failure": BOOM,
            "places": places,
            "issued": len(places),
            **changes,
        }
    )


def admitted(rules: Policy, phase: Phase, now: float) -> tuple[Phase, Admission]:
    """Admit a call that the rules must let through."""
    verdict = admit(rules, phase, now)
    assert isinstance(verdict, Admitted), verdict
    return verdict.phase, verdict.admission


def refused(rules: Policy, phase: Phase, now: float) -> tuple[str, float | None]:
    """Refuse a call; return the reason, and when to come back."""
    verdict = admit(rules, phase, now)
    assert isinstance(verdict, Refused), verdict
    return verdict.reason, verdict.retry_after


def ended(
    rules: Policy,
    phase: Phase,
    outcome: Outcome,
    *,
    place: int | None = None,
    evidence: Evidence = NOTHING,
    now: float = 12.0,
    chance: float = 0.5,
) -> Phase:
    """Settle a call that was admitted in this very phase."""
    admission = Admission(phase.epoch, place)
    return settle(rules, phase, admission, outcome, evidence, now, chance)


def origin_of(phase: Phase) -> Origin:
    assert isinstance(phase, Open | HalfOpen)
    return phase.origin
