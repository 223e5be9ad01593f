"""Links bring words from elsewhere; the rules decide what becomes of them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest

from recloser import CircuitBreaker, Origin, State, Word
from recloser.testing import FakeClock


class Wire:
    """A link that a test speaks through."""

    origin = Origin.HOST

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.ends: list[Callable[[Word], None]] = []

    def attach(self, name: str, adopt: Callable[[Word], None]) -> object:
        self.ends.append(adopt)
        return self.heard.append


def _shared(wire: Wire, name: str = "payments", **options: object) -> CircuitBreaker:
    return CircuitBreaker(
        name, share=wire, clock=FakeClock(), registry="none", **options
    )


def test_word_from_elsewhere_opens_and_closes() -> None:
    wire = Wire()
    payments = _shared(wire)

    wire.ends[0](Word(state=State.OPEN, epoch=1, remaining=20.0))
    opened = payments.snapshot().retry_after
    wire.ends[0](Word(state=State.CLOSED, epoch=2))

    assert (opened, payments.state) == (20.0, State.CLOSED)


def test_old_word_is_dropped() -> None:
    wire = Wire()
    payments = _shared(wire)

    wire.ends[0](Word(state=State.CLOSED, epoch=6))
    wire.ends[0](Word(state=State.OPEN, epoch=5, remaining=20.0))

    assert payments.state == State.CLOSED


def test_link_hears_of_local_transitions() -> None:
    wire = Wire()
    payments = _shared(wire)

    payments.trip()

    assert [event.after for event in wire.heard] == [State.OPEN]  # type: ignore[attr-defined]


def test_two_policies_cannot_share_one_name() -> None:
    wire = Wire()
    first = _shared(wire, "search", trip=3)

    with pytest.raises(
        ValueError, match="'search' is shared already with another policy"
    ):
        _shared(wire, "search", trip=4)
    second = _shared(wire, "search", trip=3)

    assert second.policy == first.policy


def test_link_does_not_keep_a_breaker_alive() -> None:
    wire = Wire()
    gone = weakref.ref(_shared(wire, "recommendations"))
    gc.collect()

    wire.ends[0](Word(state=State.OPEN, epoch=1, remaining=20.0))

    assert gone() is None


def test_what_is_no_link_is_refused() -> None:
    with pytest.raises(
        TypeError, match="share must be a link with an attach method, got 3"
    ):
        CircuitBreaker("payments", share=3, registry="none")  # type: ignore[arg-type]
