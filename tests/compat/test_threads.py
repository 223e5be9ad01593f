"""The facades' books between threads, finalisers and forks."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import pytest

from recloser.compat import _streaks as streaks
from recloser.compat import aiobreaker, circuitbreaker, dorm, pybreaker

from ..faults.test_forks import held_by_a_thread, in_child

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def fails():
    raise OSError("down")


def is_free(lock):
    """Tell whether another thread could take a lock now."""
    taken = []

    def take():
        taken.append(lock.acquire(blocking=False))
        if taken[0]:
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return taken[0]


@needs_fork
def test_child_is_not_blocked_by_the_lock_of_a_pybreaker():
    breaker = pybreaker.CircuitBreaker(fail_max=2)

    def child():
        with suppress(OSError):
            breaker.call(fails)
        assert breaker.fail_counter == 1

    with held_by_a_thread(breaker._lock):
        in_child(child)


@needs_fork
def test_child_is_not_blocked_by_the_lock_of_an_aiobreaker():
    breaker = aiobreaker.CircuitBreaker(fail_max=2)

    with held_by_a_thread(breaker._lock):
        in_child(lambda: breaker.call(int))


@needs_fork
def test_child_is_not_blocked_by_the_locks_of_dorm():
    breaker = dorm.circuit_breaker("payments")

    def child():
        breaker.record_failure()
        assert dorm.circuit_breaker("payments").failures == 1

    with held_by_a_thread(breaker._lock), held_by_a_thread(dorm._names.lock):
        in_child(child)
    dorm.reset_circuit_breakers()


def test_failure_that_another_one_replaces_is_finalised_without_the_lock(monkeypatch):
    """Between the read of the last failure and the lock another call can fail."""
    free, real = [], streaks._books

    class LastFailure(Exception):
        def __del__(self):
            free.append(is_free(real))

    class Books:
        """The lock, before which another call fails, once."""

        came = False

        def acquire(self):
            if not self.came:
                self.came = True
                with suppress(LastFailure):
                    breaker.call(raises)
            return real.acquire()

        release = real.release

    def raises():
        raise LastFailure

    breaker = circuitbreaker.CircuitBreaker(failure_threshold=5)
    monkeypatch.setattr(streaks, "_books", Books())

    with suppress(OSError):
        breaker.call(fails)

    assert free == [True]


def test_breakers_may_come_while_the_monitor_is_asked(monkeypatch):
    monkeypatch.setattr(circuitbreaker.CircuitBreakerMonitor, "circuit_breakers", {})
    for name in ("a", "b"):
        circuitbreaker.circuit(name=name)(fails)

    closed = []
    for breaker in circuitbreaker.CircuitBreakerMonitor.get_closed():
        closed.append(breaker.name)
        circuitbreaker.circuit(name=f"{breaker.name} again")(fails)

    assert closed == ["a", "b"]


@pytest.mark.parametrize("probe", [False, True])
def test_dorm_asks_the_clock_without_its_lock(probe):
    free = []

    def clock():
        free.extend(is_free(each._lock) for each in breakers)
        return float(len(free))

    breakers = []
    breaker = dorm.CircuitBreaker("payments", clock=clock, single_probe=probe)
    for _ in range(5):
        breaker.record_failure()
    breaker.open_window_s = 0.0
    breakers.append(breaker)

    with breaker:
        pass

    assert free
    assert all(free)


def test_listener_that_comes_in_the_middle_of_a_removal_stays():
    class Nosy(pybreaker.CircuitBreakerListener):
        """Compares by doing what another thread might do at that moment."""

        def __eq__(self, other):
            if not came:
                came.append(late)
                breaker.add_listener(late)
            return self is other

        __hash__ = object.__hash__

    came = []
    late = pybreaker.CircuitBreakerListener()
    nosy, leaving = Nosy(), pybreaker.CircuitBreakerListener()
    breaker = pybreaker.CircuitBreaker(listeners=[leaving])
    breaker.add_listener(nosy)

    breaker.remove_listener(nosy)

    assert any(one is late for one in breaker.listeners)
    assert not any(one is nosy for one in breaker.listeners)
