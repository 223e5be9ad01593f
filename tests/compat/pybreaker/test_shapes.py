"""Decorators, generators, blocks, coroutines and futures."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from tornado import gen

from recloser.compat import pybreaker
from recloser.compat.pybreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
)

STILL_OPEN = "Timeout not elapsed yet, circuit breaker still open"


class DownError(Exception):
    pass


class Counting(CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        self.heard.append("before")

    def failure(self, cb: Any, exc: BaseException) -> None:
        self.heard.append(type(exc).__name__)

    def success(self, cb: Any) -> None:
        self.heard.append("success")


def heard_by(**options: Any) -> tuple[CircuitBreaker, list[str]]:
    listener = Counting()
    return CircuitBreaker(listeners=[listener], **options), listener.heard


@pytest.mark.parametrize(
    "decorate",
    [
        pytest.param(lambda breaker: breaker, id="plain"),
        pytest.param(lambda breaker: breaker(), id="called"),
        pytest.param(lambda breaker: breaker(whatever=True), id="with any option"),
    ],
)
def test_a_decorated_function_keeps_its_name_and_is_guarded(
    decorate: Callable[[Any], Any],
) -> None:
    breaker = CircuitBreaker()

    @decorate(breaker)
    def charge(amount: int) -> None:
        """Charge it."""
        raise DownError(amount)

    with pytest.raises(DownError):
        charge(100)

    assert (charge.__name__, charge.__doc__) == ("charge", "Charge it.")
    assert breaker.fail_counter == 1


def test_a_method_is_guarded_with_its_instance() -> None:
    breaker = CircuitBreaker()

    class Shop:
        price = 7

        @breaker
        def charge(self, times: int) -> int:
            return self.price * times

    assert Shop().charge(2) == 14


def test_two_functions_at_once_are_a_type_error() -> None:
    breaker: Any = CircuitBreaker()

    with pytest.raises(TypeError, match="takes 1 positional argument but 2"):
        breaker(str, int)


def test_a_decorated_coroutine_function_is_one_and_is_counted_when_it_ends() -> None:
    breaker, heard = heard_by()

    @breaker
    async def charge(amount: int) -> int:
        if amount < 0:
            raise DownError
        return amount

    async def twice() -> int:
        with pytest.raises(DownError):
            await charge(-1)
        return await charge(2)

    result = asyncio.run(twice())

    assert inspect.iscoroutinefunction(charge)
    assert result == 2
    assert heard == ["before", "DownError", "before", "success"]


def test_a_decorated_coroutine_function_is_rejected_when_it_is_awaited() -> None:
    breaker, heard = heard_by()

    @breaker
    async def charge() -> None: ...

    breaker.open()
    rejected = charge()
    with pytest.raises(CircuitBreakerError):
        asyncio.run(rejected)

    assert heard == []


def test_a_decorated_async_generator_is_counted_when_it_ends() -> None:
    breaker, heard = heard_by()

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
    assert heard == ["before", "success", "before", "DownError"]


def test_an_async_generator_gets_what_is_sent_and_thrown() -> None:
    breaker, heard = heard_by()

    @breaker
    async def stream() -> AsyncGenerator[Any, Any]:
        sent = yield "first"
        try:
            yield sent
        except DownError:
            yield "caught"

    async def talk() -> list[Any]:
        numbers = stream()
        talk = [await anext(numbers), await numbers.asend("sent")]
        talk.append(await numbers.athrow(DownError()))
        await numbers.aclose()
        return talk

    assert asyncio.run(talk()) == ["first", "sent", "caught"]
    assert heard == ["before"]


def test_an_async_context_manager_may_be_built_on_the_guarded_generator() -> None:
    breaker, heard = heard_by()

    @asynccontextmanager
    @breaker
    async def session() -> AsyncGenerator[str]:
        try:
            yield "session"
        except DownError as error:
            raise ValueError("translated") from error

    async def use() -> None:
        async with session():
            raise DownError

    with pytest.raises(ValueError, match="translated"):
        asyncio.run(use())

    assert heard == ["before", "ValueError"]


def numbers(*args: Any) -> Generator[Any, Any, str]:
    sent = yield args
    yield sent
    return "never seen"


def test_a_generator_is_let_in_when_it_is_called_and_counted_when_it_ends() -> None:
    breaker, heard = heard_by()

    guarded = breaker(numbers)(1)
    called = list(heard)
    values = [next(guarded), guarded.send("sent")]
    with pytest.raises(StopIteration) as end:
        next(guarded)

    assert called == ["before"]
    assert values == [(1,), "sent"]
    assert end.value.value is None
    assert heard == ["before", "success"]


def test_a_generator_function_is_rejected_when_it_is_called() -> None:
    breaker = CircuitBreaker()
    breaker.open()

    with pytest.raises(CircuitBreakerError, match="still open"):
        breaker(numbers)()


def test_an_error_of_a_generator_is_a_failure_and_can_open_the_circuit() -> None:
    breaker, heard = heard_by(fail_max=1)

    @breaker
    def stream() -> Iterator[int]:
        yield 1
        raise DownError

    with pytest.raises(CircuitBreakerError) as raised:
        list(stream())

    assert isinstance(raised.value.__context__, DownError)
    assert heard == ["before", "DownError"]


def test_closing_a_generator_half_way_is_a_failure() -> None:
    breaker, heard = heard_by()

    guarded = breaker(numbers)()
    next(guarded)
    guarded.close()

    assert heard == ["before", "GeneratorExit"]


def test_closing_a_generator_that_never_ran_is_nothing() -> None:
    breaker, heard = heard_by()

    breaker(numbers)().close()

    assert heard == ["before"]


def test_an_error_thrown_in_is_counted_and_then_the_generators_to_translate() -> None:
    breaker, heard = heard_by()

    @contextmanager
    @breaker
    def session() -> Iterator[str]:
        try:
            yield "session"
        except DownError as error:
            raise ValueError("translated") from error

    with pytest.raises(ValueError, match="translated"), session():
        raise DownError

    assert heard == ["before", "DownError"]


def test_what_a_generator_yields_after_swallowing_an_error_is_dropped() -> None:
    breaker, heard = heard_by()

    @breaker
    def stream() -> Iterator[str]:
        try:
            yield "first"
        except DownError:
            yield "dropped"

    guarded: Any = stream()
    next(guarded)
    with pytest.raises(StopIteration):
        guarded.throw(DownError())

    assert heard == ["before", "DownError"]


def test_a_block_is_guarded_by_calling() -> None:
    breaker, heard = heard_by(fail_max=2)

    with breaker.calling() as value:
        during = list(heard)
    with pytest.raises(DownError), breaker.calling():
        raise DownError
    with pytest.raises(CircuitBreakerError) as tripped, breaker.calling():
        raise DownError
    with pytest.raises(CircuitBreakerError, match="still open"), breaker.calling():
        pytest.fail("the block ran")

    assert (value, during) == (None, ["before"])
    assert isinstance(tripped.value.__context__, DownError)
    assert heard == ["before", "success", "before", "DownError", "before", "DownError"]


def test_a_block_is_not_let_in_before_it_is_entered() -> None:
    breaker, heard = heard_by()
    breaker.open()

    breaker.calling()

    assert heard == []


async def native(error: Exception | None = None) -> str:
    await asyncio.sleep(0)
    if error is not None:
        raise error
    return "done"


@gen.coroutine
def tornado_coroutine() -> Generator[Any, Any, str]:
    yield gen.moment
    return "done"


def future() -> asyncio.Future[str]:
    future = asyncio.get_running_loop().create_future()
    future.set_result("done")
    return future


def several() -> dict[str, Any]:
    return {"a": native(), "b": future()}


def awaited(breaker: CircuitBreaker, func: Any, *args: Any) -> Any:
    async def call() -> Any:
        return await breaker.call_async(func, *args)

    return asyncio.run(call())


@pytest.mark.parametrize("func", [native, tornado_coroutine, future])
def test_call_async_counts_when_what_it_awaits_is_done(func: Any) -> None:
    breaker, heard = heard_by()

    result = awaited(breaker, func)

    assert result == "done"
    assert heard == ["before", "success"]


def test_call_async_awaits_what_tornado_can_yield() -> None:
    breaker = CircuitBreaker()

    assert awaited(breaker, several) == {"a": "done", "b": "done"}


def test_call_async_without_tornado_takes_what_can_be_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    breaker, heard = heard_by()
    monkeypatch.setitem(__import__("sys").modules, "tornado.gen", None)

    result = awaited(breaker, native)
    with pytest.raises(TypeError, match="await"):
        awaited(breaker, str)

    assert result == "done"
    assert heard == ["before", "success", "before", "TypeError"]


def test_errors_of_call_async_are_in_the_future() -> None:
    breaker = CircuitBreaker(fail_max=1)

    async def calls() -> list[BaseException | None]:
        futures = [breaker.call_async(native, DownError()) for _ in range(1)]
        await asyncio.wait(futures)
        futures.append(breaker.call_async(native))
        breaker.close()
        futures.append(breaker.call_async({}.__getitem__, "missing"))
        await asyncio.wait(futures)
        return [future.exception() for future in futures]

    tripping, refusal, at_once = asyncio.run(calls())

    assert isinstance(tripping, CircuitBreakerError)
    assert isinstance(tripping.__context__, DownError)
    assert refusal is not None
    assert refusal.args == (STILL_OPEN,)
    assert isinstance(at_once, CircuitBreakerError)
    assert isinstance(at_once.__context__, KeyError)


@pytest.mark.parametrize(
    ("error", "expected", "state"),
    [
        (None, "done", "closed"),
        (DownError(), "Trial call failed, circuit breaker opened", "open"),
    ],
)
def test_call_async_makes_one_trial_of_an_open_circuit(
    error: Exception | None, expected: str, state: str
) -> None:
    listener = Counting()
    breaker = CircuitBreaker(reset_timeout=0)
    breaker.open()
    breaker.add_listener(listener)

    try:
        answer = awaited(breaker, native, error)
    except CircuitBreakerError as trial:
        answer = str(trial)

    assert (answer, breaker.current_state) == (expected, state)
    assert listener.heard == ["before", "DownError" if error else "success"]


def test_a_decorated_function_can_be_called_through_call_async() -> None:
    breaker, heard = heard_by()

    guarded = breaker(__pybreaker_call_async=True)(native)
    also_guarded = breaker(native, __pybreaker_call_async=True)

    async def both() -> list[str]:
        return [await guarded(), await also_guarded()]

    assert asyncio.run(both()) == ["done", "done"]
    assert guarded.__name__ == "native"
    assert heard == ["before", "success", "before", "success"]


def test_without_tornado_the_option_for_call_async_is_an_import_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    breaker = CircuitBreaker()
    monkeypatch.setattr(pybreaker, "HAS_TORNADO_SUPPORT", False)

    for arguments in ((), (native,)):
        with pytest.raises(ImportError, match="No module named tornado"):
            breaker(*arguments, __pybreaker_call_async=True)


@pytest.mark.filterwarnings("ignore:There is no current event loop")
def test_call_async_may_be_called_before_the_loop_runs() -> None:
    breaker = CircuitBreaker()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    try:
        result = loop.run_until_complete(breaker.call_async(native))
    finally:
        asyncio.set_event_loop(None)
        loop.close()

    assert result == "done"
