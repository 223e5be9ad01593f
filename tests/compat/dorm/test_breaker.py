"""One block at a time: what counts, what is rejected, and what the errors say."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

import recloser
from recloser.compat.dorm import CircuitBreaker, CircuitOpenError, CircuitState
from recloser.testing import FakeClock
from tests.compat.streaks_run import finish


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def fail_in(breaker: CircuitBreaker, error: BaseException | None = None) -> None:
    error = error or OSError("down")
    with pytest.raises(type(error)), breaker:
        raise error


def aprotected(breaker: CircuitBreaker, error: BaseException | None = None) -> Any:
    async def block() -> CircuitBreaker:
        async with breaker.aprotect() as entered:
            if error is not None:
                raise error
            return entered

    return finish(block())


def test_failures_in_a_row_open_the_circuit(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=3, clock=clock)

    states = []
    for _ in range(3):
        breaker.record_failure()
        states.append((breaker.state, breaker.failures, breaker.allow()))

    assert states == [
        (CircuitState.CLOSED, 1, True),
        (CircuitState.CLOSED, 2, True),
        (CircuitState.OPEN, 3, False),
    ]


def test_half_open_begins_exactly_when_the_window_is_over(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()

    clock.advance(29.75)
    before = breaker.state
    clock.advance(0.25)

    assert before is CircuitState.OPEN
    assert breaker.state is CircuitState.HALF_OPEN


def test_allow_reserves_nothing_in_half_open(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()
    clock.advance(30)

    assert [breaker.allow() for _ in range(3)] == [True, True, True]


def test_a_success_closes_whatever_the_state(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()

    breaker.record_success()

    assert (breaker.state, breaker.failures) == (CircuitState.CLOSED, 0)
    assert breaker._opened_at is None


def test_a_failure_in_half_open_opens_afresh_whatever_the_threshold(
    clock: FakeClock,
) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()
    clock.advance(30)
    half_open = breaker.state
    breaker.failure_threshold = 100

    breaker.record_failure()
    clock.advance(29)

    assert half_open is CircuitState.HALF_OPEN
    assert (breaker.state, breaker.failures) == (CircuitState.OPEN, 2)


def test_a_failure_reported_while_open_pushes_the_window_out(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()
    clock.advance(20)

    breaker.record_failure()
    clock.advance(29)

    assert (breaker.state, breaker.failures) == (CircuitState.OPEN, 2)


def test_changed_settings_act_at_once(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", clock=clock)
    breaker.record_failure()
    breaker.failure_threshold = 2
    breaker.record_failure()
    opened = breaker.state

    clock.advance(5)
    breaker.open_window_s = 5.0

    assert opened is CircuitState.OPEN
    assert breaker.state is CircuitState.HALF_OPEN


def test_reset_closes_and_forgets(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()

    breaker.reset()

    assert (breaker.state, breaker.failures) == (CircuitState.CLOSED, 0)
    assert breaker._opened_at is None


def test_a_block_gives_the_breaker_and_counts_how_it_ends(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", clock=clock)
    fail_in(breaker)
    failed = breaker.failures

    with breaker as entered:
        pass

    assert entered is breaker
    assert (failed, breaker.failures) == (1, 0)


@pytest.mark.parametrize(
    "error", [KeyError(), KeyboardInterrupt(), asyncio.CancelledError()]
)
def test_in_a_with_block_whatever_is_raised_is_a_failure(
    clock: FakeClock, error: BaseException
) -> None:
    breaker = CircuitBreaker("orders", clock=clock)

    fail_in(breaker, error)

    assert breaker.failures == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_in_an_aprotect_block_what_is_no_exception_changes_nothing(
    clock: FakeClock, error: BaseException
) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()
    clock.advance(30)

    with pytest.raises(type(error)):
        aprotected(breaker, error)

    assert (breaker.state, breaker.failures) == (CircuitState.HALF_OPEN, 1)


def test_an_aprotect_block_gives_the_breaker_and_counts_how_it_ends(
    clock: FakeClock,
) -> None:
    breaker = CircuitBreaker("orders", clock=clock)
    with pytest.raises(OSError):
        aprotected(breaker, OSError())
    failed = breaker.failures

    entered = aprotected(breaker)

    assert entered is breaker
    assert (failed, breaker.failures) == (1, 0)


def test_an_aprotect_block_is_a_decorator_too(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)

    @breaker.aprotect()
    async def fail() -> None:
        raise OSError

    with pytest.raises(OSError):
        finish(fail())

    with pytest.raises(CircuitOpenError):
        finish(fail())


REJECTIONS = [
    CircuitOpenError("of another breaker"),
    recloser.CircuitOpenError("of a native one"),
]


@pytest.mark.parametrize("error", REJECTIONS)
def test_a_rejection_inside_a_block_is_no_failure(
    clock: FakeClock, error: Exception
) -> None:
    breaker = CircuitBreaker("orders", clock=clock)

    fail_in(breaker, error)
    with pytest.raises(type(error)):
        aprotected(breaker, error)

    assert breaker.failures == 0


def test_a_rejected_block_says_when_the_cooldown_ends(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=2, clock=clock)
    breaker.record_failure()
    breaker.record_failure()
    clock.advance(17.45)

    with pytest.raises(CircuitOpenError) as caught, breaker:
        pass

    text = "Circuit 'orders' is OPEN — 2 consecutive failures, cooldown ends in 12.6s"
    assert str(caught.value) == text
    assert caught.value.args == (text,)
    assert breaker.failures == 2


def test_a_rejected_aprotect_block_says_how_many_failures(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    breaker.record_failure()

    with pytest.raises(CircuitOpenError) as caught:
        aprotected(breaker)

    assert str(caught.value) == "Circuit 'orders' is OPEN — 1 consecutive failures."


def test_the_error_says_what_ours_say_and_survives_a_pickle(clock: FakeClock) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    clock.advance(5)
    fail_in(breaker)
    clock.advance(10)

    with pytest.raises(recloser.CircuitOpenError) as caught, breaker:
        pass
    restored = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  our own

    for error in (caught.value, restored):
        assert (error.name, error.state) == ("orders", recloser.State.OPEN)
        assert error.retry_after == 20.0
        assert error.reason == "1 failure in a row"
        assert error.last_failure == recloser.FailureInfo(
            type="OSError", message="down", at=5.0
        )
    assert str(restored) == str(caught.value)


def test_a_failure_that_was_only_reported_has_no_exception_to_show(
    clock: FakeClock,
) -> None:
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=clock)
    fail_in(breaker)
    breaker.record_failure()

    with pytest.raises(CircuitOpenError) as caught, breaker:
        pass

    assert caught.value.last_failure is None


@pytest.mark.parametrize("args", [(), ("text",), (1, 2)])
def test_an_error_made_by_hand_takes_what_an_exception_takes(
    args: tuple[object, ...],
) -> None:
    error = CircuitOpenError(*args)

    assert error.args == args
    assert str(error) == str(Exception(*args))
    assert (error.name, error.state, error.retry_after) == ("", "open", 0.0)


def test_a_clock_that_raises_leaves_a_counted_failure_and_a_closed_circuit() -> None:
    def broken() -> float:
        raise LookupError

    breaker = CircuitBreaker("orders", failure_threshold=1, clock=broken)

    with pytest.raises(LookupError):
        breaker.record_failure()

    assert (breaker.state, breaker.failures) == (CircuitState.CLOSED, 1)


def test_after_a_clock_that_raised_the_next_failure_opens() -> None:
    answers: list[float] = []
    breaker = CircuitBreaker("orders", failure_threshold=1, clock=lambda: answers[0])
    with pytest.raises(IndexError):
        breaker.record_failure()

    answers.append(0.0)
    breaker.record_failure()

    assert (breaker.state, breaker.failures) == (CircuitState.OPEN, 2)
