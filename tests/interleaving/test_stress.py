"""Threads that really run at once, and change places as often as the interpreter lets them.

Beside the scheduler, which is exact and knows only some scenarios, this is wild: it can
detect lost updates, places given twice, and torn swaps that no scenario thought of. On a
build without the GIL the threads run in parallel.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any, Final

import pytest

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    CountWindow,
    FailureRate,
    State,
    TimeWindow,
    Transition,
    Wait,
)
from recloser.testing import FakeClock, force

from ..faults.ways import WAYS, answer, down

THREADS: Final = 4
THOROUGH: Final = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
CALLS: Final = 20_000 if THOROUGH else 5_000
ROUNDS: Final = 500 if THOROUGH else 25
STUCK: Final = 60  # seconds until a thread that hangs fails the test


@pytest.fixture(autouse=True)
def tiny_switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(*bodies: Callable[[], Any]) -> None:
    """Run functions on threads that begin together; raise what any of them raised."""
    barrier = threading.Barrier(len(bodies))
    errors: list[BaseException] = []

    def run(body: Callable[[], Any]) -> None:
        try:
            barrier.wait(STUCK)
            body()
        except BaseException as error:  # noqa: BLE001 - the test raises it
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(body,), daemon=True) for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STUCK)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


NEVER = 10**9
RULES = {
    "streak": NEVER,
    "count window": FailureRate(1.0, window=CountWindow(64), minimum_calls=64),
    "time window": FailureRate(1.0, window=TimeWindow(60), minimum_calls=NEVER),
}


def breaker_of(**options: Any) -> CircuitBreaker:
    return CircuitBreaker(
        "payments", registry="none", recovery=Wait(10, jitter=0), **options
    )


@pytest.mark.parametrize("trip", RULES.values(), ids=RULES.keys())
def test_every_call_of_every_kind_is_counted_once(trip):
    breaker = breaker_of(trip=trip, clock=FakeClock())
    kinds = [(way(breaker, answer), way(breaker, down)) for way in WAYS]

    def calls() -> None:
        for number in range(CALLS):
            good, bad = kinds[number % len(kinds)]
            good()
            if number % 3 == 0:
                with suppress(OSError):
                    bad()

    at_once(*[calls] * THREADS)

    totals = breaker.snapshot().totals
    assert totals.successes == THREADS * CALLS
    assert totals.failures == THREADS * len(range(0, CALLS, 3))
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize("concurrency", [1, 2])
def test_there_are_never_more_probes_than_places(concurrency):
    breaker = breaker_of(
        probes=3, probe_concurrency=concurrency, clock=FakeClock(), probe_lease=1e6
    )
    lock = threading.Lock()
    inside, most, probes = 0, 0, 0

    def count(change: int) -> None:
        nonlocal inside, most, probes
        with lock:
            inside += change
            probes += change > 0
            most = max(most, inside)

    def knocks() -> None:
        while breaker.state is State.HALF_OPEN:
            permit = breaker.try_acquire()
            if permit is not None and permit.is_probe:
                count(+1)
                count(-1)
            if permit is not None:
                permit.success()

    for _ in range(ROUNDS):
        force(breaker, State.HALF_OPEN)
        at_once(*[knocks] * THREADS)
        assert breaker.state is State.CLOSED

    assert most <= concurrency
    assert probes == 3 * ROUNDS
    assert breaker.snapshot().totals.lost == 0


def test_story_of_a_flapping_breaker_has_no_gap():
    heard: list[Transition] = []

    def hear(event: Any) -> None:
        if isinstance(event, Transition):
            heard.append(event)

    breaker = breaker_of(trip=2, clock=FakeClock(), listeners=[hear])
    first = breaker.snapshot().epoch

    def flaps() -> None:
        for number in range(CALLS // 4):
            with suppress(OSError, CircuitOpenError):
                breaker.call(down)
            if number % 3 == 0:
                breaker.reset()

    def operates() -> None:
        for _ in range(CALLS // 8):
            breaker.force_open()
            breaker.reset()
            with suppress(ValueError):
                breaker.trip()

    at_once(flaps, flaps, operates, operates)

    story = sorted(heard, key=lambda event: event.epoch)
    last = breaker.snapshot()
    assert [event.epoch for event in story] == list(range(first + 1, last.epoch + 1))
    assert story[-1].after is last.state
    for before, after in pairwise(story):
        assert after.before is before.after
    phase, recorder = breaker._circuit.current
    assert (recorder is not None) == (phase.state is State.CLOSED)
    assert breaker._circuit.ticket.cell_contents is recorder


def test_changes_of_settings_lose_no_call():
    breaker = breaker_of(trip=NEVER, clock=FakeClock())
    guarded = breaker(answer)
    rules = [NEVER, RULES["count window"], RULES["time window"]]

    def calls() -> None:
        for _ in range(CALLS):
            guarded()

    def changes() -> None:
        for number in range(CALLS // 10):
            breaker.reconfigure(trip=rules[number % 3])
            breaker.snapshot()

    at_once(calls, calls, changes)

    assert breaker.snapshot().totals.successes == 2 * CALLS


def test_snapshot_of_a_circuit_that_never_opened_has_no_rejection():
    for _ in range(ROUNDS * 4):
        breaker = breaker_of()
        seen: list[Any] = []

        def trips(breaker: CircuitBreaker = breaker) -> None:
            breaker.trip()
            for _ in range(50):
                with suppress(CircuitOpenError):
                    breaker.call(answer)

        def looks(breaker: CircuitBreaker = breaker, seen: list[Any] = seen) -> None:
            seen.extend(breaker.snapshot() for _ in range(30))

        at_once(trips, looks)

        closed = [each for each in seen if each.state is State.CLOSED]
        assert [each.rejected for each in closed] == [0] * len(closed)


def test_every_event_that_a_full_buffer_pushes_out_is_counted():
    breaker = breaker_of()
    watch = breaker.events(buffer=10)

    def forces() -> None:
        for _ in range(CALLS // 5):
            breaker.force_open()
            breaker.reset()

    at_once(*[forces] * THREADS)

    changes = breaker.snapshot().epoch - 1
    assert changes > 10
    assert watch.dropped == changes - 10


@pytest.mark.recloser_allow_callback_errors
def test_every_error_of_a_callback_is_counted(caplog):
    breaker = breaker_of(failure_result=lambda result: 1 / result)
    caplog.set_level("CRITICAL", "recloser")

    def calls() -> None:
        for _ in range(CALLS // 5):
            breaker.call(int)

    at_once(*[calls] * THREADS)

    assert breaker.snapshot().callback_errors == THREADS * (CALLS // 5)


def test_no_listener_is_lost_when_many_come_and_go_at_once():
    class Guest:
        def on_transition(self, event: Transition) -> None:
            """Come, and hear nothing."""

    for _ in range(ROUNDS * 2):
        breaker = breaker_of()
        staying = [[Guest() for _ in range(20)] for _ in range(THREADS)]

        def come_and_go(mine: list[Guest], breaker: CircuitBreaker = breaker) -> None:
            for guest in mine:
                passing = Guest()
                breaker.add_listener(passing)
                breaker.add_listener(guest)
                breaker.remove_listener(passing)

        at_once(*[partial(come_and_go, mine) for mine in staying])

        assert set(breaker._circuit.publisher.listeners) == {
            guest for mine in staying for guest in mine
        }
