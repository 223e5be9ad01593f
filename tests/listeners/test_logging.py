"""Events in the standard library's log."""

from __future__ import annotations

import logging

import pytest

from recloser import CircuitBreaker, CircuitOpenError, State, Transition, Wait
from recloser.listeners.logging import LoggingListener
from recloser.testing import FakeClock, force


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def payments(clock):
    return CircuitBreaker(
        "payments",
        trip=2,
        recovery=Wait(10, jitter=0),
        probe_lease=30,
        clock=clock,
        registry="none",
        listeners=[LoggingListener()],
    )


@pytest.fixture
def lines(caplog):
    """Return what was logged, from debug lines on."""
    caplog.set_level(logging.DEBUG, logger="recloser")
    return lambda: [
        f"{record.levelname} {record.getMessage()}"
        for record in caplog.records
        if record.name == "recloser"
    ]


def fail(breaker):
    breaker.acquire().failure(OSError("secret"))


def test_openings_are_warnings_and_other_transitions_infos(payments, clock, lines):
    fail(payments)
    fail(payments)
    clock.advance(10)
    payments.acquire().success()

    assert lines() == [
        "WARNING payments: closed -> open (2 failures in a row), retry in 10 s",
        "INFO payments: open -> half_open (the wait is over (2 failures in a row))",
        "INFO payments: half_open -> closed",
    ]


def test_forced_opening_is_a_warning(payments, lines):
    payments.force_open()

    assert lines() == ["WARNING payments: closed -> forced_open (held open by hand)"]


def test_rejection_is_a_debug_line(payments, lines):
    payments.trip()
    with pytest.raises(CircuitOpenError):
        payments.acquire()

    assert lines()[1:] == ["DEBUG payments: rejected a call (tripped by hand)"]


def test_late_result_is_a_debug_line(payments, lines):
    late = payments.acquire()
    payments.reset()
    late.failure()

    assert lines()[1:] == ["DEBUG payments: a late failure changed nothing"]


def test_lost_probe_is_a_warning(payments, clock, lines):
    force(payments, State.HALF_OPEN)
    payments.acquire()
    clock.advance(30)
    payments.acquire()

    assert lines()[1:] == ["WARNING payments: 1 probe has not come back"]


def test_two_lost_probes_are_told_as_two(payments, clock, lines):
    force(payments, State.HALF_OPEN)
    for _ in range(3):
        payments.acquire()
        clock.advance(30)

    assert lines()[-1] == "WARNING payments: 2 probes have not come back"


def test_trip_that_would_have_been_is_a_warning(payments, lines):
    payments.observe()
    fail(payments)
    fail(payments)

    assert lines()[1:] == ["WARNING payments: would have opened (2 failures in a row)"]


def test_text_of_a_failure_is_not_logged(payments, lines):
    fail(payments)
    fail(payments)

    assert "secret" not in "".join(lines())


def test_event_itself_is_on_the_record(payments, caplog):
    payments.trip()

    [record] = caplog.records
    assert isinstance(record.recloser, Transition)
    assert record.recloser.after is State.OPEN


def test_percent_signs_and_braces_pass_unchanged(clock, lines):
    odd = CircuitBreaker(
        "100 %s {x}", clock=clock, registry="none", listeners=[LoggingListener()]
    )
    odd.force_open()

    assert lines()[0].startswith("WARNING 100 %s {x}: closed -> forced_open")


def test_another_logger_can_be_given(clock, caplog):
    logger = logging.getLogger("shop.payments")
    payments = CircuitBreaker(
        "payments", clock=clock, registry="none", listeners=[LoggingListener(logger)]
    )

    payments.trip()

    assert [record.name for record in caplog.records] == ["shop.payments"]


@pytest.mark.recloser_allow_callback_errors
def test_error_of_a_callback_is_logged_once(clock, caplog):
    payments = CircuitBreaker(
        "payments",
        clock=clock,
        registry="none",
        failure_result=lambda result: 1 / 0,
        listeners=[LoggingListener()],
    )

    payments.call(lambda: "answer")

    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_one_listener_serves_many_breakers(clock, lines):
    listener = LoggingListener()
    for name in ("one", "two"):
        CircuitBreaker(
            name, clock=clock, registry="none", listeners=[listener]
        ).force_open()

    assert [line.split(":")[0] for line in lines()] == ["WARNING one", "WARNING two"]


def test_single_calls_are_not_logged(payments, lines):
    payments.call(lambda: "answer")
    fail(payments)

    assert lines() == []


def test_logger_that_is_none_of_them_is_refused():
    with pytest.raises(TypeError) as refusal:
        LoggingListener("recloser")

    assert str(refusal.value) == "logger must be a logging.Logger, got 'recloser'"


def test_long_wait_is_told_in_whole_seconds(clock, caplog):
    CircuitBreaker(
        "payments",
        recovery=Wait(4_580, jitter=0),
        clock=clock,
        registry="none",
        listeners=[LoggingListener()],
    ).trip()

    assert caplog.messages == [
        "payments: closed -> open (tripped by hand), retry in 4580 s"
    ]


def test_a_name_cannot_forge_a_line(clock, caplog):
    CircuitBreaker(
        "é\nERROR root: forged",
        recovery=Wait(10, jitter=0),
        clock=clock,
        registry="none",
        listeners=[LoggingListener()],
    ).trip()

    assert caplog.messages == [
        r"é\nERROR root: forged: closed -> open (tripped by hand), retry in 10 s"
    ]
