"""Settings, states and commands of the breaker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from recloser.compat import pybreaker
from recloser.compat.pybreaker import (
    CircuitBreaker,
    CircuitBreakerListener,
    CircuitBreakerStorage,
    CircuitMemoryStorage,
)


class Hearing(CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str, int]] = []

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        self.heard.append(
            (old_state.name, new_state.name, cb.current_state, cb.fail_counter)
        )


def test_the_defaults_are_those_of_the_original() -> None:
    breaker = CircuitBreaker()

    assert (breaker.fail_max, breaker.reset_timeout) == (5, 60)
    assert (breaker.success_threshold, breaker.name) == (1, None)
    assert (breaker.excluded_exceptions, breaker.listeners) == ((), ())
    assert (breaker.fail_counter, breaker.success_counter) == (0, 0)
    assert (breaker.current_state, breaker.state.name) == ("closed", "closed")
    assert breaker._state_storage.name == "memory"


def test_every_parameter_of_the_original_may_be_positional() -> None:
    listener, storage = Hearing(), CircuitMemoryStorage("half-open")

    arguments = (2, 3, 4, [KeyError], [listener], storage, "payments", False)
    breaker = CircuitBreaker(*arguments)

    assert (breaker.fail_max, breaker.reset_timeout) == (2, 3)
    assert (breaker.success_threshold, breaker.name) == (4, "payments")
    assert breaker.excluded_exceptions == (KeyError,)
    assert breaker.listeners == (listener,)
    assert breaker._state_storage is storage
    assert breaker.open() is False


@pytest.mark.parametrize("option", ["exclude", "listeners"])
def test_one_thing_in_place_of_several_is_a_type_error(option: str) -> None:
    alone: dict[str, Any] = {option: KeyError}

    with pytest.raises(TypeError, match="not iterable"):
        CircuitBreaker(**alone)


@pytest.mark.parametrize("state", ["closed", "open", "half-open"])
def test_the_storage_says_where_to_start_and_nobody_is_told(state: str) -> None:
    listener, storage = Hearing(), CircuitMemoryStorage(state)
    storage.increment_counter()

    breaker = CircuitBreaker(listeners=[listener], state_storage=storage)

    assert breaker.state.name == state
    assert breaker.fail_counter == 1
    assert listener.heard == []


def test_an_unknown_state_is_a_value_error_that_lists_the_valid_ones() -> None:
    expected = "Unknown state 'weird', valid states: closed, open, half-open"
    breaker = CircuitBreaker()
    attempts = (
        lambda: CircuitBreaker(state_storage=CircuitMemoryStorage("weird")),
        lambda: setattr(breaker, "state", "weird"),
        lambda: breaker._create_new_state("weird"),
    )

    for attempt in attempts:
        with pytest.raises(ValueError, match="Unknown state") as raised:
            attempt()

        assert str(raised.value) == expected
        assert isinstance(raised.value.__cause__, KeyError)


def test_settings_act_at_their_next_use() -> None:
    breaker = CircuitBreaker(fail_max=1)
    breaker.fail_max, breaker.name = 2, "payments"
    breaker.reset_timeout, breaker.success_threshold = 0, 2

    with pytest.raises(KeyError):
        breaker.call({}.__getitem__, "missing")
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.call({}.__getitem__, "missing")
    breaker.call(str)

    assert breaker.current_state == "half-open"
    assert breaker.name == "payments"


def test_reading_the_state_follows_the_storage_and_tells_the_listeners() -> None:
    listener, storage = Hearing(), CircuitMemoryStorage("closed")
    breaker = CircuitBreaker(listeners=[listener], state_storage=storage)

    storage.state = "open"
    current, told_by_then = breaker.current_state, list(listener.heard)
    name = breaker.state.name

    assert (current, told_by_then) == ("open", [])
    assert name == "open"
    assert listener.heard == [("closed", "open", "open", 0)]


def test_a_state_that_is_set_lasts_until_the_next_read() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    breaker.state = "open"
    current = breaker.current_state
    name = breaker.state.name

    assert (current, name) == ("closed", "closed")
    assert [(old, new) for old, new, *_ in listener.heard] == [
        ("closed", "open"),
        ("open", "closed"),
    ]


def test_open_returns_whether_a_trip_raises_a_new_error() -> None:
    answers = [
        CircuitBreaker(throw_new_error_on_trip=throw).open() for throw in (True, False)
    ]

    assert answers == [True, False]


def test_half_open_and_close_return_nothing() -> None:
    breaker = CircuitBreaker()

    assert [breaker.half_open(), breaker.close()] == [None, None]


@pytest.mark.parametrize("name", ["open", "half_open", "close"])
def test_a_command_tells_the_listeners_even_where_the_state_stays(name: str) -> None:
    breaker, listener = CircuitBreaker(), Hearing()
    getattr(breaker, name)()
    breaker.add_listener(listener)

    getattr(breaker, name)()

    state = breaker.current_state
    assert [(old, new) for old, new, *_ in listener.heard] == [(state, state)]


def test_open_stamps_the_time_afresh_as_aware_utc() -> None:
    breaker = CircuitBreaker()
    before = datetime.now(UTC)
    breaker._state_storage.opened_at = before - timedelta(days=1)

    breaker.open()

    opened_at = breaker._state_storage.opened_at
    assert before <= opened_at <= datetime.now(UTC)
    assert opened_at.tzinfo is UTC


def test_while_the_state_changes_the_current_one_is_still_the_old_one() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])
    breaker._inc_counter()

    for change in (breaker.open, breaker.half_open, breaker.close):
        change()

    assert listener.heard == [
        ("closed", "open", "closed", 1),
        ("open", "half-open", "open", 1),
        ("half-open", "closed", "half-open", 0),
    ]


def test_the_success_count_ends_with_the_state() -> None:
    breaker = CircuitBreaker(success_threshold=5)
    counts: list[int] = []

    for change in (breaker.half_open, breaker.open, breaker.close):
        breaker.half_open()
        breaker.call(str)
        change()
        counts.append(breaker.success_counter)

    assert counts == [0, 0, 0]


def test_exclusions_come_and_go_one_at_a_time() -> None:
    breaker = CircuitBreaker(exclude=[KeyError])

    breaker.add_excluded_exceptions(OSError, KeyError)
    breaker.remove_excluded_exception(KeyError)

    assert breaker.excluded_exceptions == (OSError, KeyError)
    with pytest.raises(ValueError, match="not in list"):
        breaker.remove_excluded_exception(ValueError)


def test_listeners_come_and_go_one_at_a_time() -> None:
    breaker = CircuitBreaker()
    first, second = CircuitBreakerListener(), CircuitBreakerListener()

    breaker.add_listeners(first, second, first)
    breaker.remove_listener(first)

    assert breaker.listeners == (second, first)
    with pytest.raises(ValueError, match="not in list"):
        breaker.remove_listener(CircuitBreakerListener())


class Meta(type):
    pass


class Odd(Exception, metaclass=Meta):
    pass


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        pytest.param(LookupError, False, id="a parent"),
        pytest.param(OSError, True, id="another class"),
        pytest.param(lambda error: error.args == ("x",), False, id="a predicate"),
        pytest.param(lambda error: error.args == ("y",), True, id="a false predicate"),
        pytest.param(Odd, False, id="a class with a metaclass excludes everything"),
        pytest.param("KeyError", True, id="anything else"),
    ],
)
def test_an_exclusion_is_a_class_or_a_predicate(
    entry: Any,
    counts: bool,  # noqa: FBT001
) -> None:
    breaker = CircuitBreaker(exclude=[entry])

    assert breaker.is_system_error(KeyError("x")) is counts


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("open", "CircuitOpenState"),
        ("half_open", "CircuitHalfOpenState"),
        ("close", "CircuitClosedState"),
    ],
)
def test_a_state_class_is_looked_up_in_the_module_and_called_once_a_change(
    name: str, class_name: str
) -> None:
    breaker = CircuitBreaker()
    before = breaker.state

    with mock.patch.object(pybreaker, class_name) as state_class:
        getattr(breaker, name)()

    state_class.assert_called_once_with(breaker, prev_state=before, notify=True)


def test_state_objects_can_be_made_by_hand_and_tell_only_if_asked() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    states = [
        pybreaker.CircuitClosedState(breaker),
        pybreaker.CircuitOpenState(breaker),
        pybreaker.CircuitHalfOpenState(breaker, None),
    ]
    pybreaker.CircuitOpenState(breaker, breaker.state, notify=True)

    assert [state.name for state in states] == ["closed", "open", "half-open"]
    assert all(isinstance(state, pybreaker.CircuitBreakerState) for state in states)
    assert [(old, new) for old, new, *_ in listener.heard] == [("closed", "open")]


def test_the_breaker_takes_attributes_of_the_users() -> None:
    breaker = CircuitBreaker()
    taken = set(vars(breaker))

    breaker.anything = breaker._success_counter = 1  # type: ignore[attr-defined]

    assert {"anything", "_success_counter"} & taken == set()


def test_the_base_storage_can_be_made_and_does_nothing() -> None:
    base: Any = CircuitBreakerStorage
    storage = base("mine")

    storage.state = "open"
    storage.opened_at = datetime.now(UTC)
    for method in ("increment", "reset", "increment_success", "reset_success"):
        getattr(storage, f"{method}_counter")()

    seen = storage.state, storage.counter, storage.success_counter, storage.opened_at
    assert seen == (None, None, None, None)
    assert storage.name == "mine"


def test_the_memory_storage_keeps_what_it_is_given() -> None:
    storage = CircuitMemoryStorage("anything")
    naive = datetime(2030, 1, 1)  # noqa: DTZ001

    storage.increment_counter()
    storage.increment_success_counter()
    storage.opened_at = naive

    assert (storage.name, storage.state, storage.opened_at) == (
        "memory",
        "anything",
        naive,
    )
    assert (storage.counter, storage.success_counter) == (1, 1)
    assert storage._fail_counter == 1
