"""Clocks that stop, jump, go backwards, are no numbers, or raise: any of it, at any call."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recloser import CircuitBreaker, CircuitOpenError, State, Wait

from .ways import POLICIES, WAYS, answer, down

pytestmark = [
    pytest.mark.recloser_allow_callback_errors,
    pytest.mark.filterwarnings("ignore:callback"),
]

STEPS = st.one_of(
    st.just(0.0),
    st.floats(min_value=-1e9, max_value=1e9),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, None]),
)
"""How far the clock moves before a call: no number is where it is then, None raises."""
ENDS = st.sampled_from([answer, down])
STORY = st.lists(st.tuples(STEPS, ENDS, st.sampled_from(range(len(WAYS)))), max_size=12)


class WrongClock:
    """Reads what it is set to; None raises."""

    def __init__(self) -> None:
        self.now: float | None = 1000.0

    def __call__(self) -> float:
        if self.now is None:
            raise OSError("no clock")
        return self.now

    def move(self, step: float | None) -> None:
        good = self.now is not None and math.isfinite(self.now)
        usable = step is not None and abs(step) <= 1e9
        self.now = self.now + step if good and usable else step  # type: ignore[operator]

    def becomes_good(self, past: float) -> None:
        """Run again, later than anything that was believed."""
        self.now = past + 1.0


@given(STORY, st.sampled_from(sorted(POLICIES)), st.integers(1, 2))
def test_whatever_a_clock_does_the_breaker_heals_when_it_runs_again(
    story, policy, probes
):
    clock = WrongClock()
    breaker = CircuitBreaker(
        "payments",
        trip=POLICIES[policy],
        recovery=Wait(10, jitter=0),
        probes=probes,
        probe_lease=20,
        clock=clock,
        registry="none",
    )
    ways = [{work: way(breaker, work) for work in (answer, down)} for way in WAYS]
    seen = [breaker._circuit.seen]
    lost: list[Any] = []

    for step, work, number in story:
        clock.move(step)
        if number == 0 and work is down:
            with suppress(CircuitOpenError):  # a call that never comes back
                lost.append(breaker.acquire())
        rejection = None
        try:
            ways[number][work]()
        except CircuitOpenError as error:
            rejection = error
        except OSError:
            pass
        if rejection is not None:
            assert 0 <= rejection.retry_after <= 20
        seen.append(breaker._circuit.seen)
        after = breaker.snapshot()
        assert after.retry_after is None or 0 <= after.retry_after <= 20
        assert after.probes <= probes

    assert seen == sorted(seen)  # it never believes in going back
    assert all(map(math.isfinite, seen))
    clock.becomes_good(seen[-1] + 30)
    with suppress(CircuitOpenError):  # a call whose clock raised can seem to hang, once
        breaker.call(answer)
    clock.becomes_good(clock.now + 30)
    for _ in range(probes):
        assert breaker.call(answer) == "answer"
    assert breaker.state is State.CLOSED
    assert lost or breaker.snapshot().totals.lost == 0


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6))
def test_clock_that_stops_keeps_an_open_circuit_open_and_one_that_runs_opens_the_door(
    start, wait
):
    clock = WrongClock()
    clock.now = start
    breaker = CircuitBreaker(
        "payments", clock=clock, recovery=Wait(wait, jitter=0), registry="none"
    )
    breaker.trip()

    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(answer)
    with pytest.raises(CircuitOpenError) as again:
        breaker.call(answer)

    assert caught.value.retry_after == again.value.retry_after
    clock.now = start + caught.value.retry_after
    assert breaker.call(answer) == "answer"
