"""The genuine aiobreaker and ours, through the same random sequences, step by step.

Can find any difference in results, errors, counts, states, times, storage writes and
notifications as long as one call runs at a time; what differs where calls overlap is in
test_overlap.py. Hypothesis shrinks what it finds to the shortest sequence.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import aiobreaker as genuine
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recloser.compat import aiobreaker as ours
from tests.compat.aiobreaker_run import Run, actions, breaking, options
from tests.compat.pybreaker_clock import WallClock

SEQUENCES: Final = 20 * settings().max_examples


@pytest.fixture(scope="module", autouse=True)
def clock() -> Generator[WallClock]:
    clock = WallClock()
    with pytest.MonkeyPatch.context() as patch:
        for package in (genuine, ours):
            patch.setattr(package.circuitbreaker, "datetime", clock.datetime)
            patch.setattr(package.state, "datetime", clock.datetime)
        yield clock


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
