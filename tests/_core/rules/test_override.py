"""What operators ask for: trip, force open, disable, observe, reset; and `enter`."""

from __future__ import annotations

import pytest

from recloser._core.phases import (
    Closed,
    Command,
    Disabled,
    ForcedOpen,
    HalfOpen,
    Observing,
    Open,
    Origin,
    Phase,
)
from recloser._core.recovery import Backoff, Wait
from recloser._core.rules import enter, override
from recloser._core.states import State

from .moves import closed, opened, policy, probing

ALL: list[Phase] = [
    closed(epoch=6, trips=3),
    opened(epoch=6, trips=3),
    opened(epoch=6, origin=Origin.FLEET),
    probing(17.0, epoch=6, trips=3),
    ForcedOpen(epoch=6, since=0.0),
    ForcedOpen(epoch=6, since=0.0, origin=Origin.FLEET),
    Disabled(epoch=6, since=0.0),
    Disabled(epoch=6, since=0.0, origin=Origin.HOST),
    Observing(epoch=6, since=0.0),
    Observing(epoch=6, since=0.0, trips=2, until=9.0, reason="2 failures in a row"),
]
every_phase = pytest.mark.parametrize("phase", ALL, ids=repr)


@every_phase
def test_reset_works_from_every_phase_and_forgets_everything(phase: Phase) -> None:
    after = override(policy(), phase, Command.RESET, 12.0, 0.5)

    assert after == Closed(epoch=7, since=12.0, trips=0)  # I5, I7


@every_phase
def test_force_open_works_from_every_phase(phase: Phase) -> None:
    after = override(policy(), phase, Command.FORCE_OPEN, 12.0, 0.5)

    if phase == ForcedOpen(epoch=6, since=0.0):
        assert after is phase
    else:
        assert after == ForcedOpen(epoch=7, since=12.0)


@every_phase
def test_disable_works_from_every_phase(phase: Phase) -> None:
    after = override(policy(), phase, Command.DISABLE, 12.0, 0.5)

    if phase == Disabled(epoch=6, since=0.0):
        assert after is phase
    else:
        assert after == Disabled(epoch=7, since=12.0)


@every_phase
def test_observe_works_from_every_phase(phase: Phase) -> None:
    after = override(policy(), phase, Command.OBSERVE, 12.0, 0.5)

    if isinstance(phase, Observing):
        assert after is phase
    else:
        assert after == Observing(epoch=7, since=12.0)


def test_trip_opens_a_closed_circuit_as_a_rule_would() -> None:
    after = override(policy(), closed(epoch=6), Command.TRIP, 12.0, 0.5)

    assert after == Open(
        epoch=7, since=12.0, until=22.0, trips=1, reason="tripped by hand"
    )


def test_trip_waits_within_its_jitter_where_chance_puts_it() -> None:
    rules = policy(recovery=Wait(10, jitter=0.5))

    after = override(rules, closed(), Command.TRIP, 0.0, 0.25)

    assert isinstance(after, Open)
    assert after.until == 7.5


def test_trip_counts_and_fades_like_any_other() -> None:
    rules = policy(recovery=Backoff(10, factor=2, jitter=0, fade=100))

    soon = override(rules, closed(trips=2), Command.TRIP, 1.0, 0.5)
    later = override(rules, closed(trips=2), Command.TRIP, 250.0, 0.5)

    assert isinstance(soon, Open)
    assert isinstance(later, Open)
    assert (soon.trips, later.trips) == (3, 1)
    assert (soon.until, later.until) == (41.0, 260.0)


def test_trip_ends_a_round_of_probes() -> None:
    after = override(policy(), probing(17.0, epoch=6, trips=2), Command.TRIP, 12.0, 0.5)

    assert isinstance(after, Open)
    assert (after.epoch, after.trips, after.until) == (7, 3, 22.0)


@pytest.mark.parametrize("now", [3.0, 1e9])
def test_trip_changes_nothing_on_an_open_circuit(now: float) -> None:
    phase = opened(until=10.0)

    after = override(policy(), phase, Command.TRIP, now, 0.5)

    assert after is phase


@pytest.mark.parametrize(
    "phase",
    [phase for phase in ALL if isinstance(phase, ForcedOpen | Disabled | Observing)],
    ids=repr,
)
def test_trip_is_refused_where_an_operator_holds_the_breaker(phase: Phase) -> None:
    message = f"cannot trip a breaker that is {phase.state}: reset it first"

    with pytest.raises(ValueError, match=message):  # I9
        override(policy(), phase, Command.TRIP, 12.0, 0.5)


@every_phase
@pytest.mark.parametrize("state", State)
def test_any_state_can_be_entered_from_any_phase(phase: Phase, state: State) -> None:
    after = enter(policy(), phase, state, 12.0, 0.5)

    assert after.state is state
    assert (after.epoch, after.since) == (7, 12.0)  # I5


def test_entered_open_circuit_begins_its_wait() -> None:
    after = enter(policy(), closed(), State.OPEN, 12.0, 0.5)

    assert isinstance(after, Open)
    assert (after.trips, after.until) == (1, 22.0)


def test_entered_half_open_circuit_has_all_places_free() -> None:
    after = enter(policy(), probing(17.0, epoch=6), State.HALF_OPEN, 12.0, 0.5)

    assert isinstance(after, HalfOpen)
    assert (after.places, after.successes, after.lost, after.trips) == ((), 0, 0, 1)
