"""What can be imported, how it is called, and the registry of names."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
from collections.abc import Generator
from typing import Any

import pytest

import recloser
from recloser.compat import dorm
from recloser.compat.dorm import (
    CircuitBreaker,
    CircuitOpenError,
    CircuitState,
    circuit_breaker,
    get_state,
    reset_circuit_breakers,
)


@pytest.fixture(autouse=True)
def empty_registry() -> Generator[None]:
    reset_circuit_breakers()
    yield
    reset_circuit_breakers()


def test_a_star_import_brings_the_originals_names() -> None:
    assert set(dorm.__all__) == {
        "CircuitBreaker",
        "CircuitOpenError",
        "CircuitState",
        "circuit_breaker",
        "get_state",
        "reset_circuit_breakers",
    }
    assert all(hasattr(dorm, name) for name in dorm.__all__)


def test_states_are_members_with_the_originals_values() -> None:
    assert [(state.name, state.value) for state in CircuitState] == [
        ("CLOSED", "closed"),
        ("OPEN", "open"),
        ("HALF_OPEN", "half_open"),
    ]


def test_settings_are_keywords_with_the_originals_defaults() -> None:
    parameters = inspect.signature(CircuitBreaker).parameters
    breaker = CircuitBreaker("orders")

    assert list(parameters)[:4] == [
        "name",
        "failure_threshold",
        "open_window_s",
        "clock",
    ]
    assert all(
        parameter.kind is parameter.KEYWORD_ONLY
        for name, parameter in parameters.items()
        if name != "name"
    )
    assert (breaker.name, breaker.failure_threshold) == ("orders", 5)
    assert breaker.open_window_s == 30.0
    assert parameters["clock"].default is time.monotonic
    assert "clock" not in inspect.signature(circuit_breaker).parameters


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"failure_threshold": 0}, "failure_threshold must be >= 1"),
        ({"open_window_s": 0}, "open_window_s must be > 0"),
        ({"open_window_s": -1.0}, "open_window_s must be > 0"),
    ],
)
def test_numbers_out_of_range_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        CircuitBreaker("orders", **settings)


def test_a_name_has_one_breaker_with_the_settings_of_its_first_call() -> None:
    breaker = circuit_breaker("a", failure_threshold=2, open_window_s=7)

    assert circuit_breaker("a", failure_threshold=99) is breaker
    assert circuit_breaker("a", failure_threshold=-1) is breaker
    assert circuit_breaker("b") is not breaker
    assert (breaker.failure_threshold, breaker.open_window_s) == (2, 7)


def test_forgetting_the_names_leaves_the_breakers_as_they_are() -> None:
    breaker = circuit_breaker("a", failure_threshold=1)
    breaker.record_failure()

    reset_circuit_breakers()

    assert breaker.state is CircuitState.OPEN
    assert circuit_breaker("a") is not breaker


def test_the_state_of_an_unknown_name_is_unknown() -> None:
    assert get_state("a") == {"state": "unknown", "failures": 0, "opened_at": None}


def test_the_state_by_name_is_what_is_stored_until_somebody_asks_the_breaker() -> None:
    breaker = circuit_breaker("a", failure_threshold=1, open_window_s=1e-9)
    before = get_state("a")
    breaker.record_failure()

    stored = get_state("a")
    promoted = breaker.state
    asked = get_state("a")

    assert before == {"state": "closed", "failures": 0, "opened_at": None}
    assert (stored["state"], stored["failures"]) == ("open", 1)
    assert isinstance(stored["opened_at"], float)
    assert promoted is CircuitState.HALF_OPEN
    assert asked == {**stored, "state": "half_open"}


def test_the_error_is_dorms_and_ours() -> None:
    from dorm.exceptions import DatabaseError

    assert issubclass(CircuitOpenError, DatabaseError)
    assert issubclass(CircuitOpenError, recloser.CircuitOpenError)


def test_without_dorm_a_class_of_that_name_stands_in() -> None:
    program = (
        "import sys; sys.modules['dorm'] = None; "
        "from recloser.compat.dorm import CircuitOpenError; "
        "print(*[base.__module__ for base in CircuitOpenError.__mro__ "
        "if base.__name__ == 'DatabaseError'])"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )

    assert run.stdout.split() == ["recloser.compat._dorm_names"]
