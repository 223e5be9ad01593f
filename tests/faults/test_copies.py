"""What is copied or pickled: values are equal afterwards, breakers are the same or refuse.

The breaker itself, guarded functions and rejections: `tests/_runtime/test_breaker.py` and
`test_wrappers.py`. Here is every other value that a user can hold.
"""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress
from typing import Any

import pytest

import recloser
from recloser import (
    Backoff,
    BreakerGroup,
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    Permit,
    Policy,
    Ramp,
    SlowCallRate,
    State,
    TimeWindow,
    Wait,
    Word,
)

from .ways import Stage, answer, down


def events() -> list[Any]:
    """Return one event of each kind that a breaker tells."""
    heard: list[Any] = []

    class Listener:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("on_") and name != "on_attached":
                return heard.append
            raise AttributeError(name)

    class Told(Listener):
        def on_call(self, event: Any) -> None:
            heard.append(event)

    stage = Stage(trip=2, listeners=[Told()], ignore=lambda error: 1 / 0)
    breaker, clock = stage.breaker, stage.clock
    late = breaker.acquire()
    for _ in range(3):
        with suppress(OSError, CircuitOpenError):
            breaker.call(down)
    late.failure()
    clock.advance(10)
    breaker.acquire()
    clock.advance(20)
    breaker.call(answer)
    breaker.observe()
    for _ in range(3):
        with suppress(OSError):
            breaker.call(down)
    ramping = Stage(trip=1, ramp=Ramp(), recovery=Wait(1), listeners=[Told()])
    with suppress(OSError):
        ramping.breaker.call(down)
    ramping.clock.advance(2)
    ramping.breaker.call(answer)
    kinds = {type(event): event for event in heard}
    return list(kinds.values())


def values() -> list[Any]:
    slow = SlowCallRate(0.8, slower_than=2, window=CountWindow(100), minimum_calls=20)
    rate = FailureRate(0.5, window=TimeWindow(60), minimum_calls=20)
    rule = ConsecutiveFailures(5, slower_than=2, within=60) | (rate & slow)
    return [
        rule,
        Wait(30, jitter=0.2),
        Backoff(5, factor=2, maximum=300),
        Policy(trip=rule, recovery=Backoff(5), probes=3),
        Word(state=State.OPEN, epoch=3, remaining=1.5),
        Stage().breaker.snapshot(),
        *State,
        *recloser.Kind,
        *recloser.Origin,
    ]


@pytest.mark.recloser_allow_callback_errors
@pytest.mark.filterwarnings("ignore:callback")
def test_every_event_survives_copy_and_pickle():
    found = events()

    names = {type(event).__name__ for event in found}
    every = {kind.__name__ for kind in recloser.Event.__subclasses__()}
    assert names == every
    for event in found:
        check(event)


@pytest.mark.parametrize("value", values(), ids=repr)
def test_every_value_survives_copy_and_pickle(value):
    check(value)


def check(value: Any) -> None:
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(value, protocol))  # noqa: S301 - our own
        assert again == value
        assert type(again) is type(value)
        assert repr(again) == repr(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CircuitBreaker("payments", registry="none"),
        lambda: CircuitBreaker("payments", registry="none").acquire(),
        lambda: CircuitBreaker("payments", registry="none")(wait=1),
        lambda: BreakerGroup("api"),
    ],
    ids=["breaker", "permit", "guard", "group"],
)
def test_what_lives_in_one_process_cannot_be_pickled(make):
    with pytest.raises(TypeError):
        pickle.dumps(make())


def test_copy_of_a_permit_is_no_second_permit():
    stage = Stage(State.HALF_OPEN, probes=2)
    permit = stage.breaker.acquire()
    other: Permit = copy.copy(permit)

    permit.success()

    assert other.settled
    with pytest.raises(recloser.PermitError):
        other.success()
    assert stage.breaker.snapshot().totals.successes == 1
