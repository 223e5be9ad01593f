from __future__ import annotations

import pytest

from recloser.cli.demo.records import Call, Change, Client, Ending, Recording, Visit
from recloser.cli.demo.story import Act, Story


@pytest.fixture
def recording() -> Recording:
    """A run of 20 seconds, made up, small enough to count by hand."""
    made = Recording(story=Story.lasting(20), seed=1, elapsed=lambda: 0.0)
    unguarded, guarded = Client.UNGUARDED, Client.GUARDED
    made.calls += [
        Call(client=unguarded, began=1.0, ended=1.02, ending=Ending.OK),
        Call(client=guarded, began=1.0, ended=1.04, ending=Ending.OK),
        Call(client=unguarded, began=3.0, ended=3.01, ending=Ending.FAILED),
        Call(client=guarded, began=3.0, ended=3.01, ending=Ending.FAILED),
        Call(client=unguarded, began=7.0, ended=8.0, ending=Ending.TIMED_OUT),
        Call(client=unguarded, began=7.5, ended=8.5, ending=Ending.TIMED_OUT),
        Call(client=guarded, began=7.0, ended=7.00002, ending=Ending.REJECTED),
        Call(client=unguarded, began=18.0, ended=18.03, ending=Ending.OK),
        Call(client=guarded, began=18.0, ended=18.02, ending=Ending.OK),
    ]
    made.visits += [
        Visit(client=unguarded, act=Act.HEALTHY, came=1.0, left=1.02),
        Visit(client=guarded, act=Act.HEALTHY, came=1.0, left=1.04),
        Visit(client=unguarded, act=Act.ERRORS, came=3.0, left=3.01),
        Visit(client=guarded, act=Act.ERRORS, came=3.0, left=3.01),
        Visit(client=unguarded, act=Act.HANGS, came=7.0, left=10.2),
        Visit(client=unguarded, act=Act.HANGS, came=7.5, left=10.2),
        Visit(client=unguarded, act=Act.HEALTHY, came=18.0, left=18.03),
        Visit(client=guarded, act=Act.HEALTHY, came=18.0, left=18.02),
    ]
    made.changes += [
        Change(at=3.0, before="closed", after="open", reason="5 failures in a row"),
        Change(at=14.0, before="open", after="half_open", reason="the wait is over"),
        Change(
            at=14.2, before="half_open", after="closed", reason="3 probes succeeded"
        ),
    ]
    return made
