"""Worlds: all that the rules can tell apart, and how one is made from another.

Time and epochs are rebased after each move, and what can make no difference any more is
forgotten, so that there are finitely many worlds:

- the present is second 0, and the present epoch is `EPOCH`; an older one is just old;
- probes are numbered anew, from 1, or from 2 when one is back; of several that are lost
  for good in one round, one is kept;
- trips in a row count up to `TRIPS`, and a streak up to the length that trips.
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
)
from recloser._core.policy import Policy

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


def moved(world: World, after: Phase) -> World:
    """Return the world with another phase; a new period has seen nothing."""
    before = world.phase
    if after.epoch != before.epoch:
        return world._replace(phase=after, streak=0, slow_streak=0, successes=0)
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
    )


def _plain(phase: Phase, policy: Policy) -> Phase:
    if isinstance(phase, Closed):
        age = NOW - phase.since
        remembered = policy.recovery.remembered(phase.trips, age)
        if not remembered:
            return phase.replace(trips=0, since=NOW)
        return phase.replace(trips=min(phase.trips, TRIPS))
    plain = phase.replace(since=NOW)
    if isinstance(plain, Open | HalfOpen | Observing):
        plain = plain.replace(trips=min(plain.trips, TRIPS), reason="", evidence=None)
    if isinstance(plain, Open):
        return plain.replace(until=max(NOW, plain.until))
    if isinstance(plain, Observing):
        over = plain.until is None or plain.until <= NOW
        return plain.replace(until=None if over else plain.until, trips=0)
    return plain
