"""What can be imported, how it is called, and what a decorator accepts."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import AsyncMock

import pytest

import recloser
from recloser.compat import aiocircuitbreaker
from recloser.compat.aiocircuitbreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    State,
    circuit,
)
from tests.compat.streaks_run import finish


async def ok() -> str:
    return "ok"


def plain() -> None:
    pass


@pytest.mark.parametrize("name", aiocircuitbreaker.__all__)
def test_every_name_is_in_the_package_and_in_its_module(name: str) -> None:
    inner = aiocircuitbreaker.aiocircuitbreaker

    assert getattr(aiocircuitbreaker, name) is getattr(inner, name)


def test_states_are_members_in_the_originals_order() -> None:
    assert [(state.name, state.value) for state in State] == [
        ("CLOSED", "closed"),
        ("OPEN", "open"),
        ("HALF_OPEN", "half_open"),
    ]


def test_parameters_may_be_given_by_position_in_the_originals_order() -> None:
    names = list(inspect.signature(CircuitBreaker).parameters)
    of_circuit = list(inspect.signature(circuit).parameters)

    assert names[:5] == [
        "failure_threshold",
        "recovery_timeout",
        "expected_exception",
        "name",
        "fallback_function",
    ]
    assert of_circuit[:6] == [*names[:5], "cls"]


@pytest.mark.parametrize("nothing", [0, None])
def test_settings_that_are_false_mean_the_default(nothing: int | None) -> None:
    breaker = CircuitBreaker(nothing, nothing)

    assert (breaker._failure_threshold, breaker._recovery_timeout) == (5, 30)
    assert breaker._expected_exception is Exception
    assert breaker.fallback_function is None


def test_settings_of_a_class_are_inherited() -> None:
    class Parent(CircuitBreaker):
        FAILURE_THRESHOLD = 1
        EXPECTED_EXCEPTION = OSError

    class Child(Parent):
        RECOVERY_TIMEOUT = 7

    breaker = Child()

    assert (breaker._failure_threshold, breaker._recovery_timeout) == (1, 7)
    assert breaker._expected_exception is OSError


def test_the_name_is_never_taken_from_the_function() -> None:
    breaker = CircuitBreaker()

    breaker(ok)

    assert breaker.name == ""


@pytest.mark.parametrize(
    ("function", "name"), [(plain, "plain"), (len, "len"), (int, "int")]
)
def test_only_coroutine_functions_are_decorated(function: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f'function "{name}" is not awaitable'):
        CircuitBreaker()(function)


def test_a_mock_of_a_coroutine_function_is_decorated() -> None:
    mock = AsyncMock(return_value="mocked")

    assert finish(CircuitBreaker()(mock)()) == "mocked"
    assert finish(circuit(mock)()) == "mocked"


def test_the_wrapper_is_a_coroutine_function_with_the_functions_name() -> None:
    guarded = circuit(ok)

    assert inspect.iscoroutinefunction(guarded)
    assert guarded.__name__ == "ok"
    assert guarded.__wrapped__ is ok  # type: ignore[attr-defined]


def test_the_decorator_calls_the_class_once_and_touches_nothing_afterwards() -> None:
    calls = []

    class Watched(CircuitBreaker):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            calls.append((args, kwargs))

        def __getattribute__(self, name: str) -> Any:
            calls.append(name)
            return super().__getattribute__(name)

    breaker = circuit(10, 20, KeyError, "orders", plain, cls=Watched)

    assert type(breaker) is Watched
    assert calls == [
        (
            (),
            {
                "failure_threshold": 10,
                "recovery_timeout": 20,
                "expected_exception": KeyError,
                "name": "orders",
                "fallback_function": plain,
            },
        )
    ]


def test_decorate_may_be_replaced_on_the_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decorated = []

    monkeypatch.setattr(
        CircuitBreaker, "decorate", lambda self, function: decorated.append(function)
    )
    circuit(ok)

    assert decorated == [ok]


def test_there_is_no_monitor_no_text_and_no_reset() -> None:
    assert not hasattr(aiocircuitbreaker, "CircuitBreakerMonitor")
    assert not hasattr(CircuitBreaker, "reset")
    assert CircuitBreaker.__str__ is object.__str__


def test_the_error_is_one_of_ours_too() -> None:
    assert issubclass(CircuitBreakerError, recloser.CircuitOpenError)
