"""Settings, states, commands and times of the breaker."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from recloser import State
from recloser.compat import aiobreaker
from recloser.compat.aiobreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
)
from recloser.compat.aiobreaker.state import (
    CircuitBreakerBaseState,
    CircuitClosedState,
    CircuitHalfOpenState,
    CircuitOpenState,
)
from recloser.compat.aiobreaker.storage import CircuitMemoryStorage
from recloser.compat.aiobreaker.storage.base import CircuitBreakerStorage
from tests.compat.pybreaker_clock import START, WallClock

OPEN, CLOSED, HALF_OPEN = CircuitBreakerState
NOW = START.replace(tzinfo=None)


class Hearing(CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard: list[tuple[CircuitBreakerState, ...]] = []

    def state_change(self, breaker: Any, old: Any, new: Any) -> None:
        self.heard.append((old.state, new.state, breaker.current_state))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock()
    monkeypatch.setattr(aiobreaker.circuitbreaker, "datetime", clock.datetime)
    monkeypatch.setattr(aiobreaker.state, "datetime", clock.datetime)
    return clock


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/New_York"])
def zone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Generator[str]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_the_defaults_are_those_of_the_original() -> None:
    breaker = CircuitBreaker()

    assert (breaker.fail_max, breaker.timeout_duration) == (5, timedelta(minutes=1))
    assert (breaker.name, breaker.fail_counter) == (None, 0)
    assert (breaker.excluded_exceptions, breaker.listeners) == ((), ())
    assert (breaker.current_state, breaker.state.state) == (CLOSED, CLOSED)
    assert breaker._state_storage.name == "memory"


def test_every_parameter_of_the_original_may_be_positional() -> None:
    listener, storage = Hearing(), CircuitMemoryStorage(HALF_OPEN)
    hour = timedelta(hours=1)

    breaker = CircuitBreaker(2, hour, [KeyError], [listener], storage, "payments")

    assert (breaker.fail_max, breaker.timeout_duration) == (2, hour)
    assert breaker.excluded_exceptions == (KeyError,)
    assert breaker.listeners == (listener,)
    assert breaker._state_storage is storage
    assert breaker.name == "payments"


def test_a_timeout_of_nothing_is_a_minute() -> None:
    breaker = CircuitBreaker(timeout_duration=timedelta())

    assert breaker.timeout_duration == timedelta(minutes=1)


def test_a_timeout_of_another_type_fails_at_its_first_use() -> None:
    seconds: Any = 5
    breaker = CircuitBreaker(timeout_duration=seconds)
    breaker.open()

    with pytest.raises(TypeError):
        breaker.call(str)


def test_settings_act_at_their_next_use(clock: WallClock) -> None:
    breaker = CircuitBreaker()
    breaker.open()
    clock.advance(30)

    breaker.timeout_duration, breaker.name = timedelta(seconds=30), "payments"
    result = breaker.call(str)

    assert (result, breaker.name) == ("", "payments")


def test_the_states_are_an_enum_whose_values_are_the_state_classes() -> None:
    assert [state.name for state in CircuitBreakerState] == [
        "OPEN",
        "CLOSED",
        "HALF_OPEN",
    ]
    assert [state.value for state in CircuitBreakerState] == [
        CircuitOpenState,
        CircuitClosedState,
        CircuitHalfOpenState,
    ]


@pytest.mark.parametrize("state", CircuitBreakerState)
def test_the_storage_says_where_to_start_and_nobody_is_told(
    state: CircuitBreakerState,
) -> None:
    listener = Hearing()

    breaker = CircuitBreaker(
        listeners=[listener], state_storage=CircuitMemoryStorage(state)
    )

    assert isinstance(breaker.state, state.value)
    assert isinstance(breaker.state, CircuitBreakerBaseState)
    assert not hasattr(breaker.state, "name")
    assert listener.heard == []


def test_what_is_no_state_is_an_attribute_error() -> None:
    breaker = CircuitBreaker()
    weird: Any = "weird"

    for attempt in (
        lambda: setattr(breaker, "state", weird),
        lambda: breaker._create_new_state(weird),
        lambda: CircuitBreaker(state_storage=CircuitMemoryStorage(weird)),
    ):
        with pytest.raises(AttributeError, match="value"):
            attempt()


def test_state_objects_can_be_made_by_hand_and_tell_only_if_asked() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    states = [state.value(breaker).state for state in CircuitBreakerState]
    CircuitOpenState(breaker, breaker.state, notify=True)

    assert states == list(CircuitBreakerState)
    assert listener.heard == [(CLOSED, OPEN, CLOSED)]


@pytest.mark.parametrize("name", ["open", "half_open", "close"])
def test_a_command_returns_nothing_and_always_tells(name: str) -> None:
    breaker, listener = CircuitBreaker(), Hearing()
    getattr(breaker, name)()
    breaker.add_listener(listener)

    answer = getattr(breaker, name)()

    state = breaker.current_state
    assert answer is None
    assert listener.heard == [(state, state, state)]


def test_while_the_state_changes_the_current_one_is_still_the_old_one() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    for change in (breaker.open, breaker.half_open, breaker.close):
        change()

    assert listener.heard == [
        (CLOSED, OPEN, CLOSED),
        (OPEN, HALF_OPEN, OPEN),
        (HALF_OPEN, CLOSED, HALF_OPEN),
    ]


def test_a_state_that_is_set_lasts_until_the_next_read() -> None:
    breaker = CircuitBreaker()

    breaker.state = OPEN
    kept = breaker._state.state
    read = breaker.state.state

    assert (kept, read) == (OPEN, CLOSED)


def test_exclusions_and_listeners_come_and_go_one_at_a_time() -> None:
    breaker = CircuitBreaker(exclude=[KeyError])
    first, second = CircuitBreakerListener(), CircuitBreakerListener()

    breaker.add_excluded_exceptions(OSError, KeyError)
    breaker.remove_excluded_exception(KeyError)
    breaker.add_listeners(first, second, first)
    breaker.remove_listener(first)

    assert breaker.excluded_exceptions == (OSError, KeyError)
    assert breaker.listeners == (second, first)
    with pytest.raises(ValueError, match="not in list"):
        breaker.remove_excluded_exception(ValueError)


def test_the_opening_time_is_naive_utc(clock: WallClock) -> None:
    breaker = CircuitBreaker()

    breaker.open()
    first = breaker._state_storage.opened_at
    clock.advance(1)
    breaker.open()

    assert first == NOW
    assert breaker._state_storage.opened_at == NOW + timedelta(seconds=1)


def test_the_times_of_a_circuit_that_never_opened_are_none(slept: list[float]) -> None:
    breaker = CircuitBreaker()

    asyncio.run(breaker.sleep_until_open())

    assert (breaker.opens_at, breaker.time_until_open) == (None, None)
    assert slept == []


def test_the_times_of_an_open_circuit_run_down_to_nothing(
    clock: WallClock, slept: list[float]
) -> None:
    breaker = CircuitBreaker(timeout_duration=timedelta(seconds=10))
    breaker.open()
    seen: list[Any] = []

    for step in (4, 6, 0.000_001):
        clock.advance(step)
        seen.append((breaker.opens_at, breaker.time_until_open))
        asyncio.run(breaker.sleep_until_open())

    opens_at = NOW + timedelta(seconds=10)
    assert seen == [
        (opens_at, timedelta(seconds=6)),
        (opens_at, timedelta()),
        (None, None),
    ]
    assert slept == [6, 0]


def test_the_times_stay_when_the_circuit_is_closed(clock: WallClock) -> None:
    breaker = CircuitBreaker()
    breaker.open()
    breaker.close()

    assert breaker.opens_at == NOW + timedelta(minutes=1)


def test_the_times_agree_in_every_time_zone(zone: str) -> None:
    breaker = CircuitBreaker(timeout_duration=timedelta(hours=1))
    breaker.open()

    with pytest.raises(CircuitBreakerError) as refusal:
        breaker.call(str)

    error = refusal.value
    assert zone
    assert breaker.opens_at == error.reopen_time
    for remaining in (breaker.time_until_open, error.time_remaining):
        assert remaining is not None
        assert timedelta(minutes=59) < remaining <= timedelta(hours=1)


def test_an_aware_opening_time_of_a_users_storage_is_understood(
    clock: WallClock,
) -> None:
    storage = CircuitMemoryStorage(OPEN)
    storage.opened_at = START.astimezone(timezone(timedelta(hours=5)))
    breaker = CircuitBreaker(state_storage=storage)

    with pytest.raises(CircuitBreakerError) as refusal:
        breaker.call(str)

    minute_later = NOW + timedelta(minutes=1)
    assert (breaker.opens_at, refusal.value.reopen_time) == (minute_later, minute_later)


def test_an_error_knows_how_long_to_wait(clock: WallClock, slept: list[float]) -> None:
    error = CircuitBreakerError("text", NOW + timedelta(seconds=3))
    seen: list[Any] = []

    for step in (1, 5):
        clock.advance(step)
        seen.append(error.time_remaining)
        asyncio.run(error.sleep_until_open())

    assert seen == [timedelta(seconds=2), timedelta(seconds=-3)]
    assert slept == [2, -3]


def test_an_error_without_a_time_has_nothing_to_wait_for(slept: list[float]) -> None:
    error = CircuitBreakerError("text", None)

    asyncio.run(error.sleep_until_open())

    assert error.time_remaining is None
    assert slept == []


def test_errors_are_made_shown_and_pickled_as_the_originals() -> None:
    error = CircuitBreakerError("text", NOW)
    error.facts = ("payments", State.OPEN, None, "", None)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert (error.args, str(error)) == (("text", NOW), str(("text", NOW)))
    assert repr(error) == f"CircuitBreakerError('text', {NOW!r})"
    assert (error.message, error.reopen_time) == ("text", NOW)
    assert (copy.args, copy.message, copy.name) == (error.args, "text", "payments")
    assert (error.retry_after, error.last_failure) == (None, None)
    with pytest.raises(TypeError, match="reopen_time"):
        CircuitBreakerError("text")  # type: ignore[call-arg]


def test_the_base_storage_wants_everything_overridden() -> None:
    base: Any = CircuitBreakerStorage

    with pytest.raises(TypeError, match="abstract"):
        base("mine")
    assert base.__abstractmethods__ == {
        "counter",
        "increment_counter",
        "opened_at",
        "reset_counter",
        "state",
    }


def test_a_storage_of_the_users_is_used() -> None:
    class Own(CircuitMemoryStorage):
        def __init__(self) -> None:
            super().__init__(CLOSED)
            self.resets = 0

        def reset_counter(self) -> None:
            self.resets += 1
            super().reset_counter()

    storage = Own()
    breaker = CircuitBreaker(state_storage=storage)

    breaker.call(str)

    assert storage.resets == 1


def test_utc_is_what_the_clock_is_asked_for() -> None:
    breaker = CircuitBreaker()
    before = datetime.now(UTC).replace(tzinfo=None)

    breaker.open()

    opened_at = breaker._state_storage.opened_at
    assert opened_at is not None
    assert before <= opened_at <= datetime.now(UTC).replace(tzinfo=None)
