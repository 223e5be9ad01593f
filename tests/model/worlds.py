"""Worlds: all that the rules can tell apart, and how one is made from another.

Time and epochs are rebased after each move, and what can make no difference any more is
forgotten, so that there are finitely many worlds:

- the present is second 0, and the present epoch is `EPOCH`; an older one is just old;
- probes are numbered anew, from 1, or from 2 when one is back; of several that are lost
  for good in one round, one is kept;
- trips in a row count up to `TRIPS`, and a streak up to the length that trips;
- shares are rounded to quarters, and answers and rejections count up to what a rule asks.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import (
    Admission,
    Closed,
    HalfOpen,
    Link,
    Observing,
    Open,
    Phase,
    Place,
    Ramping,
    Shedding,
)
from recloser._core.policy import Policy
from recloser._core.recovery import Adaptive, Shed

NOW: Final = 0.0
EPOCH: Final = 5
TRIPS: Final = 3
STREAK: Final = 2


class Call(NamedTuple):
    """A call that is out, or that will never come back."""

    admission: Admission
    gone: bool = False


class World(NamedTuple):
    """All that the rules can tell apart."""

    phase: Phase
    calls: tuple[Call, ...] = ()
    streak: int = 0
    slow_streak: int = 0
    successes: int = 0
    """Of this round of probes, counted here and not by the rules."""
    links: tuple[Link, ...] = ()
    rejected: int = 0
    """Calls rejected since the circuit opened."""


def moved(world: World, after: Phase) -> World:
    """Return the world with another phase; a new period has seen nothing."""
    before = world.phase
    if after.epoch != before.epoch:
        return world._replace(
            phase=after, streak=0, slow_streak=0, successes=0, rejected=0
        )
    if isinstance(after, Observing) and after is not before:
        return world._replace(phase=after, streak=0, slow_streak=0)
    return world._replace(phase=after)


def counted(world: World, call: Call, outcome: Outcome) -> World:
    """Count an outcome where it belongs: in the streaks, or in the round of probes."""
    if call.admission.epoch != world.phase.epoch:
        return world
    good = outcome.kind is Kind.SUCCESS
    if isinstance(world.phase, HalfOpen):
        return world._replace(successes=world.successes + (good and not outcome.slow))
    if outcome.kind is Kind.FAILURE or outcome.slow:
        failed = outcome.kind is Kind.FAILURE
        streak = 0 if good else world.streak + failed
        return world._replace(streak=streak, slow_streak=world.slow_streak + 1)
    return world._replace(streak=0, slow_streak=0) if good else world


def later(world: World) -> World:
    """Return the world a second later."""
    phase = world.phase.replace(since=world.phase.since - 1)
    if isinstance(phase, Open):
        phase = phase.replace(until=phase.until - 1)
    if isinstance(phase, Open | HalfOpen) and phase.outage is not None:
        phase = phase.replace(outage=phase.outage - 1)
    if isinstance(phase, Ramping | Shedding):
        phase = phase.replace(began=phase.began - 1)
    if isinstance(phase, Shedding):
        phase = phase.replace(quiet=phase.quiet - 1)
    if isinstance(phase, Observing) and phase.until is not None:
        phase = phase.replace(until=phase.until - 1)
    if isinstance(phase, HalfOpen):
        places = tuple(
            Place(number, max(NOW, until - 1)) for number, until in phase.places
        )
        phase = phase.replace(places=places)
    return world._replace(phase=phase)


def _aged(call: Call, epoch: int) -> Call:
    if call.admission.epoch == epoch:
        return call._replace(admission=call.admission._replace(epoch=EPOCH))
    place = call.admission.place and 1
    return call._replace(admission=Admission(EPOCH - 1, place))


def _order(call: Call) -> tuple[int, int, bool]:
    return call.admission.epoch, call.admission.place or 0, call.gone


def _with_few_lost(
    phase: HalfOpen, calls: tuple[Call, ...]
) -> tuple[HalfOpen, tuple[Call, ...]]:
    """Keep one of the probes that lost their place and will never come back."""
    holding = {place.number for place in phase.places}
    buried = [
        call
        for call in calls
        if call.gone
        and call.admission.epoch == phase.epoch
        and call.admission.place not in holding
    ]
    surplus = buried[1:]
    rest = tuple(call for call in calls if call not in surplus)
    return phase.replace(lost=phase.lost - len(surplus)), rest


def _renumbered(
    phase: HalfOpen, calls: tuple[Call, ...]
) -> tuple[HalfOpen, tuple[Call, ...]]:
    out = [call.admission.place for call in calls if _is_of(call, phase)]
    numbers = sorted({place.number for place in phase.places} | set(out))
    back = int(not phase.lost and phase.issued > len(numbers))
    new = {old: at for at, old in enumerate(numbers, 1 + back)}
    places = tuple(Place(new[number], until) for number, until in phase.places)
    renamed = tuple(
        call._replace(admission=Admission(phase.epoch, new[call.admission.place]))
        if _is_of(call, phase)
        else call
        for call in calls
    )
    return phase.replace(places=places, issued=back + len(numbers)), renamed


def _is_of(call: Call, phase: HalfOpen) -> bool:
    return call.admission.epoch == phase.epoch


def rebased(world: World, policy: Policy) -> World:
    """Forget what can make no difference any more."""
    phase, calls = world.phase, world.calls
    if isinstance(phase, HalfOpen):
        phase, calls = _with_few_lost(phase, calls)
        phase, calls = _renumbered(phase, calls)
    kept = [_aged(call, phase.epoch) for call in calls]
    old = {call for call in kept if call.admission.epoch < EPOCH}
    now = [call for call in kept if call.admission.epoch == EPOCH]
    if not isinstance(phase, HalfOpen):
        now = [call for call in now if not call.gone]
    return world._replace(
        phase=_plain(phase.replace(epoch=EPOCH), policy),
        calls=tuple(sorted([*(c for c in old if not c.gone), *now], key=_order)),
        streak=min(world.streak, STREAK),
        slow_streak=min(world.slow_streak, STREAK),
        rejected=min(world.rejected, _asked(policy)),
    )


def _asked(policy: Policy) -> int:
    recovery = policy.recovery
    return recovery.rejections if isinstance(recovery, Adaptive) else 0


def _quarters(share: float, floor: float) -> float:
    return min(1.0, max(floor, round(4 * share) / 4))


def _plain_ramp(phase: Ramping, policy: Policy) -> Ramping:
    ramp = policy.ramp
    assert ramp is not None
    most = max(ramp.evidence, ramp.minimum_calls)
    safe = None if phase.safe is None else _quarters(phase.safe, ramp.floor)
    return phase.replace(
        share=_quarters(phase.share, ramp.floor),
        safe=safe,
        grown=min(phase.grown, 1),
        began=max(phase.began, NOW - ramp.patience),
        good=min(phase.good, most),
        bad=min(phase.bad, most),
    )


def _plain_shedding(phase: Shedding, policy: Policy) -> Shedding:
    shed = policy.recovery
    assert isinstance(shed, Shed)
    return phase.replace(
        share=_quarters(phase.share, shed.floor),
        began=max(phase.began, NOW - 1),
        quiet=max(phase.quiet, NOW - shed.memory),
        calls=float(min(2, round(phase.calls))),
        accepted=float(min(2, round(phase.accepted))),
    )


def _plain_outage(phase: Open | HalfOpen, policy: Policy) -> Open | HalfOpen:
    recovery, ramp = policy.recovery, policy.ramp
    if not isinstance(recovery, Adaptive):
        phase = phase.replace(outage=None)
    elif phase.outage is not None:
        longest = recovery.maximum / recovery.fraction
        phase = phase.replace(outage=max(phase.outage, NOW - longest))
    if phase.safe is not None and ramp is not None:
        phase = phase.replace(safe=_quarters(phase.safe, ramp.floor))
    return phase


def _plain(phase: Phase, policy: Policy) -> Phase:
    if isinstance(phase, Closed):
        age = NOW - phase.since
        remembered = policy.recovery.remembered(phase.trips, age)
        ramped = policy.ramp is not None and phase.ramped and age < policy.ramp.fade
        trips = min(phase.trips, TRIPS) if remembered else 0
        since = phase.since if remembered or ramped else NOW
        return phase.replace(trips=trips, since=since, ramped=ramped)
    since = NOW
    if isinstance(phase, Open) and isinstance(policy.recovery, Adaptive):
        since = max(phase.since, NOW - policy.recovery.waiver)
    plain = phase.replace(since=since)
    if isinstance(plain, Open | HalfOpen | Observing):
        plain = plain.replace(trips=min(plain.trips, TRIPS), reason="", evidence=None)
    if isinstance(plain, Ramping | Shedding):
        plain = plain.replace(trips=min(plain.trips, TRIPS), reason="", evidence=None)
    if isinstance(plain, Ramping):
        return _plain_ramp(plain, policy)
    if isinstance(plain, Shedding):
        return _plain_shedding(plain, policy)
    if isinstance(plain, Open | HalfOpen):
        plain = _plain_outage(plain, policy)
    if isinstance(plain, Open):
        return plain.replace(until=max(NOW, plain.until))
    if isinstance(plain, Observing):
        over = plain.until is None or plain.until <= NOW
        return plain.replace(until=None if over else plain.until, trips=0)
    return plain
