"""A breaker with `Shed` against a list of every call that it was ever given."""

from __future__ import annotations

from contextlib import suppress
from math import exp
from typing import NamedTuple

from hypothesis import event, example, given
from hypothesis import strategies as st

from recloser import CircuitBreaker, CircuitOpenError, Shed, State
from recloser.testing import FakeClock


class Shedding:
    """The description of `Shed`, with a list in place of sums that fade."""

    def __init__(self, shed: Shed) -> None:
        """Begin to shed."""
        self.shed = shed
        self.share = 1.0
        self.round = self.quiet = 0.0
        self.came: list[float] = []
        self.answered: list[float] = []
        self.closed = False

    def comes(self, now: float) -> None:
        """Take in a call, after setting the share anew if its second is over."""
        if now - self.round >= 1:
            self._settle(now)
        if self.share == 1 and now - self.quiet >= self.shed.memory:
            self.closed = True
        self.came.append(self.round)

    def _settle(self, now: float) -> None:
        calls, accepted = self._weight(self.came, now), self._weight(self.answered, now)
        rejected = max(0.0, (calls - self.shed.k * accepted) / (calls + 1))
        self.share = max(self.shed.floor, 1 - rejected)
        self.round = now
        if self.share < 1:
            self.quiet = now

    def _weight(self, rounds: list[float], now: float) -> float:
        return sum(exp(-2 * (now - began) / self.shed.memory) for began in rounds)


class Step(NamedTuple):
    """A pause, then some calls that all end alike."""

    pause: float
    calls: int
    chance: float
    well: bool


sheds = st.builds(
    Shed,
    st.sampled_from([1.0, 1.5, 2.0]),
    memory=st.sampled_from([5.0, 20.0]),
    floor=st.sampled_from([0.05, 0.3]),
)
steps = st.builds(
    Step,
    st.sampled_from([0.0, 0.25, 1.0, 1.0, 2.5, 30.0]),
    st.integers(1, 6),
    st.sampled_from([0.02, 0.21, 0.43, 0.77, 0.98]),
    st.sampled_from([True, True, False]),
)
BAD = Step(0.25, 6, 0.02, well=False)
GOOD = Step(2.5, 6, 0.02, well=True)


def down() -> None:
    raise OSError("down")


@given(sheds, st.lists(steps, max_size=30))
@example(Shed(1, memory=5), [BAD, *[GOOD] * 12])
def test_share_is_what_a_list_of_all_calls_says(
    shed: Shed, history: list[Step]
) -> None:
    clock, luck = FakeClock(), [0.0]
    breaker = CircuitBreaker(
        *("payments",),
        trip=1,
        recovery=shed,
        clock=clock,
        chance=lambda: luck[0],
        registry="none",
    )
    with suppress(OSError):
        breaker.call(down)
    expected = Shedding(shed)
    began = clock()

    for step in history:
        clock.advance(step.pause)
        luck[0] = step.chance
        for _ in range(step.calls):
            expected.comes(clock() - began)
            went = True
            try:
                breaker.call(bool if step.well else down)
            except OSError:
                pass
            except CircuitOpenError:
                went = False
            if expected.closed:
                break
            if went and step.well:
                expected.answered.append(expected.round)
            assert breaker.state is State.HALF_OPEN
            assert abs(breaker.snapshot().admitting - expected.share) < 1e-9
            if abs(step.chance - expected.share) > 1e-9:
                assert went == (step.chance < expected.share)
        if expected.closed:
            break

    event(f"closed again: {expected.closed}")
    if expected.closed:  # and a failure of that call began to shed anew
        assert breaker.state is (State.CLOSED if step.well else State.HALF_OPEN)
