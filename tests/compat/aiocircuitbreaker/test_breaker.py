"""One call at a time: what counts, what is refused, and what the errors say."""

from __future__ import annotations

import asyncio
import pickle
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest

import recloser
from recloser.compat.aiocircuitbreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    State,
)
from tests.compat.still_clock import START, StillClock
from tests.compat.streaks_run import finish


class Unexpected(Exception):
    pass


async def ok(*args: Any) -> Any:
    return args or "ok"


async def fail(*args: Any) -> None:
    raise OSError("down")


def trip(breaker: CircuitBreaker) -> None:
    while not breaker.opened:
        with pytest.raises(OSError):
            finish(breaker.call(fail))


def test_the_breaker_opens_at_the_threshold_and_refuses(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=2, recovery_timeout=10)
    guarded = breaker(fail)

    states = []
    for _ in range(2):
        with pytest.raises(OSError):
            finish(guarded())
        states.append((breaker.state, breaker.failure_count))

    assert states == [(State.CLOSED, 1), (State.OPEN, 2)]
    with pytest.raises(CircuitBreakerError):
        finish(guarded())


def test_half_open_begins_exactly_when_the_wait_is_over(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=10)
    trip(breaker)

    clock.advance(9.75)
    before = breaker.state, breaker.open_remaining
    clock.advance(0.25)
    after = breaker.state, breaker.opened, breaker.closed, breaker.open_remaining
    clock.advance(0.25)

    assert before == (State.OPEN, 0.25)
    assert after == (State.HALF_OPEN, False, False, 0.0)
    assert breaker.open_remaining == -0.25
    assert breaker._state is State.OPEN


def test_trials_that_fail_open_afresh_and_one_that_succeeds_closes(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(failure_threshold=3, recovery_timeout=10)
    trip(breaker)
    clock.advance(15)

    with pytest.raises(OSError):
        finish(breaker(fail)())
    reopened = breaker.state, breaker.failure_count, breaker.open_remaining
    clock.advance(10)
    result = finish(breaker(ok)(1))

    assert reopened == (State.OPEN, 4, 10.0)
    assert result == (1,)
    assert (breaker.state, breaker.failure_count) == (State.CLOSED, 0)
    assert breaker.last_failure is None


def test_open_until_is_utc_without_a_zone_and_counts_from_construction(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker()
    clock.advance(12)

    start = START.replace(tzinfo=None)
    assert breaker.open_until == start + timedelta(seconds=1030)
    assert breaker.open_until.tzinfo is None
    assert breaker.open_remaining == 18.0


@pytest.mark.parametrize(
    "error", [Unexpected(), KeyboardInterrupt(), asyncio.CancelledError()]
)
def test_an_exception_nobody_expects_closes_like_a_success(
    clock: StillClock, error: BaseException
) -> None:
    async def interrupted() -> None:
        raise error

    breaker = CircuitBreaker(1, 10, expected_exception=(OSError, KeyError))
    trip(breaker)
    clock.advance(10)

    with pytest.raises(type(error)):
        finish(breaker(interrupted)())

    assert (breaker.state, breaker.failure_count) == (State.CLOSED, 0)


@pytest.mark.parametrize("wrong", [[OSError], lambda kind, error: True])
def test_a_list_or_a_predicate_fails_when_a_call_does(wrong: Any) -> None:
    breaker = CircuitBreaker(1, expected_exception=wrong)

    with pytest.raises(TypeError, match="issubclass") as caught:
        finish(breaker(fail)())

    assert isinstance(caught.value.__context__, OSError)
    assert (breaker.state, breaker.failure_count) == (State.CLOSED, 0)


def test_blocks_and_calls_never_refuse_and_a_success_closes(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    trip(breaker)

    with breaker as entered:
        pass
    by_block = breaker.state
    trip(breaker)
    finish(breaker.call(ok))

    assert entered is None
    assert (by_block, breaker.state) == (State.CLOSED, State.CLOSED)


async def instead(*args: Any) -> Any:
    return "instead", args


@pytest.mark.parametrize("fallback", [instead, lambda *args: ("instead", args)])
def test_a_fallback_may_be_plain_or_a_coroutine_function(
    clock: StillClock, fallback: Any
) -> None:
    breaker = CircuitBreaker(1, fallback_function=fallback)
    trip(breaker)

    assert finish(breaker(ok)(1, 2)) == ("instead", (1, 2))


def test_a_mock_as_fallback_is_called_once_and_not_awaited(clock: StillClock) -> None:
    fallback = Mock(return_value=True)
    breaker = CircuitBreaker(fallback_function=fallback)
    breaker._state = State.OPEN

    assert finish(breaker(ok)("a", b=1)) is True
    fallback.assert_called_once_with("a", b=1)


def test_a_fallback_that_raises_is_the_callers_and_counts_nothing(
    clock: StillClock,
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("broken")

    breaker = CircuitBreaker(1, fallback_function=broken)
    trip(breaker)
    clock.advance(5)

    with pytest.raises(LookupError):
        finish(breaker(ok)())

    assert (breaker.failure_count, breaker.open_remaining) == (1, 25.0)


def test_the_state_may_be_written_and_the_wait_runs_from_construction(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(recovery_timeout=10)
    breaker._state = State.OPEN
    written = breaker.opened

    clock.advance(10)

    assert written
    assert breaker.state is State.HALF_OPEN


def test_the_time_of_the_opening_may_be_written_too(clock: StillClock) -> None:
    breaker = CircuitBreaker(recovery_timeout=10)
    clock.advance(100)
    breaker._state = State.OPEN

    breaker._opened = clock.datetime.utcnow()

    assert breaker.opened
    assert breaker.open_remaining == 10.0
    assert breaker._opened == clock.datetime.utcnow()


def test_the_error_text_shows_the_breaker_as_it_is_when_printed(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(1, 10, name="orders")
    trip(breaker)
    error = CircuitBreakerError(breaker, "an argument")
    clock.advance(7.75)

    assert str(error) == (
        'Circuit "orders" OPEN until 2030-01-02 03:20:55.250000 '
        "(1 failures, 2 sec remaining) (last_failure: OSError('down'))"
    )
    assert error.args == ("an argument",)


def test_the_error_says_what_ours_say_as_of_the_rejection(clock: StillClock) -> None:
    breaker = CircuitBreaker(2, 10, name="orders")
    trip(breaker)
    clock.advance(3.5)

    with pytest.raises(recloser.CircuitOpenError) as caught:
        finish(breaker(ok)())
    finish(breaker.call(ok))
    error = caught.value

    assert (error.name, error.state, error.retry_after) == ("orders", "open", 6.5)
    assert error.reason == "2 failures in a row"
    assert error.last_failure is not None
    assert error.last_failure.type == "OSError"


def test_an_error_about_a_half_open_breaker_says_so(clock: StillClock) -> None:
    breaker = CircuitBreaker(1, 10)
    trip(breaker)
    clock.advance(11)

    error = CircuitBreakerError(breaker)

    assert (error.state, error.retry_after) == ("half_open", 0.0)


def test_the_error_survives_a_pickle_with_its_text_and_its_facts(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(1, 10, name="orders")
    trip(breaker)
    error = CircuitBreakerError(breaker, 1)
    text = str(error)

    restored = pickle.loads(pickle.dumps(error))  # noqa: S301  our own

    assert (str(restored), restored.args) == (text, (1,))
    assert (restored.name, restored.state, restored.retry_after) == (
        "orders",
        "open",
        10.0,
    )


def test_a_clock_that_is_set_back_does_not_keep_the_circuit_open(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(1, 10)
    trip(breaker)
    clock.set_wall_clock(ahead=-3600)
    clock.advance(4)
    meanwhile = breaker.opened, breaker.open_remaining

    clock.advance(6)

    assert meanwhile == (True, 6.0)
    assert breaker.state is State.HALF_OPEN


def test_a_clock_that_is_set_forward_ends_the_wait_like_the_originals(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(1, 10)
    trip(breaker)

    clock.set_wall_clock(ahead=8)
    sooner = breaker.open_remaining
    clock.set_wall_clock(ahead=10)

    assert sooner == 2.0
    assert breaker.state is State.HALF_OPEN
