"""What freezes, who waits, and what is mended: cancelled waiters, loops that ended."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from recloser.compat import escudeiro
from recloser.compat.escudeiro import CircuitBreaker, with_circuit_breaker

Attempt = Callable[[], Awaitable[str]]


class Freezer:
    """A freeze function that ends when told, and an error handler that takes notes."""

    def __init__(self) -> None:
        self.begun = 0
        self.errors: list[Exception] = []
        self.thaw = asyncio.Event()

    async def freeze(self) -> None:
        self.begun += 1
        self.thaw.clear()
        await self.thaw.wait()

    def breaker(self) -> CircuitBreaker:
        return CircuitBreaker(self.freeze, self.errors.append)


def scripted(*ends: str | BaseException) -> tuple[Attempt, list[str | BaseException]]:
    """Return a function that ends as told, call by call, and what it has left."""
    left = list(ends)

    async def function() -> str:
        end = left.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end

    return function, left


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await work()

    return asyncio.run(main())


def test_the_defaults_are_five_seconds_and_a_logged_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    breaker = CircuitBreaker()
    breaker.on_error(OSError("down"))
    (record,) = caplog.records

    assert escudeiro.DEFAULT_DELAY == 5
    assert isinstance(breaker.freeze_function, partial)
    assert breaker.freeze_function.func is asyncio.sleep
    assert breaker.freeze_function.args == (5,)
    assert (record.name, record.levelno) == ("root", logging.ERROR)
    assert record.message == "Failed execution during CircuitBreaker execution"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "down"


def test_parameters_may_be_given_by_position_or_name_and_changed() -> None:
    parameters = inspect.signature(CircuitBreaker).parameters
    breaker = CircuitBreaker(freeze_function=turns, on_error=print)
    breaker.freeze_function = asyncio.sleep  # type: ignore[assignment]
    breaker.on_error = repr

    assert list(parameters) == ["freeze_function", "on_error"]
    assert breaker.on_error is repr


def test_a_call_that_works_returns_its_value_and_freezes_nothing() -> None:
    async def work() -> None:
        breaker = Freezer().breaker()
        function, _ = scripted("done")

        assert await breaker.execute(function) == "done"
        assert not breaker.is_frozen
        assert breaker._freeze_future is None

    run(work)


def test_a_call_that_fails_freezes_before_anybody_else_runs_and_tries_once_more() -> (
    None
):
    async def work() -> None:
        freezer = Freezer()
        breaker = freezer.breaker()
        error = OSError("down")
        function, left = scripted(error, "second attempt")
        call = asyncio.ensure_future(breaker.execute(function))

        await asyncio.sleep(0)
        frozen = breaker.is_frozen, breaker._freeze_future is not None, freezer.begun
        await turns()
        waiting = list(left)
        freezer.thaw.set()
        result = await call

        assert frozen == (True, True, 0)
        assert (waiting, result) == (["second attempt"], "second attempt")
        assert freezer.errors == [error]
        assert not breaker.is_frozen

    run(work)


def test_a_second_failure_is_raised_and_neither_reported_nor_freezing() -> None:
    async def work() -> None:
        freezer = Freezer()
        breaker = freezer.breaker()
        function, _ = scripted(OSError("first"), OSError("second"))
        call = asyncio.ensure_future(breaker.execute(function))
        await turns()
        freezer.thaw.set()

        with pytest.raises(OSError, match="second"):
            await call

        assert [str(error) for error in freezer.errors] == ["first"]
        assert not breaker.is_frozen

    run(work)


def test_callers_during_a_freeze_wait_and_then_try_once() -> None:
    async def work() -> None:
        freezer = Freezer()
        breaker = freezer.breaker()
        failing, _ = scripted(OSError(), "a")
        others = [scripted("b"), scripted(OSError("c"))]
        calls = [asyncio.ensure_future(breaker.execute(failing))]
        await turns()
        calls += [asyncio.ensure_future(breaker.execute(f)) for f, _ in others]
        await turns()
        untouched = [len(left) for _, left in others]
        freezer.thaw.set()
        results = await asyncio.gather(*calls, return_exceptions=True)

        assert untouched == [1, 1]
        assert results[:2] == ["a", "b"]
        assert str(results[2]) == "c"
        assert len(freezer.errors) == freezer.begun == 1
        assert not breaker.is_frozen

    run(work)


def test_the_freeze_future_can_be_awaited_again_and_stays_until_the_next() -> None:
    async def work() -> None:
        freezer = Freezer()
        breaker = freezer.breaker()
        function, _ = scripted(OSError(), "done")
        call = asyncio.ensure_future(breaker.execute(function))
        await turns()
        future = breaker._freeze_future
        assert future is not None
        freezer.thaw.set()
        await future
        await call

        await future
        assert breaker._freeze_future is future

    run(work)


def test_an_error_of_the_error_handler_is_the_callers_and_nothing_freezes() -> None:
    async def work() -> None:
        def broken(_: Exception) -> None:
            raise LookupError

        breaker = CircuitBreaker(turns, broken)
        function, _ = scripted(OSError("down"))

        with pytest.raises(LookupError) as caught:
            await breaker.execute(function)

        assert str(caught.value.__context__) == "down"
        assert not breaker.is_frozen

    run(work)


def test_a_cancelled_attempt_freezes_nothing() -> None:
    async def work() -> None:
        freezer = Freezer()
        breaker = freezer.breaker()
        function, _ = scripted(asyncio.CancelledError())

        with pytest.raises(asyncio.CancelledError):
            await breaker.execute(function)

        assert not breaker.is_frozen
        assert freezer.errors == []

    run(work)


def test_a_function_that_is_not_async_fails_twice() -> None:
    async def work() -> None:
        errors: list[Exception] = []
        breaker = CircuitBreaker(turns, errors.append)

        with pytest.raises(TypeError, match="await"):
            await breaker.execute(lambda: 5)  # type: ignore[arg-type, return-value]

        assert [type(error) for error in errors] == [TypeError]

    run(work)


def test_the_decorator_makes_an_async_function_of_anything() -> None:
    async def work() -> None:
        breaker = CircuitBreaker(turns)

        @with_circuit_breaker(breaker)
        async def add(left: int, *, right: int) -> int:
            return left + right

        guarded = with_circuit_breaker(breaker)(print)  # type: ignore[arg-type]

        assert await add(1, right=2) == 3
        assert add.__name__ == "add"
        assert add.__wrapped__  # type: ignore[attr-defined]
        assert inspect.iscoroutinefunction(guarded)

    run(work)


def test_cancelling_one_waiting_call_leaves_the_others_waiting() -> None:
    async def work() -> None:
        freezer = Freezer()
        breaker = freezer.breaker()
        failing, _ = scripted(OSError(), "a")
        other, _ = scripted("b")
        first = asyncio.ensure_future(breaker.execute(failing))
        await turns()
        second = asyncio.ensure_future(breaker.execute(other))
        await turns()

        first.cancel()
        await turns()
        still = second.done(), breaker.is_frozen
        freezer.thaw.set()

        assert still == (False, True)
        assert await second == "b"
        assert first.cancelled()
        assert not breaker.is_frozen

    run(work)


def test_cancelling_one_who_waits_on_the_future_harms_no_call() -> None:
    async def work() -> None:
        freezer = Freezer()
        breaker = freezer.breaker()
        failing, _ = scripted(OSError(), "a")
        later, _ = scripted("b")
        call = asyncio.ensure_future(breaker.execute(failing))
        await turns()
        assert breaker._freeze_future is not None
        breaker._freeze_future.cancel()
        waiting = asyncio.ensure_future(breaker.execute(later))
        await turns()
        freezer.thaw.set()

        assert await asyncio.gather(call, waiting) == ["a", "b"]

    run(work)


def test_a_loop_that_ended_while_frozen_leaves_a_breaker_that_works_in_the_next() -> (
    None
):
    breaker = CircuitBreaker(lambda: asyncio.sleep(3600), lambda _: None)
    function, left = scripted(OSError(), "in the next loop")

    async def freeze_and_go() -> bool:
        call = asyncio.ensure_future(breaker.execute(function))
        await turns()
        call.cancel()
        return breaker.is_frozen

    frozen = asyncio.run(freeze_and_go())
    result = run(lambda: breaker.execute(function))

    assert frozen
    assert not breaker.is_frozen
    assert (result, left) == ("in the next loop", [])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_was_closed_with_its_tasks_does_not_keep_it_frozen() -> None:
    breaker = CircuitBreaker(lambda: asyncio.sleep(3600), lambda _: None)
    function, _ = scripted(OSError(), "in the next loop")
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    async def freeze_and_go() -> bool:
        task = loop.create_task(breaker.execute(function))
        kept.append(task)
        await turns()
        return breaker.is_frozen

    kept: list[asyncio.Task[str]] = []
    frozen = loop.run_until_complete(freeze_and_go())
    while_stopped = breaker.is_frozen
    loop.close()
    closed = breaker.is_frozen
    result = run(lambda: breaker.execute(function))
    kept[0].get_coro().close()  # type: ignore[union-attr]

    assert (frozen, while_stopped, closed) == (True, True, False)
    assert result == "in the next loop"


def test_the_task_that_ends_a_freeze_is_not_collected() -> None:
    async def work() -> None:
        async def wait_for_what_nobody_else_knows() -> None:
            await asyncio.get_running_loop().create_future()

        breaker = CircuitBreaker(wait_for_what_nobody_else_knows, lambda _: None)
        function, _ = scripted(OSError(), "done")
        call = asyncio.ensure_future(breaker.execute(function))
        await turns()

        gc.collect()
        await turns()

        assert breaker.is_frozen
        call.cancel()

    run(work)


@pytest.fixture
def breaking() -> tuple[CircuitBreaker, list[str]]:
    """Return a breaker whose freeze function raises until its list says otherwise."""
    script: list[str] = ["broken", "broken"]

    async def freeze() -> None:
        if script and script.pop(0) == "broken":
            raise LookupError

    return CircuitBreaker(freeze, lambda _: None), script


def test_a_freeze_function_that_raises_gives_its_error_and_stays_frozen(
    breaking: tuple[CircuitBreaker, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    breaker, _ = breaking
    function, left = scripted(OSError(), "never")

    async def work() -> bool:
        with pytest.raises(LookupError):
            await breaker.execute(function)
        assert breaker._freeze_future is not None
        with pytest.raises(LookupError):
            await breaker._freeze_future
        return breaker.is_frozen

    frozen = run(work)
    gc.collect()

    assert frozen
    assert left == ["never"]
    assert caplog.records == []


def test_after_a_broken_freeze_the_next_call_freezes_again(
    breaking: tuple[CircuitBreaker, list[str]],
) -> None:
    breaker, script = breaking

    async def work() -> None:
        function, _ = scripted(OSError(), "a", "b", "c")
        for _ in range(2):
            with pytest.raises(LookupError):
                await breaker.execute(function)
        recovered = [await breaker.execute(function) for _ in range(2)]

        assert script == []
        assert recovered == ["a", "b"]
        assert not breaker.is_frozen

    run(work)


def test_a_broken_freeze_lasts_for_ever_if_the_user_wants_the_originals_way(
    breaking: tuple[CircuitBreaker, list[str]],
) -> None:
    breaker, script = breaking
    breaker.retry_freeze = False

    async def work() -> None:
        function, left = scripted(OSError(), "never")
        for _ in range(3):
            with pytest.raises(LookupError):
                await breaker.execute(function)

        assert script == ["broken"]
        assert left == ["never"]
        assert breaker.is_frozen

    run(work)


def test_a_breaker_can_be_hashed_and_is_equal_to_itself_only() -> None:
    one, other = CircuitBreaker(), CircuitBreaker()

    assert len({one, other, one}) == 2
    assert one != other
