"""What can be imported, how it is called, and what the monitor knows."""

from __future__ import annotations

import inspect

import pytest

import recloser
from recloser.compat import circuitbreaker
from recloser.compat.circuitbreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerMonitor,
    circuit,
)
from tests.compat.still_clock import StillClock


def ok() -> str:
    return "ok"


def fail() -> None:
    raise OSError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STATE_CLOSED", "closed"),
        ("STATE_OPEN", "open"),
        ("STATE_HALF_OPEN", "half_open"),
        ("STRING_TYPES", (bytes, str)),
    ],
)
def test_the_constants_are_the_originals(name: str, value: object) -> None:
    assert getattr(circuitbreaker, name) == value


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


def test_settings_of_the_class_are_the_defaults() -> None:
    breaker = CircuitBreaker()

    assert CircuitBreaker.FAILURE_THRESHOLD == breaker._failure_threshold == 5
    assert CircuitBreaker.RECOVERY_TIMEOUT == breaker._recovery_timeout == 30
    assert CircuitBreaker.EXPECTED_EXCEPTION is Exception
    assert CircuitBreaker.FALLBACK_FUNCTION is breaker.fallback_function is None


@pytest.mark.parametrize("nothing", [0, None, ()])
def test_settings_that_are_false_mean_the_default(nothing: object) -> None:
    breaker = CircuitBreaker(nothing, nothing, nothing)  # type: ignore[arg-type]

    assert breaker._failure_threshold == 5
    assert breaker._recovery_timeout == 30
    assert breaker.is_failure(ValueError, ValueError())


@pytest.mark.parametrize("text", ["name", b"name"])
def test_a_string_as_expected_exception_is_taken_for_a_misplaced_name(
    text: str | bytes,
) -> None:
    with pytest.raises(ValueError, match=r"cannot be a string\. Did you mean name\?"):
        CircuitBreaker(5, 30, text)  # type: ignore[arg-type]


@pytest.mark.parametrize("nonsense", [BaseException, KeyboardInterrupt, int, 7])
def test_what_is_no_exception_and_no_predicate_is_refused(nonsense: object) -> None:
    with pytest.raises(ValueError, match="does not look like a predicate"):
        CircuitBreaker(expected_exception=nonsense)  # type: ignore[arg-type]


def test_a_list_with_something_else_in_it_fails_only_when_a_call_does() -> None:
    breaker = CircuitBreaker(expected_exception=["OSError"])  # type: ignore[list-item]

    breaker.call(ok)

    with pytest.raises(TypeError):
        breaker.call(fail)


def test_expected_exception_of_an_intermediate_class_is_not_seen() -> None:
    class Parent(CircuitBreaker):
        EXPECTED_EXCEPTION = OSError

    class Child(Parent):
        pass

    assert not Parent().is_failure(KeyError, KeyError())
    assert Child().is_failure(KeyError, KeyError())


def test_a_function_on_a_class_is_a_predicate_or_a_bound_fallback() -> None:
    class Own(CircuitBreaker):
        def EXPECTED_EXCEPTION(kind, error) -> bool:  # type: ignore[misc] # noqa: N802, N805
            return kind is OSError and isinstance(error, OSError)

        def FALLBACK_FUNCTION(self) -> CircuitBreaker:  # noqa: N802
            return self

    breaker = Own(failure_threshold=1)
    guarded = breaker(fail)
    with pytest.raises(OSError):
        guarded()

    assert not breaker.is_failure(KeyError, KeyError())
    assert guarded() is breaker


def test_the_decorator_makes_a_breaker_of_the_given_class() -> None:
    class Nervous(CircuitBreaker):
        FAILURE_THRESHOLD = 1

    breaker = circuit(10, 20, KeyError, "orders", ok, cls=Nervous)
    guarded = circuit(ok)

    assert isinstance(breaker, Nervous)
    assert breaker._failure_threshold == 10
    assert breaker._recovery_timeout == 20
    assert breaker._name == "orders"
    assert breaker._fallback_function is ok
    assert guarded() == "ok"
    assert guarded.__wrapped__ is ok  # type: ignore[attr-defined]


def test_a_breaker_without_a_name_takes_that_of_its_first_function() -> None:
    breaker = CircuitBreaker()
    unnamed = str(breaker)

    breaker(ok)
    breaker(fail)

    assert unnamed == "unnamed_CircuitBreaker"
    assert breaker.name == str(breaker) == "ok"


def test_a_callable_without_a_name_needs_a_breaker_with_one() -> None:
    class Nameless:
        def __call__(self) -> str:
            return "called"

    with pytest.raises(AttributeError, match="__name__"):
        CircuitBreaker()(Nameless())
    named = CircuitBreaker(name="orders")(Nameless())

    assert named() == "called"


def test_the_monitor_knows_what_has_decorated_something(clock: StillClock) -> None:
    closed, opened = CircuitBreaker(name="closed"), CircuitBreaker(1, 10, name="opened")
    registered_before = CircuitBreakerMonitor.get("closed")
    closed(ok)
    broken = opened(fail)
    was_closed = CircuitBreakerMonitor.all_closed()
    with pytest.raises(OSError):
        broken()

    now_closed = CircuitBreakerMonitor.all_closed()
    lists = [
        list(CircuitBreakerMonitor.get_circuits()),
        list(CircuitBreakerMonitor.get_open()),
        list(CircuitBreakerMonitor.get_closed()),
    ]
    clock.advance(10)
    half_open = [
        CircuitBreakerMonitor.all_closed(),
        list(CircuitBreakerMonitor.get_open()),
        list(CircuitBreakerMonitor.get_closed()),
    ]

    assert registered_before is None
    assert (was_closed, now_closed) == (True, False)
    assert lists == [[closed, opened], [opened], [closed]]
    assert half_open == [True, [], [closed]]
    assert CircuitBreakerMonitor.get("opened") is opened


def test_the_monitor_keeps_the_newest_of_a_name() -> None:
    CircuitBreaker(name="orders")(ok)
    newest = CircuitBreaker(name="orders")
    newest(ok)

    assert list(CircuitBreakerMonitor.get_circuits()) == [newest]


def test_the_error_is_one_of_ours_too() -> None:
    assert issubclass(CircuitBreakerError, recloser.CircuitOpenError)
