"""Storages and listeners that raise, in pybreaker's and aiobreaker's facade.

Whatever raises, at whatever moment: the caller hears of it, and as soon as it works again
the breaker and its storage agree, no lock is held, and no trial's place is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from types import ModuleType
from typing import Any, Final

import pytest

from recloser.compat import aiobreaker, pybreaker


class Broken(Exception):
    """What a storage or a listener raises."""


class Refused(Exception):
    """What a guarded function raises."""


READ: Final = ("state", "counter", "opened_at")
WRITTEN: Final = ("state", "opened_at")
CALLED: Final = ("increment_counter", "reset_counter")
EVENTS: Final = ("before_call", "success", "failure", "state_change")
BROKEN: Final = (
    *(f"read {name}" for name in READ),
    *(f"write {name}" for name in WRITTEN),
    *CALLED,
    *EVENTS,
)


class Switch:
    """What is broken now, "" for nothing; and whether it was met."""

    def __init__(self) -> None:
        self.broken = ""
        self.met = False

    def check(self, name: str) -> None:
        if name == self.broken:
            self.met = True
            raise Broken(name)


def breaking_storage(module: ModuleType, state: Any, switch: Switch) -> Any:
    base: Any = (
        pybreaker.CircuitMemoryStorage
        if module is pybreaker
        else aiobreaker.storage.CircuitMemoryStorage
    )

    def checked(name: str) -> property:
        inner = getattr(base, name)

        def read(self: Any) -> Any:
            switch.check(f"read {name}")
            return inner.fget(self)

        def write(self: Any, value: Any) -> None:
            switch.check(f"write {name}")
            inner.fset(self, value)

        return property(read, write if inner.fset else None)

    def called(name: str) -> Callable[[Any], None]:
        def method(self: Any) -> None:
            switch.check(name)
            getattr(base, name)(self)

        return method

    members: dict[str, Any] = {name: checked(name) for name in READ}
    members |= {name: called(name) for name in CALLED}
    return type("Storage", (base,), members)(state)


def breaking_listener(module: ModuleType, switch: Switch) -> Any:
    def told(name: str) -> Callable[..., None]:
        return lambda *_: switch.check(name)

    members = {name: told(name) for name in EVENTS}
    return type("Listener", (module.CircuitBreakerListener,), members)()


def make(module: ModuleType, switch: Switch) -> Any:
    """Return a breaker that trips at two failures and whose wait is always over."""
    closed: Any
    over: Any
    if module is pybreaker:
        closed, over = pybreaker.STATE_CLOSED, -1
    else:
        closed, over = aiobreaker.CircuitBreakerState.CLOSED, timedelta(seconds=-1)
    storage = breaking_storage(module, closed, switch)
    listeners = [breaking_listener(module, switch)]
    return module.CircuitBreaker(2, over, state_storage=storage, listeners=listeners)


def fail(breaker: Any) -> None:
    def refuse() -> None:
        raise Refused

    with suppress(
        Refused, pybreaker.CircuitBreakerError, aiobreaker.CircuitBreakerError
    ):
        breaker.call(refuse)


def succeed(breaker: Any) -> None:
    assert breaker.call(lambda: "done") == "done"


def open_it(breaker: Any) -> None:
    fail(breaker)
    fail(breaker)


MOMENTS: Final[dict[str, tuple[Callable[[Any], None], Callable[[Any], None]]]] = {
    "a success": (succeed, succeed),
    "a failure": (succeed, fail),
    "the failure that trips": (fail, fail),
    "a trial that succeeds": (open_it, succeed),
    "a trial that fails": (open_it, fail),
    "opening by hand": (succeed, lambda breaker: breaker.open()),
    "closing by hand": (open_it, lambda breaker: breaker.close()),
    "half-opening by hand": (succeed, lambda breaker: breaker.half_open()),
}


def name_of(breaker: Any) -> str:
    state: Any = breaker.current_state
    return state if isinstance(state, str) else str(state.name)


def cached(breaker: Any) -> Any:
    state = breaker.state
    return state.name if hasattr(state, "name") else state.state


@pytest.mark.parametrize("module", [pybreaker, aiobreaker], ids=["pybreaker", "aiobr"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("broken", BROKEN)
def test_after_something_raised_the_breaker_works_as_before(
    module: ModuleType, moment: str, broken: str
) -> None:
    switch = Switch()
    breaker = make(module, switch)
    before, then = MOMENTS[moment]
    before(breaker)

    switch.broken = broken
    try:
        then(breaker)
    except Broken as error:
        heard = str(error)
    else:
        heard = ""
    switch.broken = ""

    assert heard == (broken if switch.met else "")  # nobody's error is swallowed
    assert cached(breaker) == breaker.current_state
    thread = threading.Thread(target=breaker.close)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()  # no lock was left behind
    assert (name_of(breaker).lower(), breaker.fail_counter) == ("closed", 0)
    open_it(breaker)
    assert (name_of(breaker).lower(), breaker.fail_counter) == ("open", 2)
    succeed(breaker)  # the place of the trial is free
    assert (name_of(breaker).lower(), breaker.fail_counter) == ("closed", 0)


@pytest.mark.parametrize("module", [pybreaker, aiobreaker], ids=["pybreaker", "aiobr"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_trial_during_which_something_raised_loses_no_place(
    module: ModuleType, broken: str
) -> None:
    switch = Switch()
    breaker = make(module, switch)

    for act in (succeed, fail):
        open_it(breaker)
        switch.broken = broken
        with suppress(Broken):
            Context().run(act, breaker)
        switch.broken = ""
        # A context of its own, or it would belong to the trial that got lost.
        Context().run(succeed, breaker)

    assert (name_of(breaker).lower(), breaker.fail_counter) == ("closed", 0)
