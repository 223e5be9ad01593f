"""The genuine pybreaker and ours, through the same random sequences, step by step.

Can find any difference in results, errors, counts, states, storage writes and
notifications as long as one call runs at a time; what differs where calls overlap is in
test_overlap.py. Hypothesis shrinks what it finds to the shortest sequence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, Final

import pybreaker as genuine
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recloser.compat import pybreaker as ours
from tests.compat.pybreaker_clock import WallClock
from tests.compat.pybreaker_run import (
    Run,
    actions,
    awaited_actions,
    breaking,
    options,
)

SEQUENCES: Final = 20 * settings().max_examples


@pytest.fixture(scope="module", autouse=True)
def clock() -> Generator[WallClock]:
    clock = WallClock()
    with pytest.MonkeyPatch.context() as patch:
        for module in (genuine, ours):
            patch.setattr(module, "datetime", clock.datetime)
        yield clock


@pytest.fixture(scope="module")
def loop() -> Generator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@settings(max_examples=SEQUENCES)
@given(options, st.lists(actions | breaking, max_size=30))
def test_one_call_at_a_time_nobody_can_tell_it_from_the_original(
    clock: WallClock, options: dict[str, Any], actions: list[tuple[Any, ...]]
) -> None:
    theirs, mine = Run(genuine, options), Run(ours, options)

    for action in actions:
        if action[0] == "wait":
            clock.advance(action[1])
        expected, actual = theirs.step(action), mine.step(action)

        assert actual == expected


@settings(max_examples=SEQUENCES // 4)
@given(options, st.lists(st.deferred(lambda: actions) | awaited_actions, max_size=20))
def test_awaited_one_at_a_time_nobody_can_tell_it_from_the_original(
    clock: WallClock,
    loop: asyncio.AbstractEventLoop,
    options: dict[str, Any],
    actions: list[tuple[Any, ...]],
) -> None:
    theirs, mine = Run(genuine, options, loop=loop), Run(ours, options, loop=loop)

    for action in actions:
        if action[0] == "wait":
            clock.advance(action[1])
        expected, actual = theirs.step(action), mine.step(action)

        assert actual == expected
