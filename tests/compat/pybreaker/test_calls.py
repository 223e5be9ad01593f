"""What a call does, in each state."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recloser import State
from recloser.compat.pybreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitMemoryStorage,
)


class Hearing(CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        self.heard.append(("before", func.__name__, args, kwargs))

    def failure(self, cb: Any, exc: BaseException) -> None:
        self.heard.append(("failure", type(exc).__name__))

    def success(self, cb: Any) -> None:
        self.heard.append(("success", cb.current_state))

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        self.heard.append((old_state.name, new_state.name))


class DownError(Exception):
    pass


def down() -> None:
    raise DownError("is down")


def up(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def fail(breaker: CircuitBreaker, times: int = 1) -> list[BaseException]:
    errors: list[BaseException] = []
    for _ in range(times):
        with pytest.raises((DownError, CircuitBreakerError)) as raised:
            breaker.call(down)
        errors.append(raised.value)
    return errors


def opened(seconds_ago: float = 0, **options: Any) -> CircuitBreaker:
    breaker = CircuitBreaker(**options)
    breaker.open()
    opened_at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    breaker._state_storage.opened_at = opened_at
    return breaker


def test_a_call_passes_arguments_and_result_through() -> None:
    breaker = CircuitBreaker()

    assert breaker.call(up, 1, key=2) == ((1,), {"key": 2})


def test_a_success_resets_the_failure_count() -> None:
    breaker = CircuitBreaker()
    fail(breaker, 3)
    counted = breaker.fail_counter

    breaker.call(up)

    assert (counted, breaker.fail_counter) == (3, 0)


@pytest.mark.parametrize("fail_max", [0, 1])
def test_a_threshold_of_none_acts_like_one(fail_max: int) -> None:
    breaker = CircuitBreaker(fail_max=fail_max)

    errors = fail(breaker)

    assert isinstance(errors[0], CircuitBreakerError)
    assert breaker.current_state == "open"


def test_the_call_that_opens_the_circuit_raises_a_new_error() -> None:
    breaker = CircuitBreaker(fail_max=3, reset_timeout=7, name="payments")

    *before, tripping = fail(breaker, 3)

    assert [type(error) for error in before] == [DownError, DownError]
    assert tripping.args == ("Failures threshold reached, circuit breaker opened",)
    assert isinstance(tripping.__context__, DownError)
    assert tripping.__cause__ is None
    assert "DownError: is down" in "".join(traceback.format_exception(tripping))


def test_the_call_that_opens_the_circuit_can_raise_its_own_error() -> None:
    breaker = CircuitBreaker(fail_max=1, throw_new_error_on_trip=False)

    errors = fail(breaker)

    assert type(errors[0]) is DownError
    assert breaker.current_state == "open"


def test_listeners_hear_a_failure_before_the_circuit_opens() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(fail_max=1, listeners=[listener])

    fail(breaker)

    assert listener.heard == [
        ("before", "down", (), {}),
        ("failure", "DownError"),
        ("closed", "open"),
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_every_exception_is_a_failure(error: type[BaseException]) -> None:
    breaker = CircuitBreaker()

    def interrupted() -> None:
        raise error

    with pytest.raises(error):
        breaker.call(interrupted)

    assert breaker.fail_counter == 1


def test_an_excluded_error_is_handled_as_a_success() -> None:
    listener = Hearing()
    breaker = CircuitBreaker()
    fail(breaker)
    breaker.add_excluded_exception(DownError)
    breaker.add_listener(listener)

    with pytest.raises(DownError):
        breaker.call(down)

    assert breaker.fail_counter == 0
    assert listener.heard[1:] == [("success", "closed")]


def test_an_open_circuit_rejects_and_counts_nothing() -> None:
    listener = Hearing()
    breaker = opened(10, reset_timeout=60, name="payments")
    breaker.add_listener(listener)

    with pytest.raises(CircuitBreakerError) as refusal:
        breaker.call(up)

    expected = "Timeout not elapsed yet, circuit breaker still open"
    assert (refusal.value.args, str(refusal.value)) == ((expected,), expected)
    assert refusal.value.__context__ is None
    assert listener.heard == []
    assert breaker.fail_counter == 0


def test_a_rejection_carries_our_facts() -> None:
    breaker = CircuitBreaker(fail_max=2, reset_timeout=60, name="payments")
    fail(breaker, 2)

    with pytest.raises(CircuitBreakerError) as refusal:
        breaker.call(up)

    error = refusal.value
    assert (error.name, error.state) == ("payments", State.OPEN)
    assert error.reason == "2 failures in a row"
    assert error.retry_after == pytest.approx(60, abs=20)
    assert error.last_failure is not None
    assert (error.last_failure.type, error.last_failure.message) == (
        "DownError",
        "is down",
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(opened, "opened by hand", id="by hand"),
        pytest.param(
            lambda: CircuitBreaker(state_storage=foreign()),
            "opened elsewhere, says its storage",
            id="elsewhere",
        ),
    ],
)
def test_a_rejection_says_who_opened_the_circuit(
    make: Callable[[], CircuitBreaker], reason: str
) -> None:
    breaker = make()

    with pytest.raises(CircuitBreakerError) as refusal:
        breaker.call(up)

    assert (refusal.value.reason, refusal.value.last_failure) == (reason, None)
    assert refusal.value.name == ""


def test_opening_by_hand_forgets_the_failure_that_opened_it_before() -> None:
    breaker = CircuitBreaker(fail_max=1)
    fail(breaker)
    breaker.open()

    with pytest.raises(CircuitBreakerError) as refusal:
        breaker.call(up)

    assert (refusal.value.reason, refusal.value.last_failure) == (
        "opened by hand",
        None,
    )


def test_an_error_that_cannot_be_shown_opens_the_circuit_all_the_same() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fails() -> None:
        raise Unspeakable

    breaker = CircuitBreaker(fail_max=1)

    with pytest.raises(CircuitBreakerError) as tripped:
        breaker.call(fails)

    assert tripped.value.last_failure is not None
    assert (tripped.value.last_failure.type, tripped.value.last_failure.message) == (
        "Unspeakable",
        "",
    )


def foreign() -> CircuitMemoryStorage:
    storage = CircuitMemoryStorage("open")
    storage.opened_at = datetime.now(UTC)
    return storage


def test_when_the_timeout_is_over_a_call_goes_through_as_a_trial() -> None:
    listener = Hearing()
    breaker = opened(60, reset_timeout=60)
    breaker.add_listener(listener)

    breaker.call(up, 1)

    assert breaker.current_state == "closed"
    assert listener.heard == [
        ("open", "half-open"),
        ("before", "up", (1,), {}),
        ("half-open", "closed"),
        ("success", "closed"),
    ]


def test_without_an_opening_time_the_timeout_counts_as_over() -> None:
    breaker = CircuitBreaker(state_storage=CircuitMemoryStorage("open"))

    breaker.call(up)

    assert breaker.current_state == "closed"


def test_a_naive_opening_time_makes_the_next_call_fail() -> None:
    breaker = CircuitBreaker(state_storage=CircuitMemoryStorage("open"))
    breaker._state_storage.opened_at = datetime(2030, 1, 1)  # noqa: DTZ001

    with pytest.raises(TypeError, match="offset-naive"):
        breaker.call(up)


def test_a_failed_trial_reopens_at_once_and_the_count_goes_on() -> None:
    breaker = CircuitBreaker(fail_max=3, reset_timeout=0)
    fail(breaker, 3)

    (error,) = fail(breaker)

    assert error.args == ("Trial call failed, circuit breaker opened",)
    assert isinstance(error.__context__, DownError)
    assert breaker.current_state == "open"
    assert breaker.fail_counter == 4


def test_as_many_trials_in_a_row_as_the_threshold_says_close_the_circuit() -> None:
    breaker = opened(60, success_threshold=3)
    seen: list[tuple[str, int]] = []

    for _ in range(3):
        breaker.call(up)
        seen.append((breaker.current_state, breaker.success_counter))

    assert seen == [("half-open", 1), ("half-open", 2), ("closed", 0)]


def test_an_excluded_error_counts_towards_closing() -> None:
    breaker = opened(60, exclude=[DownError])

    with pytest.raises(DownError):
        breaker.call(down)

    assert breaker.current_state == "closed"


@pytest.mark.parametrize("event", ["before_call", "success"])
def test_an_error_of_a_listener_reaches_the_caller(event: str) -> None:
    breaker = CircuitBreaker(listeners=[broken(event)])

    with pytest.raises(LookupError, match=event):
        breaker.call(up)

    assert breaker.state.name == breaker.current_state == "closed"
    assert breaker.fail_counter == 0


@pytest.mark.parametrize("event", ["failure", "state_change"])
def test_an_error_of_a_listener_while_opening_leaves_the_circuit_closed(
    event: str,
) -> None:
    listener = broken(event)
    breaker = CircuitBreaker(fail_max=1, listeners=[listener])

    with pytest.raises(LookupError, match=event) as raised:
        breaker.call(down)

    assert isinstance(raised.value.__context__, DownError)
    assert breaker.state.name == breaker.current_state == "closed"
    breaker.remove_listener(listener)
    fail(breaker)
    assert breaker.current_state == "open"


def broken(event: str) -> CircuitBreakerListener:
    def raises(*args: Any, **kwargs: Any) -> None:
        raise LookupError(event)

    listener = CircuitBreakerListener()
    setattr(listener, event, raises)
    return listener


def test_a_storage_that_cannot_write_is_followed_again_at_the_next_read() -> None:
    class Full(CircuitMemoryStorage):
        @property
        def state(self) -> str:
            return self._state

        @state.setter
        def state(self, state: str) -> None:
            raise OSError("full")

    breaker = CircuitBreaker(fail_max=1, state_storage=Full("closed"))

    with pytest.raises(OSError, match="full"):
        breaker.call(down)

    assert breaker.state.name == breaker.current_state == "closed"
    assert breaker.call(up) == ((), {})


def test_a_coroutine_that_a_call_returns_is_not_awaited_and_a_success() -> None:
    breaker = CircuitBreaker()
    fail(breaker)

    async def coroutine_function() -> None:
        raise DownError

    coroutine = breaker.call(coroutine_function)
    coroutine.close()

    assert breaker.fail_counter == 0


def test_errors_are_made_shown_and_pickled_as_the_originals() -> None:
    error = CircuitBreakerError("one", 2)
    error.facts = ("payments", State.OPEN, None, "", None)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert (str(error), repr(error)) == (
        "('one', 2)",
        "CircuitBreakerError('one', 2)",
    )
    assert (copy.args, copy.name) == (("one", 2), "payments")
    assert str(CircuitBreakerError()) == ""
    assert (error.retry_after, error.last_failure) == (None, None)


def test_methods_may_be_replaced_on_the_instance() -> None:
    breaker = CircuitBreaker(fail_max=1)
    counted: list[int] = []
    breaker._inc_counter = lambda: counted.append(1)  # type: ignore[method-assign]

    with pytest.raises(DownError):
        breaker.call(down)

    assert counted == [1]
    assert breaker.current_state == "closed"
