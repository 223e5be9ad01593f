"""A breaker with `Adaptive` and `Ramp`, against the description of them."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from recloser import (
    Adaptive,
    CircuitBreaker,
    Permit,
    Ramp,
    ShareChanged,
    State,
    Transition,
)
from recloser.testing import FakeClock

from .recovering import TRIP, Recovering, Token

adaptives = st.builds(
    Adaptive,
    st.sampled_from([0.125, 0.5]),
    minimum=st.sampled_from([0.5, 1.0]),
    maximum=st.sampled_from([2.0, 30.0]),
    jitter=st.sampled_from([0.0, 0.25]),
    rejections=st.sampled_from([0, 1, 10]),
    waiver=st.sampled_from([1.0, 30.0]),
)
ramps = st.builds(
    Ramp,
    st.just((0.25, 0.5, 1.0)),
    evidence=st.integers(0, 2),
    patience=st.sampled_from([1.0, 5.0]),
    failures=st.integers(1, 3),
    minimum_calls=st.sampled_from([1, 2, 5]),
    fade=st.sampled_from([0, 30]),
)
STATES = {
    "closed": State.CLOSED,
    "open": State.OPEN,
    "probing": State.HALF_OPEN,
    "ramp": State.HALF_OPEN,
}


class RecoveringMachine(RuleBasedStateMachine):
    """Calls come and end in any order, and both must always agree."""

    permits: Bundle[Any] = Bundle("permits")

    @initialize(adaptive=adaptives, ramp=ramps, probes=st.integers(1, 3))
    def begin(self, adaptive: Adaptive, ramp: Ramp, probes: int) -> None:
        self.clock = FakeClock()
        self.expected = Recovering(adaptive, ramp, probes)
        self.shares: list[float] = []
        self.breaker = CircuitBreaker(
            "payments",
            trip=TRIP,
            recovery=adaptive,
            ramp=ramp,
            probes=probes,
            probe_concurrency=probes,
            probe_lease=1e9,
            clock=self.clock,
            chance=lambda: self.expected.chance,
            registry="none",
            listeners=[self._hear],
        )
        for _ in range(TRIP):
            self.end((self.breaker.acquire(), self.expected.call()), ending=False)

    def _hear(self, event: object) -> None:
        if isinstance(event, ShareChanged):
            self.shares.append(event.share)
        if isinstance(event, Transition) and event.after == State.OPEN:
            self.shares.append(0.0)

    @rule(seconds=st.sampled_from([0.125, 0.5, 1.0, 1.0, 2.0, 5.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.expected.now += seconds

    @rule(chance=st.sampled_from([0.0, 0.2, 0.45, 0.7, 0.96875]))
    def be_lucky_or_not(self, chance: float) -> None:
        self.expected.chance = chance

    @rule(target=permits)
    def call(self) -> Any:
        token, permit = self.expected.call(), self.breaker.try_acquire()
        assert (permit is None) == (token is None)
        return multiple() if permit is None else (permit, token)

    @rule(
        held=consumes(permits), ending=st.sampled_from([True, True, True, False, None])
    )
    def end(self, held: tuple[Permit, Token | None], *, ending: bool | None) -> None:
        permit, token = held
        assert token is not None
        if ending is None:
            permit.release()
        elif ending:
            permit.success()
        else:
            permit.failure()
        self.expected.end(token, good=ending)

    @rule(times=st.integers(1, 12))
    def be_turned_away(self, times: int) -> None:
        for _ in range(times):
            if (
                self.expected.state == "open"
                and self.expected.now < self.expected.until
            ):
                assert self.expected.call() is None
                assert self.breaker.try_acquire() is None

    @rule(rounds=st.integers(1, 8), luck=st.booleans())
    def calls_go_well(self, rounds: int, *, luck: bool) -> None:
        for _ in range(rounds):
            self.expected.chance = 0.0 if luck else self.expected.chance
            token, permit = self.expected.call(), self.breaker.try_acquire()
            assert (permit is None) == (token is None)
            if permit is not None:
                self.end((permit, token), ending=True)
            self.wait(1.0)

    @rule()
    def calls_fail(self) -> None:
        self.expected.chance = 0.0
        for _ in range(TRIP):
            token, permit = self.expected.call(), self.breaker.try_acquire()
            assert (permit is None) == (token is None)
            if permit is not None:
                self.end((permit, token), ending=False)

    @invariant()
    def both_agree(self) -> None:
        seen, expected = self.breaker.snapshot(), self.expected
        assert seen.state == STATES[expected.state]
        shares = {"closed": 1.0, "open": 0.0, "probing": 0.0, "ramp": expected.share}
        assert seen.admitting == shares[expected.state]
        if expected.state == "open" and expected.now < expected.until:
            assert seen.retry_after is not None
            assert abs(seen.retry_after - (expected.until - expected.now)) < 1e-9
        if expected.state == "ramp":
            assert self.shares[-1] == expected.share
            assert expected.ramp.floor <= seen.admitting <= 1


TestRecovering = RecoveringMachine.TestCase
TestRecovering.settings = settings(stateful_step_count=80)
