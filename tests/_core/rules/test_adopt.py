"""Words that a link brings are input of one more rule. I1, I5, I10; the table of 34."""

from __future__ import annotations

import math

import pytest

from recloser._core.phases import (
    Closed,
    Disabled,
    ForcedOpen,
    Link,
    Observing,
    Open,
    Origin,
    Phase,
    Word,
)
from recloser._core.recovery import Backoff, Wait
from recloser._core.rules import adopt, is_news
from recloser._core.states import State

from .moves import admitted, closed, opened, policy, probing

HOST = Link(origin=Origin.HOST)
FLEET = Link(origin=Origin.FLEET)

OPEN = Word(state=State.OPEN, epoch=1, remaining=20.0, reason="8 of 10 hosts failed")
CLOSED = Word(state=State.CLOSED, epoch=1)
FORCED = Word(state=State.FORCED_OPEN, epoch=1)
DISABLED = Word(state=State.DISABLED, epoch=1)

FORCED_HERE = ForcedOpen(epoch=6, since=0.0)
DISABLED_HERE = Disabled(epoch=6, since=0.0)
OBSERVING = Observing(epoch=6, since=0.0)
EVERY_PHASE = [
    closed(epoch=6),
    opened(epoch=6),
    probing(17.0, epoch=6),
    FORCED_HERE,
    DISABLED_HERE,
    OBSERVING,
]


@pytest.mark.parametrize("phase", [closed(epoch=6), probing(17.0, epoch=6, trips=0)])
def test_open_opens_a_closed_or_half_open_circuit_until_its_deadline(
    phase: Phase,
) -> None:
    after = adopt(policy(), phase, FLEET, OPEN, 12.0)

    assert after == Open(
        epoch=7,
        since=12.0,
        until=32.0,
        trips=0,
        reason="8 of 10 hosts failed",
        origin=Origin.FLEET,
    )


def test_open_without_a_reason_names_its_link() -> None:
    after = adopt(policy(), closed(), HOST, OPEN.replace(reason=""), 12.0)

    assert isinstance(after, Open)
    assert after.reason == "opened by the host"


def test_open_lengthens_a_wait_that_ends_earlier() -> None:  # I5
    phase = opened(until=15.0)

    after = adopt(policy(), phase, FLEET, OPEN, 12.0)

    assert after == opened(until=32.0)


def test_open_does_not_shorten_a_wait_that_ends_later() -> None:
    phase = opened(until=50.0)

    after = adopt(policy(), phase, FLEET, OPEN, 12.0)

    assert after == opened(until=50.0)


@pytest.mark.parametrize("phase", [FORCED_HERE, DISABLED_HERE, OBSERVING])
def test_open_changes_nothing_where_an_operator_decided(phase: Phase) -> None:
    after = adopt(policy(), phase, FLEET, OPEN, 12.0)

    assert after is phase


@pytest.mark.parametrize("kind", [ForcedOpen, Disabled])
def test_open_ends_what_the_same_link_held(
    kind: type[ForcedOpen | Disabled],
) -> None:
    phase = kind(epoch=6, since=0.0, origin=Origin.FLEET)

    after = adopt(policy(), phase, FLEET, OPEN, 12.0)

    assert isinstance(after, Open)
    assert (after.epoch, after.origin, after.until) == (7, Origin.FLEET, 32.0)


@pytest.mark.parametrize("remaining", [0.0, -1.0, -math.inf])
def test_open_whose_time_is_over_lets_the_next_call_probe(remaining: float) -> None:
    word = OPEN.replace(remaining=remaining)

    after = adopt(policy(), closed(), FLEET, word, 12.0)

    assert isinstance(after, Open)
    assert after.until == 12.0
    assert admitted(policy(), after, 12.0)[0].state is State.HALF_OPEN


@pytest.mark.parametrize("remaining", [1101.0, 1e12, math.inf])
def test_no_word_shuts_this_process_for_longer_than_the_ceiling(
    remaining: float,
) -> None:
    word = OPEN.replace(remaining=remaining)

    by_hint = adopt(policy(), closed(), FLEET, word, 12.0)
    by_wait = adopt(policy(recovery=Wait(1000)), closed(), FLEET, word, 12.0)

    assert isinstance(by_hint, Open)
    assert isinstance(by_wait, Open)
    assert (by_hint.until, by_wait.until) == (312.0, 1112.0)


def test_time_left_that_is_no_number_shuts_nobody_out() -> None:
    word = OPEN.replace(remaining=math.nan)

    from_closed = adopt(policy(), closed(), FLEET, word, 12.0)
    from_open = adopt(policy(), opened(until=15.0), FLEET, word, 12.0)

    assert admitted(policy(), from_closed, 12.0)[0].state is State.HALF_OPEN
    assert from_open == opened(until=15.0)


def test_adopted_opening_remembers_trips_as_a_local_one_does() -> None:
    rules = policy(recovery=Backoff(10, jitter=0, fade=100))

    soon = adopt(rules, closed(trips=2), FLEET, OPEN, 1.0)
    later = adopt(rules, closed(trips=2), FLEET, OPEN, 250.0)
    probed = adopt(rules, probing(17.0, trips=2), FLEET, OPEN, 12.0)

    assert isinstance(soon, Open)
    assert isinstance(later, Open)
    assert isinstance(probed, Open)
    assert (soon.trips, later.trips, probed.trips) == (2, 0, 2)


@pytest.mark.parametrize(
    "phase",
    [
        opened(epoch=6, origin=Origin.FLEET),
        probing(17.0, epoch=6, origin=Origin.FLEET),
    ],
    ids=repr,
)
def test_closed_ends_an_opening_of_its_own_link(phase: Phase) -> None:
    after = adopt(policy(), phase, FLEET, CLOSED, 12.0)

    assert after == Closed(epoch=7, since=12.0, trips=1)


@pytest.mark.parametrize("kind", [ForcedOpen, Disabled])
def test_closed_releases_what_its_own_link_held(
    kind: type[ForcedOpen | Disabled],
) -> None:
    phase = kind(epoch=6, since=0.0, origin=Origin.FLEET)

    after = adopt(policy(), phase, FLEET, CLOSED, 12.0)

    assert after == Closed(epoch=7, since=12.0)


@pytest.mark.parametrize("origin", [Origin.HERE, Origin.HOST])
def test_foreign_closed_ends_no_opening_of_somebody_else(origin: Origin) -> None:  # I10
    phases: list[Phase] = [
        opened(origin=origin),
        probing(17.0, origin=origin),
        ForcedOpen(epoch=6, since=0.0, origin=origin),
        Disabled(epoch=6, since=0.0, origin=origin),
    ]

    after = [adopt(policy(), phase, FLEET, CLOSED, 1e6) for phase in phases]

    assert after == phases


@pytest.mark.parametrize("phase", [closed(), OBSERVING])
def test_closed_changes_nothing_where_nothing_is_shut(phase: Phase) -> None:
    after = adopt(policy(), phase, FLEET, CLOSED, 12.0)

    assert after is phase


@pytest.mark.parametrize("phase", EVERY_PHASE, ids=repr)
def test_operators_far_away_are_obeyed_in_every_phase(phase: Phase) -> None:
    forced = adopt(policy(), phase, FLEET, FORCED, 12.0)
    disabled = adopt(policy(), phase, FLEET, DISABLED, 12.0)

    assert forced == ForcedOpen(
        epoch=phase.epoch + 1,
        since=12.0,
        reason="held open by the fleet",
        origin=Origin.FLEET,
    )
    assert disabled == Disabled(epoch=phase.epoch + 1, since=12.0, origin=Origin.FLEET)


def test_forced_open_keeps_the_reason_that_it_came_with() -> None:
    word = FORCED.replace(reason="the ledger moves house")

    after = adopt(policy(), closed(), FLEET, word, 12.0)

    assert isinstance(after, ForcedOpen)
    assert after.reason == "the ledger moves house"


@pytest.mark.parametrize("word", [FORCED, DISABLED])
def test_asking_again_for_what_is_held_changes_nothing(word: Word) -> None:  # I5
    phase = adopt(policy(), closed(), FLEET, word, 12.0)

    after = adopt(policy(), phase, FLEET, word.replace(epoch=2), 13.0)

    assert after is phase


@pytest.mark.parametrize("phase", EVERY_PHASE, ids=repr)
@pytest.mark.parametrize("state", [State.HALF_OPEN, State.METRICS_ONLY])
def test_states_that_no_link_announces_change_nothing(
    phase: Phase, state: State
) -> None:
    after = adopt(policy(), phase, FLEET, Word(state=state, epoch=9), 12.0)

    assert after is phase


@pytest.mark.parametrize("phase", EVERY_PHASE, ids=repr)
@pytest.mark.parametrize("word", [OPEN, CLOSED, FORCED, DISABLED], ids=repr)
def test_word_that_is_no_news_changes_nothing(phase: Phase, word: Word) -> None:  # I10
    heard = FLEET.replace(last=Word(state=State.CLOSED, epoch=2))

    after = adopt(policy(), phase, heard, word, 12.0)

    assert after is phase


def test_epochs_of_one_link_mean_nothing_to_another() -> None:
    ahead = HOST.replace(last=Word(state=State.OPEN, epoch=1000))

    assert not is_news(ahead, OPEN)
    assert is_news(FLEET, OPEN)
    assert adopt(policy(), closed(), FLEET, OPEN, 12.0).state is State.OPEN


@pytest.mark.parametrize(
    ("last", "word", "expected"),
    [
        (State.CLOSED, State.OPEN, True),
        (State.OPEN, State.FORCED_OPEN, True),
        (State.DISABLED, State.CLOSED, True),
        (State.OPEN, State.CLOSED, False),
        (State.FORCED_OPEN, State.OPEN, False),
        (State.CLOSED, State.DISABLED, False),
        (State.OPEN, State.OPEN, False),
    ],
)
def test_of_two_words_with_one_epoch_the_more_closed_off_wins(
    last: State, word: State, *, expected: bool
) -> None:
    link = FLEET.replace(last=Word(state=last, epoch=5))

    assert is_news(link, Word(state=word, epoch=5)) is expected


@pytest.mark.parametrize("state", State)
def test_newer_word_is_news_whatever_it_says_and_an_older_one_is_not(
    state: State,
) -> None:
    link = FLEET.replace(last=Word(state=State.OPEN, epoch=5))

    assert is_news(link, Word(state=state, epoch=6))
    assert not is_news(link, Word(state=state, epoch=4))


def test_opening_in_place_of_the_links_own_hold_is_the_first_trip() -> None:
    held = ForcedOpen(epoch=4, since=0.0, reason="held", origin=Origin.HOST)

    after = adopt(policy(), held, HOST, OPEN, 5.0)

    assert isinstance(after, Open)
    assert after.trips == 0
