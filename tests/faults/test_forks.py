"""A process that forks: in each state, and while another thread holds a lock."""

from __future__ import annotations

import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from recloser import (
    BreakerGroup,
    CircuitBreaker,
    CircuitOpenError,
    State,
    breakers,
    get_breaker,
)
from recloser._runtime.registry import default_registry
from recloser.testing import force

from .ways import POLICIES, WAYS, Stage, answer, down

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

STUCK = 20  # seconds until a child that hangs is ended, and the test fails


def in_child(act: Callable[[], Any]) -> None:
    """Fork, do something in the child, and fail if it raised there or hung."""
    with warnings.catch_warnings():  # threads and fork are what this is about
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(STUCK)
            act()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must end here, whatever happens
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status), "the child hung"
    assert os.WEXITSTATUS(status) == 0, "the child failed; see above"


@contextmanager
def held_by_a_thread(lock: Any) -> Iterator[None]:
    """Have another thread hold a lock during the block."""
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            holding.set()
            done.wait()

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert holding.wait(STUCK)
    try:
        yield
    finally:
        done.set()
        thread.join(STUCK)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("trip", POLICIES.values(), ids=POLICIES.keys())
def test_child_begins_in_the_state_of_its_parent_and_goes_its_own_way(trip, state):
    stage = Stage(state, trip)
    breaker = stage.breaker
    epoch = breaker.snapshot().epoch
    guarded = [way(breaker, answer) for way in WAYS]

    def child() -> None:
        assert (breaker.state, breaker.snapshot().epoch) == (state, epoch)
        for each in guarded:
            with suppress(CircuitOpenError):
                each()
        breaker.reset()
        stage.heals()

    in_child(child)

    assert (breaker.state, breaker.snapshot().epoch) == (state, epoch)


@pytest.mark.parametrize("state", list(State))
def test_child_is_not_blocked_by_the_lock_of_a_circuit(state):
    breaker = Stage(state).breaker

    def child() -> None:
        with suppress(CircuitOpenError):
            breaker.call(answer)
        breaker.snapshot()
        breaker.reset()
        with suppress(OSError):
            breaker.call(down)
        assert breaker.snapshot().streak == 1

    with held_by_a_thread(breaker._circuit._lock):
        in_child(child)


def test_child_is_not_blocked_by_the_lock_of_a_group():
    group = BreakerGroup("api", max_size=2)

    with held_by_a_thread(group._lock):
        in_child(lambda: [group[key].call(answer) for key in "abc"])


def test_child_is_not_blocked_by_the_lock_of_the_registry():
    def child() -> None:
        made = CircuitBreaker("made in the child")
        assert get_breaker("made in the child") is made
        assert made in breakers()

    with held_by_a_thread(default_registry._lock):
        in_child(child)


def test_child_is_not_blocked_by_the_lock_of_the_queue():
    stage = Stage(State.HALF_OPEN)
    queue = stage.breaker._circuit.queue

    def child() -> None:
        with stage.breaker.acquire(timeout=1):
            pass
        assert stage.breaker.state is State.CLOSED

    with held_by_a_thread(queue._lock):
        in_child(child)


def test_places_of_threads_that_the_child_has_not_are_free_in_it():
    breaker = Stage(State.HALF_OPEN).breaker
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.append(breaker.acquire()))
    thread.start()
    thread.join()

    def child() -> None:
        assert breaker.call(answer) == "answer"
        assert breaker.state is State.CLOSED
        taken[0].success()  # late, and no matter

    in_child(child)

    assert breaker.snapshot().probes == 1


def test_place_of_the_thread_that_forks_is_held_on_both_sides():
    breaker = Stage(State.HALF_OPEN).breaker
    permit = breaker.acquire()

    def child() -> None:
        assert breaker.try_acquire() is None
        permit.success()
        assert breaker.state is State.CLOSED

    in_child(child)

    assert breaker.state is State.HALF_OPEN
    permit.success()
    assert breaker.state is State.CLOSED


def test_waiters_of_the_parent_are_nobody_in_the_child():
    stage = Stage(State.HALF_OPEN)
    breaker = stage.breaker
    probe = breaker.acquire()

    def wait() -> None:
        breaker.acquire(timeout=5).release()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    while not stage.clock.sleepers:
        threading.Event().wait(0.001)

    def child() -> None:
        probe.release()
        with breaker.acquire(timeout=1):
            assert breaker.snapshot().probes == 1
        assert breaker.state is State.CLOSED

    in_child(child)

    probe.release()
    thread.join(STUCK)
    assert not thread.is_alive()


def test_fork_in_the_middle_of_calls_of_other_threads():
    breaker = Stage(trip=2).breaker
    stop = threading.Event()

    def calls() -> None:
        while not stop.is_set():
            with suppress(OSError, CircuitOpenError):
                breaker.call(down)
            breaker.reset()

    threads = [threading.Thread(target=calls, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()

    def child() -> None:
        breaker.reset()
        assert breaker.call(answer) == "answer"
        force(breaker, State.HALF_OPEN)
        assert breaker.call(answer) == "answer"
        assert breaker.state is State.CLOSED

    try:
        for _ in range(10):
            in_child(child)
    finally:
        stop.set()
        for thread in threads:
            thread.join(STUCK)
