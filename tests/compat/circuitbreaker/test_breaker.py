"""One call at a time: what counts, what is refused, and what the errors say."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, timedelta
from typing import Any

import pytest

import recloser
from recloser.compat.circuitbreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    circuit,
)
from tests.compat.still_clock import START, StillClock
from tests.compat.streaks_run import finish


class Unexpected(Exception):
    pass


def ok(*args: Any) -> Any:
    return args or "ok"


def fail(*args: Any) -> None:
    raise OSError("down")


def trip(breaker: CircuitBreaker) -> None:
    while not breaker.opened:
        with pytest.raises(OSError):
            breaker.call(fail)


def test_the_breaker_opens_at_the_threshold_and_refuses(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=2, recovery_timeout=10)
    guarded = breaker(fail)

    states = []
    for _ in range(2):
        with pytest.raises(OSError):
            guarded()
        states.append((breaker.state, breaker.failure_count))

    assert states == [("closed", 1), ("open", 2)]
    with pytest.raises(CircuitBreakerError):
        guarded()


def test_half_open_begins_exactly_when_the_wait_is_over(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=10)
    trip(breaker)

    clock.advance(9.75)
    before = breaker.state, breaker.open_remaining
    clock.advance(0.25)
    after = breaker.state, breaker.opened, breaker.closed, breaker.open_remaining
    clock.advance(0.25)

    assert before == ("open", 1)
    assert after == ("half_open", False, False, 0)
    assert breaker.open_remaining == -1
    assert breaker._state == "open"


def test_a_failed_trial_opens_afresh_and_goes_on_counting(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=3, recovery_timeout=10)
    guarded = breaker(fail)
    trip(breaker)
    clock.advance(15)

    with pytest.raises(OSError):
        guarded()

    assert (breaker.state, breaker.failure_count) == ("open", 4)
    assert breaker.open_remaining == 10


def test_a_successful_trial_closes(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=10)
    trip(breaker)
    clock.advance(10)

    assert breaker(ok)() == "ok"
    assert (breaker.state, breaker.failure_count) == ("closed", 0)
    assert breaker.last_failure is None


def test_the_wait_is_counted_from_construction_before_the_first_opening(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker()
    clock.advance(12)

    assert breaker.open_remaining == 18
    assert breaker.open_until == START + timedelta(seconds=1012 + 18)
    assert breaker.open_until.tzinfo is UTC


@pytest.mark.parametrize(
    "error", [Unexpected(), KeyboardInterrupt(), asyncio.CancelledError()]
)
def test_an_exception_nobody_expects_closes_like_a_success(
    clock: StillClock, error: BaseException
) -> None:
    def interrupted() -> None:
        raise error

    breaker = CircuitBreaker(1, 10, expected_exception=OSError)
    trip(breaker)
    clock.advance(10)

    with pytest.raises(type(error)):
        breaker(interrupted)()

    assert (breaker.state, breaker.failure_count) == ("closed", 0)


def test_blocks_and_calls_never_refuse_and_a_success_closes(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    trip(breaker)
    refusing = breaker.opened

    with breaker as entered:
        pass
    by_block = breaker.state
    trip(breaker)
    breaker.call(ok)

    assert entered is None
    assert refusing
    assert (by_block, breaker.state) == ("closed", "closed")


def test_failures_through_call_while_open_push_the_wait_out(clock: StillClock) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=10)
    trip(breaker)
    clock.advance(6)

    with pytest.raises(OSError):
        breaker.call(fail)

    assert (breaker.failure_count, breaker.open_remaining) == (2, 10)


def test_the_predicate_gets_every_exception(clock: StillClock) -> None:
    asked = []

    def is_failure(kind: type[BaseException], error: BaseException) -> bool:
        asked.append((kind, str(error)))
        return True

    breaker = CircuitBreaker(1, expected_exception=is_failure)
    with pytest.raises(KeyboardInterrupt), breaker:
        raise KeyboardInterrupt("now")

    assert asked == [(KeyboardInterrupt, "now")]
    assert breaker.opened


def test_a_predicate_that_raises_counts_nothing(clock: StillClock) -> None:
    def broken(*_: object) -> bool:
        raise LookupError("broken")

    breaker = CircuitBreaker(1, expected_exception=broken)

    for call in (breaker(fail), lambda: breaker.call(fail)):
        with pytest.raises(LookupError) as caught:
            call()
        assert isinstance(caught.value.__context__, OSError)

    assert (breaker.state, breaker.failure_count) == ("closed", 0)
    assert breaker.call(ok) == "ok"


def test_a_fallback_that_raises_is_the_callers_and_counts_nothing(
    clock: StillClock,
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("broken")

    breaker = CircuitBreaker(1, fallback_function=broken)
    trip(breaker)
    seen_before = breaker.failure_count, breaker.open_remaining
    clock.advance(5)

    with pytest.raises(LookupError):
        breaker(ok)()

    assert seen_before == (1, 30)
    assert (breaker.failure_count, breaker.open_remaining) == (1, 25)


@pytest.mark.parametrize("replaced", [lambda self: True, property(lambda self: True)])
def test_wrappers_go_by_the_truth_of_opened_as_the_class_has_it_now(
    monkeypatch: pytest.MonkeyPatch, replaced: object
) -> None:
    breaker = CircuitBreaker(fallback_function=lambda *args: ("instead", args))
    guarded = breaker(ok)

    monkeypatch.setattr(CircuitBreaker, "opened", replaced)

    assert guarded(1) == ("instead", (1,))


def test_decorate_may_be_replaced_on_the_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decorated = []

    monkeypatch.setattr(
        CircuitBreaker, "decorate", lambda self, function: decorated.append(function)
    )
    circuit(ok)

    assert decorated == [ok]


def test_the_last_failure_may_be_written_and_a_success_clears_it() -> None:
    breaker = CircuitBreaker(name="Foobar")
    breaker._last_failure = OSError("written")
    text = str(CircuitBreakerError(breaker))
    written = breaker.last_failure

    breaker.call(ok)

    assert text.startswith('Circuit "Foobar" OPEN until ')
    assert text.endswith("(last_failure: OSError('written'))")
    assert isinstance(written, OSError)
    assert breaker.last_failure is None


def test_the_error_text_shows_the_breaker_as_it_is_when_printed(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(1, 10, name="orders")
    trip(breaker)
    error = CircuitBreakerError(breaker, "an argument")
    clock.advance(7.5)

    assert str(error) == (
        'Circuit "orders" OPEN until 2030-01-02 03:20:55.750000+00:00 '
        "(1 failures, 3 sec remaining) (last_failure: OSError('down'))"
    )
    assert error.args == ("an argument",)


def test_the_error_says_what_ours_say_as_of_the_rejection(clock: StillClock) -> None:
    breaker = CircuitBreaker(2, 10, name="orders")
    trip(breaker)
    clock.advance(3.5)

    with pytest.raises(recloser.CircuitOpenError) as caught:
        breaker(ok)()
    breaker.reset()
    error = caught.value

    assert (error.name, error.state, error.retry_after) == ("orders", "open", 6.5)
    assert error.reason == "2 failures in a row"
    assert error.last_failure == recloser.FailureInfo(
        type="OSError", message="down", at=1000.0
    )


@pytest.mark.parametrize("stand_in", [None, object()])
def test_an_error_made_by_hand_has_no_facts(stand_in: object) -> None:
    error = CircuitBreakerError(stand_in)

    assert (error.name, error.state, error.retry_after) == ("", "open", 0.0)
    assert (error.reason, error.last_failure) == ("", None)


def test_an_error_about_a_closed_breaker_says_so() -> None:
    error = CircuitBreakerError(CircuitBreaker())

    assert error.state == "closed"
    assert error.reason == ""


def test_a_last_failure_that_cannot_be_printed_does_not_hide_the_rejection(
    clock: StillClock,
) -> None:
    class Unprintable(OSError):
        def __str__(self) -> str:
            raise LookupError

    def unprintable() -> None:
        raise Unprintable

    breaker = CircuitBreaker(1)
    with pytest.raises(Unprintable):
        breaker.call(unprintable)

    with pytest.raises(CircuitBreakerError) as caught:
        breaker(ok)()

    assert caught.value.last_failure is not None
    assert caught.value.last_failure.type == "Unprintable"


def test_the_error_survives_a_pickle_with_its_text_and_its_facts(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(1, 10, name="orders")
    trip(breaker)
    error = CircuitBreakerError(breaker, 1)
    text = str(error)

    restored = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    again = pickle.loads(pickle.dumps(restored))  # noqa: S301  our own

    for copied in (restored, again):
        assert (str(copied), copied.args) == (text, (1,))
        assert (copied.name, copied.state) == ("orders", "open")
        assert copied.retry_after == 10.0
        assert copied.last_failure == error.last_failure


def test_a_deep_copy_of_a_breaker_is_another_breaker(clock: StillClock) -> None:
    breaker = CircuitBreaker(1)
    trip(breaker)

    other = copy.deepcopy(breaker)
    other.reset()

    assert (breaker.state, other.state) == ("open", "closed")


async def coroutine(*args: Any) -> Any:
    return args


def generator(*args: Any) -> Generator[Any, Any, str]:
    received = yield args
    yield received
    return "lost"


async def async_generator(*args: Any) -> AsyncGenerator[Any, Any]:
    received = yield args
    yield received


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (ok, inspect.isfunction),
        (coroutine, inspect.iscoroutinefunction),
        (generator, inspect.isgeneratorfunction),
        (async_generator, inspect.isasyncgenfunction),
    ],
)
def test_the_wrapper_is_of_the_kind_of_its_function(function: Any, kind: Any) -> None:
    guarded = CircuitBreaker()(function)

    assert kind(guarded)
    assert guarded.__name__ == function.__name__


def test_a_generator_is_refused_at_its_first_item_not_when_called(
    clock: StillClock,
) -> None:
    breaker = CircuitBreaker(1)
    trip(breaker)

    stream = breaker(generator)()
    astream = breaker(async_generator)()

    with pytest.raises(CircuitBreakerError):
        next(stream)
    with pytest.raises(CircuitBreakerError):
        finish(astream.__anext__())


def test_what_is_sent_stays_outside_and_what_is_thrown_is_a_failure() -> None:
    breaker = CircuitBreaker()
    stream = breaker(generator)(1)

    items = [next(stream), stream.send("a value")]
    with pytest.raises(OSError):
        stream.throw(OSError())

    assert items == [(1,), None]
    assert breaker.failure_count == 1


def test_closing_a_generator_half_way_resets(clock: StillClock) -> None:
    breaker = CircuitBreaker()
    with pytest.raises(OSError):
        breaker.call(fail)
    stream = breaker(generator)()
    next(stream)

    stream.close()

    assert breaker.failure_count == 0


def test_a_fallback_of_another_kind_fails_where_it_is_used(clock: StillClock) -> None:
    breaker = CircuitBreaker(1, fallback_function=ok)
    trip(breaker)

    with pytest.raises(TypeError, match="await"):
        finish(breaker(coroutine)())


@pytest.mark.parametrize(
    ("function", "instead", "use"),
    [
        (ok, ok, lambda result: result),
        (coroutine, coroutine, finish),
        (generator, generator, next),
        (async_generator, async_generator, lambda s: finish(s.__anext__())),
    ],
)
def test_a_fallback_of_the_same_kind_gets_the_arguments(
    clock: StillClock, function: Any, instead: Any, use: Any
) -> None:
    def broken(*args: Any) -> None:
        raise OSError

    breaker = CircuitBreaker(1, fallback_function=instead)
    trip(breaker)

    assert use(breaker(function)("a", "b")) == ("a", "b")
