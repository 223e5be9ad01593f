"""The clock that moves only when told to."""

from __future__ import annotations

import threading

import pytest

from recloser import CircuitBreaker, State
from recloser.testing import FakeClock


def test_clock_stands_still_until_it_is_told_to_move():
    clock = FakeClock()

    readings = [clock(), clock()]
    clock.advance(2.5)
    readings.append(clock())

    assert readings == [0.0, 0.0, 2.5]


def test_clock_begins_where_it_is_told_to():
    assert FakeClock(100)() == 100.0
    assert repr(FakeClock(100)) == "FakeClock(100)"


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf")])
def test_clock_refuses_to_go_back_and_stays(seconds):
    clock = FakeClock(5)

    with pytest.raises(ValueError, match="seconds must be"):
        clock.advance(seconds)

    assert clock() == 5.0


@pytest.mark.parametrize("value", ["5", None, True])
def test_clock_takes_numbers_only(value):
    with pytest.raises(TypeError, match="must be a number"):
        FakeClock(value)
    with pytest.raises(TypeError, match="must be a number"):
        FakeClock().advance(value)


def test_alarm_rings_when_its_time_has_come_and_once():
    clock, rung = FakeClock(), []
    clock.call_at(3, lambda: rung.append(clock()))

    for _ in range(5):
        clock.advance(1)

    assert rung == [3.0]
    assert clock.sleepers == 0


def test_alarms_ring_in_the_order_of_their_times():
    clock, rung = FakeClock(), []
    for when in (3, 1, 2):
        clock.call_at(when, lambda when=when: rung.append(when))

    clock.advance(10)

    assert rung == [1, 2, 3]


def test_cancelled_alarm_does_not_ring():
    clock, rung = FakeClock(), []
    cancel = clock.call_at(1, lambda: rung.append(True))
    assert clock.sleepers == 1

    cancel()
    cancel()
    clock.advance(10)

    assert rung == []
    assert clock.sleepers == 0


def test_alarm_may_set_another_alarm():
    clock, rung = FakeClock(), []
    clock.call_at(1, lambda: clock.call_at(2, lambda: rung.append(True)))

    clock.advance(1)
    clock.advance(1)

    assert rung == [True]


def test_all_threads_see_one_time():
    clock = FakeClock()
    threads = [
        threading.Thread(target=lambda: [clock.advance(1) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clock() == 2000.0


def test_breaker_on_the_clock_opens_and_recovers_without_any_sleep():
    clock = FakeClock()
    payments = CircuitBreaker("payments", trip=1, clock=clock, registry="none")
    payments.acquire().failure()

    clock.advance(33)
    payments.acquire().success()

    assert payments.state is State.CLOSED
