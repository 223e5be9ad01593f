"""Events as structured log lines."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from recloser import CircuitOpenError, State
from recloser.listeners.structlog import StructlogListener
from recloser.testing import force


@pytest.fixture
def payments(make):
    return make(listeners=[StructlogListener()])


@pytest.fixture
def lines():
    with capture_logs() as lines:
        yield lines


def fail(breaker):
    breaker.acquire().failure(OSError("secret"))


def test_openings_are_warnings_and_other_transitions_infos(payments, clock, lines):
    fail(payments)
    fail(payments)
    clock.advance(10)
    payments.acquire().success()

    assert lines == [
        {
            "event": "circuit_transition",
            "log_level": "warning",
            "breaker": "payments",
            "epoch": 2,
            "before": "closed",
            "after": "open",
            "reason": "2 failures in a row",
            "retry_after": 10,
            "failure": "OSError",
        },
        {
            "event": "circuit_transition",
            "log_level": "info",
            "breaker": "payments",
            "epoch": 3,
            "before": "open",
            "after": "half_open",
            "reason": "the wait is over (2 failures in a row)",
            "failure": "OSError",
        },
        {
            "event": "circuit_transition",
            "log_level": "info",
            "breaker": "payments",
            "epoch": 4,
            "before": "half_open",
            "after": "closed",
        },
    ]


def test_rejection_is_a_debug_line(payments, lines):
    payments.trip()
    with pytest.raises(CircuitOpenError):
        payments.acquire()

    assert lines[1] == {
        "event": "circuit_rejected_call",
        "log_level": "debug",
        "breaker": "payments",
        "epoch": 2,
        "state": "open",
        "reason": "tripped by hand",
        "retry_after": 10,
    }


def test_trip_that_would_have_been_is_a_warning(payments, lines):
    payments.observe()
    fail(payments)
    fail(payments)

    assert (lines[1]["event"], lines[1]["log_level"]) == (
        "circuit_would_trip",
        "warning",
    )


def test_lost_probe_and_late_result_are_told(payments, clock, lines):
    late = payments.acquire()
    force(payments, State.HALF_OPEN)
    payments.acquire()
    clock.advance(30)
    payments.acquire()
    late.failure()

    assert [(line["event"], line["log_level"]) for line in lines[1:]] == [
        ("circuit_probe_lost", "warning"),
        ("circuit_late_result", "debug"),
    ]


def test_text_of_a_failure_is_not_logged(payments, lines):
    fail(payments)
    fail(payments)

    assert "secret" not in str(lines)


def test_single_calls_are_not_logged(payments, lines):
    payments.call(lambda: "answer")
    fail(payments)

    assert lines == []


@pytest.mark.recloser_allow_callback_errors
def test_error_of_a_callback_is_not_logged_twice(make, lines, caplog):
    payments = make(
        failure_result=lambda result: 1 / 0, listeners=[StructlogListener()]
    )

    payments.call(lambda: "answer")

    assert (lines, len(caplog.records)) == ([], 1)


def test_another_logger_can_be_given(make):
    logger = structlog.get_logger().bind(shop="east")
    payments = make(listeners=[StructlogListener(logger)])

    with capture_logs() as lines:
        payments.trip()

    assert [line["shop"] for line in lines] == ["east"]


def test_logger_that_is_none_is_refused():
    with pytest.raises(TypeError, match="must be a logger of structlog, got 3"):
        StructlogListener(3)
