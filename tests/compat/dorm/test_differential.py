"""The genuine circuit breaker of dorm and ours, through the same random sequences.

Can find any difference in results, errors, counts, states and times as long as one block
runs at a time; what differs where blocks overlap is in test_overlap.py. Hypothesis
shrinks what it finds to the shortest sequence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import dorm.contrib.circuit_breaker as genuine
from hypothesis import given, settings
from hypothesis import strategies as st

from recloser.compat import dorm as ours
from recloser.testing import FakeClock
from tests.compat.streaks_run import attempt, finish

SEQUENCES: Final = 20 * settings().max_examples

ERRORS: Final = {
    "refused": ConnectionRefusedError,
    "missing": KeyError,
    "stopped": StopIteration,
    "interrupted": KeyboardInterrupt,
    "cancelled": asyncio.CancelledError,
    "closed": GeneratorExit,
}
OVERRIDDEN: Final = ("allow", "record_success", "record_failure")

options = st.fixed_dictionaries(
    {
        "failure_threshold": st.sampled_from((1, 2, 3, 5, 0)),
        "open_window_s": st.sampled_from((10.0, 2.5, 30, 0.7, 0)),
        "overridden": st.sampled_from(("nothing",) * 5 + OVERRIDDEN),
    }
)
ends = st.sampled_from(("refused",) * 6 + ("rejected", "ok", "ok", *ERRORS))
actions = st.one_of(
    st.tuples(st.just("with"), ends),
    st.tuples(st.just("aprotect"), ends),
    st.tuples(st.just("decorated"), ends),
    st.tuples(
        st.sampled_from(
            ("allow", "record_success", "record_failure", "reset", "state", "failures")
        )
    ),
    st.tuples(st.just("wait"), st.sampled_from((10.0, 2.5, 0.7, 0.0, 0.25, 100.0))),
    st.tuples(st.just("failure_threshold"), st.integers(1, 4)),
    st.tuples(st.just("open_window_s"), st.sampled_from((1.0, 10.0))),
)


def subclass(module: ModuleType, overridden: str, log: list[str]) -> Any:
    base: Any = module.CircuitBreaker
    if overridden == "nothing":
        return base

    class Noisy(base):  # type: ignore[misc]
        pass

    def noisy(self: Any) -> Any:
        log.append(overridden)
        return getattr(base, overridden)(self)

    setattr(Noisy, overridden, noisy)
    return Noisy


class Run:
    """One breaker, and everything that can be seen of it."""

    def __init__(
        self, module: ModuleType, options: dict[str, Any], clock: FakeClock
    ) -> None:
        self.log: list[str] = []
        self.module = module
        self.breaker = subclass(module, options["overridden"], self.log)(
            "orders",
            failure_threshold=options["failure_threshold"],
            open_window_s=options["open_window_s"],
            clock=clock,
        )

    def step(self, action: tuple[Any, ...]) -> Any:
        del self.log[:]
        outcome = attempt(lambda: self.act(*action))
        return outcome, list(self.log), self.picture()

    def act(self, what: str, *details: Any) -> Any:
        if what == "with":
            return self.block(*details)
        if what == "aprotect":
            return finish(self.async_block(*details))
        if what == "decorated":
            return finish(self.decorated(*details))
        if what in {"failure_threshold", "open_window_s"}:
            return setattr(self.breaker, what, *details)
        if what == "state":
            return self.breaker.state.value
        if what == "failures":
            return self.breaker.failures
        return getattr(self.breaker, what)() if what != "wait" else None

    def end(self, how: str) -> str:
        self.log.append(how)
        if how == "rejected":
            message = "of another breaker"
            raise self.module.CircuitOpenError(message)
        if how != "ok":
            raise ERRORS[how](how)
        return "done"

    def block(self, how: str) -> str:
        with self.breaker as entered:
            assert entered is self.breaker
            return self.end(how)

    async def async_block(self, how: str) -> str:
        async with self.breaker.aprotect() as entered:
            assert entered is self.breaker
            return self.end(how)

    async def decorated(self, how: str) -> Any:
        @self.breaker.aprotect()  # type: ignore[untyped-decorator]
        async def function() -> str:
            return self.end(how)

        first = await function()
        return first, await function()

    def picture(self) -> Any:
        breaker = self.breaker
        return breaker._state.value, breaker.failures, breaker._opened_at


@settings(max_examples=SEQUENCES)
@given(options, st.lists(actions, max_size=30))
def test_one_block_at_a_time_nobody_can_tell_it_from_the_original(
    options: dict[str, Any], actions: list[tuple[Any, ...]]
) -> None:
    clock = FakeClock()
    modules = genuine, ours
    created = [attempt(lambda m=m: Run(m, options, clock)) for m in modules]
    if not all(isinstance(run, Run) for run in created):
        assert created[1] == created[0]
        return

    for action in actions:
        if action[0] == "wait":
            clock.advance(action[1])
        expected, actual = (run.step(action) for run in created)

        assert actual == expected


@settings(max_examples=SEQUENCES // 10)
@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("circuit_breaker"),
                st.sampled_from(("a", "b")),
                st.sampled_from((1, 2, 0)),
            ),
            st.tuples(st.just("get_state"), st.sampled_from(("a", "b"))),
            st.tuples(st.just("reset_circuit_breakers")),
            st.tuples(st.just("fail"), st.sampled_from(("a", "b"))),
        ),
        max_size=20,
    )
)
def test_the_registry_of_names_cannot_be_told_from_the_original(
    actions: list[tuple[Any, ...]],
) -> None:
    def act(module: ModuleType, what: str, *details: Any) -> Any:
        if what == "fail":
            return module.circuit_breaker(*details).record_failure()
        if what == "circuit_breaker":
            name, threshold = details
            breaker = module.circuit_breaker(name, failure_threshold=threshold)
            return breaker.failure_threshold, breaker is module.circuit_breaker(name)
        return getattr(module, what)(*details)

    genuine.reset_circuit_breakers()
    ours.reset_circuit_breakers()

    for action in actions:
        step: Callable[[ModuleType], Any] = lambda module, action=action: attempt(  # noqa: E731
            lambda: act(module, *action)
        )
        expected, actual = without_time(step(genuine)), without_time(step(ours))

        assert actual == expected


def without_time(answer: Any) -> Any:
    """Leave out when it opened, which is by the real clock, but not whether it did."""
    if isinstance(answer, dict):
        return {**answer, "opened_at": answer["opened_at"] is not None}
    return answer
