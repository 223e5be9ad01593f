"""What calls, decorated functions and generators do, in each state."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from recloser import State
from recloser.compat.aiobreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
)
from recloser.compat.aiobreaker.storage import CircuitMemoryStorage

OPEN, CLOSED, HALF_OPEN = CircuitBreakerState


class DownError(Exception):
    pass


class Hearing(CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def before_call(self, breaker: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        self.heard.append(f"before {args} {kwargs}")

    def failure(self, breaker: Any, exception: Exception) -> None:
        self.heard.append(f"failure {type(exception).__name__}")

    def success(self, breaker: Any) -> None:
        self.heard.append(f"success {breaker.current_state.name}")

    def state_change(self, breaker: Any, old: Any, new: Any) -> None:
        self.heard.append(f"{old.state.name} to {new.state.name}")


def call(breaker: CircuitBreaker, func: Callable[..., Any], *args: Any) -> Any:
    return breaker.call(func, *args)


def call_async(breaker: CircuitBreaker, func: Callable[..., Any], *args: Any) -> Any:
    async def coroutine_function(*args: Any) -> Any:
        return func(*args)

    return asyncio.run(breaker.call_async(coroutine_function, *args))


def decorated(breaker: CircuitBreaker, func: Callable[..., Any], *args: Any) -> Any:
    def function(*args: Any) -> Any:
        return func(*args)

    return breaker(function)(*args)


def decorated_async(
    breaker: CircuitBreaker, func: Callable[..., Any], *args: Any
) -> Any:
    async def coroutine_function(*args: Any) -> Any:
        return func(*args)

    return asyncio.run(breaker(coroutine_function)(*args))


Way = Callable[..., Any]


@pytest.fixture(params=[call, call_async, decorated, decorated_async])
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def raises(error: BaseException) -> None:
    raise error


def fail(way: Way, breaker: CircuitBreaker, times: int = 1) -> list[BaseException]:
    errors: list[BaseException] = []
    for _ in range(times):
        with pytest.raises((DownError, CircuitBreakerError)) as raised:
            way(breaker, raises, DownError("is down"))
        errors.append(raised.value)
    return errors


def elapsed(**options: Any) -> CircuitBreaker:
    breaker = CircuitBreaker(**options)
    breaker.open()
    opened_at = breaker._state_storage.opened_at
    assert opened_at is not None
    breaker._state_storage.opened_at = opened_at - breaker.timeout_duration
    return breaker


def test_a_success_passes_through_and_resets_the_count(way: Way) -> None:
    breaker = CircuitBreaker()
    fail(way, breaker, 2)

    result = way(breaker, max, 1, 2)

    assert (result, breaker.fail_counter) == (2, 0)


def test_the_call_that_opens_the_circuit_raises_a_new_error_from_its_own(
    way: Way,
) -> None:
    breaker = CircuitBreaker(fail_max=2, name="payments")

    first, second = fail(way, breaker, 2)

    assert type(first) is DownError
    assert isinstance(second, CircuitBreakerError)
    assert second.message == "Failures threshold reached, circuit breaker opened."
    assert second.args == (second.message, second.reopen_time)
    assert second.reopen_time == breaker.opens_at
    assert isinstance(second.__cause__, DownError)
    assert (second.name, second.state) == ("payments", State.OPEN)
    assert (second.retry_after, second.reason) == (60, "2 failures in a row")
    assert second.last_failure is not None
    assert second.last_failure.message == "is down"


def test_an_open_circuit_rejects_and_tells_nobody(way: Way) -> None:
    listener = Hearing()
    breaker = CircuitBreaker(timeout_duration=timedelta(hours=1))
    breaker.open()
    breaker.add_listener(listener)

    with pytest.raises(CircuitBreakerError) as refusal:
        way(breaker, str)

    error = refusal.value
    assert error.message == "Timeout not elapsed yet, circuit breaker still open"
    assert error.reopen_time == breaker.opens_at
    assert error.__cause__ is None
    assert error.retry_after == pytest.approx(3600, abs=60)
    assert error.reason == "opened by hand"
    assert listener.heard == []


def test_when_the_timeout_is_over_one_success_closes(way: Way) -> None:
    listener = Hearing()
    breaker = elapsed()
    breaker.add_listener(listener)

    way(breaker, str, 1)

    assert listener.heard == [
        "OPEN to HALF_OPEN",
        "before (1,) {}",
        "HALF_OPEN to CLOSED",
        "success CLOSED",
    ]


def test_a_failed_trial_reopens_at_once(way: Way) -> None:
    breaker = elapsed()

    (error,) = fail(way, breaker)

    assert isinstance(error, CircuitBreakerError)
    assert error.message == "Trial call failed, circuit breaker opened."
    assert isinstance(error.__cause__, DownError)
    assert (breaker.current_state, breaker.fail_counter) == (OPEN, 1)


def test_without_an_opening_time_the_timeout_counts_as_over(way: Way) -> None:
    breaker = CircuitBreaker(state_storage=CircuitMemoryStorage(OPEN))

    way(breaker, str)

    assert breaker.current_state is CLOSED


def test_an_excluded_error_is_handled_as_a_success(way: Way) -> None:
    listener = Hearing()
    breaker = elapsed(exclude=[lambda error: error.args == ("is down",)])
    breaker.add_listener(listener)

    fail(way, breaker)

    assert breaker.current_state is CLOSED
    assert listener.heard[-1] == "success CLOSED"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("way", [call, decorated])
def test_what_is_no_exception_passes_through_uncounted(
    way: Way, error: BaseException
) -> None:
    listener = Hearing()
    breaker = CircuitBreaker(state_storage=CircuitMemoryStorage(HALF_OPEN))
    breaker.add_listener(listener)

    with pytest.raises(type(error)):
        way(breaker, raises, error)

    assert breaker.current_state is HALF_OPEN
    assert [what.split()[0] for what in listener.heard] == ["before"]


@pytest.mark.parametrize("event", ["before_call", "success"])
def test_an_error_of_a_listener_reaches_the_caller(way: Way, event: str) -> None:
    breaker = CircuitBreaker(listeners=[broken(event)])

    with pytest.raises(LookupError, match=event):
        way(breaker, str)

    assert (breaker.state.state, breaker.current_state) == (CLOSED, CLOSED)


@pytest.mark.parametrize("event", ["failure", "state_change"])
def test_an_error_of_a_listener_while_opening_leaves_the_circuit_closed(
    way: Way, event: str
) -> None:
    listener = broken(event)
    breaker = CircuitBreaker(fail_max=1, listeners=[listener])

    with pytest.raises(LookupError, match=event):
        way(breaker, raises, DownError())

    assert (breaker.state.state, breaker.current_state) == (CLOSED, CLOSED)
    breaker.remove_listener(listener)
    fail(way, breaker)
    assert breaker.current_state is OPEN


def broken(event: str) -> CircuitBreakerListener:
    def raises(*args: Any, **kwargs: Any) -> None:
        raise LookupError(event)

    listener = CircuitBreakerListener()
    setattr(listener, event, raises)
    return listener


def test_a_coroutine_that_call_returns_is_not_awaited_and_a_success() -> None:
    breaker = CircuitBreaker()
    fail(call, breaker)

    async def coroutine_function() -> None:
        raise DownError

    breaker.call(coroutine_function).close()

    assert breaker.fail_counter == 0


def test_what_call_async_cannot_await_is_a_failure() -> None:
    breaker: Any = CircuitBreaker()

    with pytest.raises(TypeError, match="await"):
        asyncio.run(breaker.call_async(str))

    assert breaker.fail_counter == 1


def test_a_decorated_function_given_to_call_is_counted_once() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    @breaker
    def charge() -> None: ...

    @breaker
    async def charge_later() -> None: ...

    breaker.call(charge)
    asyncio.run(breaker.call_async(charge_later))

    assert listener.heard == ["before () {}", "success CLOSED"] * 2


def test_it_is_counted_twice_if_asked_to() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    @breaker(ignore_on_call=False)
    def charge() -> None: ...

    breaker.call(charge)

    assert listener.heard.count("success CLOSED") == 2


def test_decorated_functions_keep_their_name_and_kind() -> None:
    breaker = CircuitBreaker()

    @breaker
    def charge() -> None:
        """Charge it."""

    @breaker()
    async def charge_later() -> None: ...

    guarded: Any = charge
    assert (charge.__name__, charge.__doc__) == ("charge", "Charge it.")
    assert guarded._ignore_on_call is True
    assert inspect.iscoroutinefunction(charge_later)
    assert not inspect.iscoroutinefunction(charge)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((partial(str),), id="a partial"),
        pytest.param((len,), id="a builtin"),
        pytest.param((CircuitBreaker().close,), id="a method"),
        pytest.param((CircuitBreaker,), id="a class"),
        pytest.param((fail, fail), id="two functions"),
        pytest.param((None,), id="nothing"),
    ],
)
def test_the_decorator_itself_takes_one_function(arguments: tuple[Any, ...]) -> None:
    breaker: Any = CircuitBreaker()

    with pytest.raises(
        TypeError, match=r"^Decorator does not accept positional arguments\.$"
    ):
        breaker(*arguments)


def test_the_called_decorator_takes_anything_callable() -> None:
    breaker = CircuitBreaker()

    assert breaker()(partial(max, 1))(2) == 2


def test_other_options_of_the_decorator_are_a_type_error() -> None:
    breaker: Any = CircuitBreaker()

    with pytest.raises(TypeError, match="unexpected keyword argument"):
        breaker(whatever=True)


def numbers(*args: Any) -> Generator[Any, Any, str]:
    sent = yield args
    yield sent
    return "never seen"


def test_a_generator_is_let_in_when_it_is_called_and_counted_when_it_ends() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    guarded: Any = breaker(numbers)(1)
    called = list(listener.heard)
    values = [next(guarded), guarded.send("sent")]
    with pytest.raises(StopIteration) as end:
        next(guarded)

    assert called == ["before (1,) {}"]
    assert values == [(1,), "sent"]
    assert end.value.value is None
    assert listener.heard[1:] == ["success CLOSED"]


def test_a_generator_function_is_rejected_when_it_is_called() -> None:
    breaker = CircuitBreaker()
    breaker.open()

    with pytest.raises(CircuitBreakerError):
        breaker(numbers)()


def test_an_error_of_a_generator_is_a_failure() -> None:
    breaker = CircuitBreaker(fail_max=1)

    @breaker
    def stream() -> Iterator[int]:
        yield 1
        raise DownError

    with pytest.raises(CircuitBreakerError) as raised:
        list(stream())

    assert isinstance(raised.value.__cause__, DownError)


def test_an_error_thrown_into_a_generator_is_counted_and_not_passed_on() -> None:
    breaker = CircuitBreaker()
    seen: list[str] = []

    @breaker
    def stream() -> Iterator[int]:
        try:
            yield 1
        except DownError:
            seen.append("caught")

    guarded: Any = stream()
    next(guarded)
    with pytest.raises(DownError):
        guarded.throw(DownError())

    assert breaker.fail_counter == 1
    assert seen == []


def test_closing_a_generator_half_way_counts_nothing() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    guarded: Any = breaker(numbers)()
    next(guarded)
    guarded.close()

    assert listener.heard == ["before () {}"]


def test_a_decorated_async_generator_is_counted_when_it_ends() -> None:
    listener = Hearing()
    breaker = CircuitBreaker(listeners=[listener])

    @breaker
    async def stream(end: int) -> AsyncGenerator[int]:
        for number in range(end):
            yield number
        if end > 2:
            raise DownError

    async def read(end: int) -> list[int]:
        return [number async for number in stream(end)]

    numbers = asyncio.run(read(2))
    with pytest.raises(DownError):
        asyncio.run(read(3))

    assert numbers == [0, 1]
    assert listener.heard == [
        "before (2,) {}",
        "success CLOSED",
        "before (3,) {}",
        "failure DownError",
    ]
