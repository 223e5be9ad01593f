"""The genuine breaker of escudeiro and ours, turn by turn of the event loop.

Calls may overlap here: waiting together is what this breaker is for. Can find any
difference in results, errors, the order of attempts, what is frozen when, and the number
of turns each step takes. Left out is what we mend: cancelling a call that waits, and
calls after a freeze function raised (our switch for those is off). Both are in
test_breaker.py. Hypothesis shrinks what it finds to the shortest sequence.
"""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recloser.compat import escudeiro as ours
from tests.compat.streaks_run import seen

if sys.version_info < (3, 12):
    pytest.skip("escudeiro needs Python 3.12", allow_module_level=True)

import escudeiro.ds.circuit as genuine

SEQUENCES: Final = max(1_000, settings().max_examples)

ERRORS: Final = {
    "refused": ConnectionRefusedError,
    "missing": KeyError,
    "cancelled": asyncio.CancelledError,
}
attempts = st.tuples(
    st.sampled_from(("refused", "refused", "ok", "not async", *ERRORS)),
    st.integers(0, 2),
)
actions = st.one_of(
    st.tuples(st.just("start"), attempts, attempts),
    st.tuples(st.just("start"), attempts, attempts),
    st.tuples(st.just("turns"), st.integers(1, 3)),
    st.tuples(st.just("thaw")),
    st.tuples(st.just("freeze breaks")),
    st.tuples(st.just("on_error breaks"), st.booleans()),
    st.tuples(st.just("freeze is not async")),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
)


class Run:
    """One breaker in one loop, the calls made through it, and what can be seen."""

    def __init__(self, module: ModuleType) -> None:
        self.log: list[Any] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.thaws = asyncio.Event()
        self.freeze_breaks = False
        self.on_error_breaks = False
        self.breaker = module.CircuitBreaker(self.freeze, on_error=self.on_error)
        self.guarded = module.with_circuit_breaker(self.breaker)(self.call)
        if module is ours:
            self.breaker.retry_freeze = False

    async def freeze(self) -> None:
        self.log.append("freeze begins")
        self.thaws.clear()
        await self.thaws.wait()
        if self.freeze_breaks:
            message = "the freeze function is broken"
            raise LookupError(message)

    def on_error(self, error: Exception) -> None:
        self.log.append(("on_error", seen(error)))
        if self.on_error_breaks:
            message = "the error handler is broken"
            raise LookupError(message)

    def call(self, number: int, ends: list[tuple[str, int]]) -> Any:
        how, turns = ends.pop(0)
        if how == "not async":
            return how
        return self.attempt(number, how, turns)

    async def attempt(self, number: int, how: str, turns: int) -> str:
        self.log.append((number, how))
        for _ in range(turns):
            await asyncio.sleep(0)
        if how != "ok":
            raise ERRORS[how](number)
        return f"{number} is done"

    def act(self, what: str, *details: Any) -> None:
        if what == "start":
            work = self.guarded(len(self.tasks), list(details))
            self.tasks.append(asyncio.ensure_future(work))
        elif what == "thaw":
            self.thaws.set()
        elif what == "freeze breaks":
            self.freeze_breaks = True
        elif what == "on_error breaks":
            self.on_error_breaks = details[0]
        elif what == "freeze is not async":
            self.breaker.freeze_function = lambda: None
        elif what == "cancel" and not self.breaker.is_frozen:
            for task in self.tasks[details[0] : details[0] + 1]:
                task.cancel()

    def picture(self) -> Any:
        future = self.breaker._freeze_future
        return (
            self.breaker.is_frozen,
            None if future is None else outcome(future),
            [outcome(task) for task in self.tasks],
            list(self.log),
        )


def outcome(future: asyncio.Future[Any]) -> Any:
    if not future.done():
        return "pending"
    if future.cancelled():
        return "cancelled"
    return future.result() if future.exception() is None else seen(future.exception())


async def pictures(module: ModuleType, actions: list[tuple[Any, ...]]) -> list[Any]:
    run = Run(module)
    seen_so_far = []
    for action in [*actions, *ENDING]:
        run.act(*action)
        for _ in range(action[1] if action[0] == "turns" else 0):
            await asyncio.sleep(0)
            seen_so_far.append(run.picture())
        seen_so_far.append(run.picture())
    for task in run.tasks:
        task.cancel()
    await asyncio.gather(*run.tasks, return_exceptions=True)
    return seen_so_far


ENDING: Final = [("turns", 5), ("thaw",), ("turns", 5), ("thaw",), ("turns", 5)]


@settings(max_examples=SEQUENCES)
@given(st.lists(actions, max_size=15))
def test_turn_by_turn_nobody_can_tell_it_from_the_original(
    actions: list[tuple[Any, ...]],
) -> None:
    with asyncio.Runner() as runner:
        expected = runner.run(pictures(genuine, actions))
    with asyncio.Runner() as runner:
        actual = runner.run(pictures(ours, actions))

    assert actual == expected
