"""Threads in the middle of each other: every order is like one of whole operations."""

from __future__ import annotations

import dis
import os
from typing import Any

import pytest

from recloser._runtime.counters import HAS_GIL
from recloser._runtime.managers import Blocks

from .exploration import explore, run, seeded
from .scenarios import SCENARIOS, Scenario, World, fails, resets
from .scheduler import StuckError, Turn

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_order_has_the_result_of_a_serial_one(scenario: Scenario) -> None:
    found = explore(
        scenario, seeds=200 if THOROUGH else 10, stride=1 if THOROUGH else 7
    )

    assert found.runs > 10
    assert found.steps > 50 * found.runs  # it did look between the bytecodes


def test_a_schedule_repeats_itself() -> None:
    scenario = SCENARIOS[2]
    schedule = seeded(scenario, 7, 200)

    first, machine = run(scenario, schedule, fine=True)
    second, again = run(scenario, schedule, fine=True)

    assert first == second
    assert machine.steps == again.steps


def test_the_explorer_finds_a_lost_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """A settle that does not look again before it swaps loses a reset, and is found out."""
    from recloser._runtime.circuit import Circuit

    def careless(self: Any, before: Any, after: Any, now: float = 0.0) -> Any:
        recorder = self._recorder_of(before, after, self.current[1])
        self.current = (after, recorder)
        self._sync()
        return ()

    def without_lock(self: Any, entry: Any, outcome: Any, now: float) -> None:
        self._settle(entry, outcome, False, now, 0.5)  # noqa: FBT003 - it never hung

    monkeypatch.setattr(Circuit, "_install", careless)
    monkeypatch.setattr(Circuit, "settle", without_lock)
    scenario = Scenario("careless", lambda: World(trip=1), (fails, resets))

    with pytest.raises(AssertionError, match="careless"):
        explore(scenario, seeds=0)


def test_the_scheduler_tells_of_a_deadlock() -> None:

    def keeps(world: World, mark: Any) -> None:
        world.breaker._circuit._lock.__enter__()

    scenario = Scenario("left", lambda: World(trip=1), (keeps, fails))

    with pytest.raises(StuckError):
        run(scenario, (Turn(0, 10_000), Turn(1, 10_000)), fine=True)


@pytest.mark.skipif(not HAS_GIL, reason="the pair is not swapped without the GIL")
def test_nothing_can_come_between_the_two_stores_of_a_blocks_pair() -> None:
    """What the scheduler takes for granted: no call, jump or resumption is between them."""
    code = list(dis.get_instructions(Blocks.swap))
    stores = [
        index
        for index, each in enumerate(code)
        if each.opname == "STORE_ATTR" and each.argval in {"__enter__", "__exit__"}
    ]

    between = {each.opname for each in code[stores[0] + 1 : stores[1]]}

    assert [code[index].argval for index in stores] == ["__enter__", "__exit__"]
    assert between <= {"LOAD_FAST", "LOAD_FAST_BORROW", "SWAP", "NOP"}


@pytest.mark.skipif(HAS_GIL, reason="with the GIL the pair is swapped")
def test_without_the_gil_the_general_pair_stays() -> None:
    breaker = World().breaker

    with breaker:
        pass
    breaker.reset()

    assert isinstance(breaker.__enter__, Blocks)
    assert breaker.__enter__ is breaker.__exit__
