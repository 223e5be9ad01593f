"""Listeners that want the breakers themselves, from the first to the last."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    Registry,
    State,
    add_listener,
    remove_listener,
)


class Census:
    """A listener that is handed breakers, and gets their last snapshots."""

    def __init__(self):
        self.born = []
        self.last = []

    def on_attached(self, breaker):
        self.born.append(breaker.name)
        return self.last.append


@pytest.fixture
def census():
    return Census()


@pytest.fixture
def registry():
    return Registry()


# -- the first -----------------------------------------------------------------------


def test_listener_is_handed_the_breaker_when_it_is_made(make, census):
    make(listeners=[census])

    assert census.born == ["payments"]


def test_breaker_is_complete_when_it_is_handed_over(make, clock):
    seen = []

    class Curious:
        def on_attached(self, breaker):
            seen.append((breaker.state, breaker.call(lambda: "answer")))

    make(listeners=[Curious()])

    assert seen == [(State.CLOSED, "answer")]


def test_listener_that_is_added_later_is_handed_the_breaker(make, census):
    payments = make()

    payments.add_listener(census)

    assert census.born == ["payments"]


def test_listener_that_is_added_twice_is_handed_the_breaker_once(make, census):
    payments = make(listeners=[census])

    payments.add_listener(census)

    assert census.born == ["payments"]


@pytest.mark.recloser_allow_callback_errors
def test_error_of_the_listener_is_contained(make):
    class Broken:
        def on_attached(self, breaker):
            raise RuntimeError

    payments = make(listeners=[Broken()])

    assert payments.call(lambda: "answer") == "answer"
    assert payments.snapshot().callback_errors == 1


# -- the last ------------------------------------------------------------------------


def test_last_snapshot_comes_when_the_breaker_is_gone(make, census, fail):
    payments = make(trip=1, listeners=[census])
    payments.call(lambda: "answer")
    fail(payments)
    with pytest.raises(CircuitOpenError):
        payments.acquire()
    assert census.last == []

    del payments
    gc.collect()

    [last] = census.last
    assert (last.name, last.state) == ("payments", State.OPEN)
    assert (last.totals.successes, last.totals.failures, last.rejected) == (1, 1, 1)


def test_permit_that_outlives_the_breaker_is_in_the_last_snapshot(make, census):
    permit = make(listeners=[census]).acquire()
    gc.collect()
    assert census.last == []

    permit.success()
    del permit
    gc.collect()

    assert [last.totals.successes for last in census.last] == [1]


def test_listener_that_holds_the_breaker_keeps_it_in_a_cycle_only(make, census):
    payments = make(listeners=[census])
    payments.add_listener(lambda event, held=payments: held.state)
    gone = weakref.ref(payments)

    del payments
    gc.collect()

    assert gone() is None
    assert len(census.last) == 1


def test_last_snapshot_reads_no_clock(make, census):
    readings = []

    def clock():
        readings.append(1)
        return 0.0

    payments = make(clock=clock, listeners=[census])
    readings.clear()
    del payments
    gc.collect()

    assert readings == []
    assert len(census.last) == 1


def test_listener_that_is_removed_gets_its_last_snapshot_at_once(make, census):
    payments = make(listeners=[census])

    payments.remove_listener(census)
    assert len(census.last) == 1
    del payments
    gc.collect()

    assert len(census.last) == 1


def test_listener_that_removes_itself_at_once_gets_its_last_snapshot(make):
    last = []

    class Brief:
        def on_attached(self, breaker):
            breaker.remove_listener(self)
            return last.append

    payments = make(listeners=[Brief()])

    assert [snapshot.name for snapshot in last] == ["payments"]
    assert payments._circuit.publisher.farewells == ()


def test_breaker_dies_quietly_when_the_interpreter_took_its_parts_away(make, census):
    payments = make(listeners=[census])

    del payments._circuit.publisher
    del payments
    gc.collect()  # an error in here is a warning, which is an error

    assert census.last == []


@pytest.mark.recloser_allow_callback_errors
def test_error_of_a_farewell_is_contained(make, caplog):
    class Broken:
        def on_attached(self, breaker):
            return lambda last: 1 / 0

    payments = make(listeners=[Broken()])
    del payments
    gc.collect()

    assert [record.getMessage() for record in caplog.records] == [
        "breaker 'payments': its listeners raised"
    ]


def test_program_ends_quietly_with_living_breakers():
    program = (
        "from recloser import CircuitBreaker\n"
        "class Ear:\n"
        "    def on_attached(self, breaker): return print\n"
        "payments = CircuitBreaker('payments', listeners=[Ear()])\n"
        "payments.add_listener(lambda event: payments)\n"
    )

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")


# -- every breaker of a registry -----------------------------------------------------


def test_registry_tells_of_living_and_of_future_breakers(make, registry, census):
    living = make("one", registry=registry)

    registry.add_listener(census)
    future = make("two", registry=registry)

    assert census.born == ["one", "two"]
    assert {living, future} == set(registry)


def test_registry_gives_a_listener_to_no_breaker_twice(make, registry):
    heard = []
    registry.add_listener(heard.append)
    payments = make(registry=registry, listeners=[heard.append])

    registry.add(payments)
    payments.trip()

    assert len(heard) == 1


def test_registry_can_stop_telling(make, registry, census):
    payments = make(registry=registry)
    registry.add_listener(census)

    registry.remove_listener(census)
    make("two", registry=registry)

    assert census.born == ["payments"]
    assert [last.name for last in census.last] == [payments.name]


def test_listener_that_is_removed_while_a_breaker_is_added_does_not_stay(
    make, registry, census
):
    class Jealous:
        def on_attached(self, breaker):
            registry.remove_listener(census)

    registry.add_listener(Jealous())
    registry.add_listener(census)
    payments = make(registry=registry)

    assert census not in payments._circuit.publisher.listeners
    assert [snapshot.name for snapshot in census.last] == ["payments"]


def test_registry_refuses_what_cannot_listen(registry):
    with pytest.raises(TypeError, match="a listener must be callable"):
        registry.add_listener(42)


def test_default_registry_has_listeners_too(census):
    name = "test_attending.default"
    add_listener(census)
    payments = CircuitBreaker(name)
    remove_listener(census)

    assert census.born.count(name) == 1
    assert [last.name for last in census.last].count(payments.name) == 1
