"""What is guarded and what is refused: every kind of callable, one by one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import operator
import sys
from types import CoroutineType
from unittest.mock import AsyncMock, Mock

import pytest

from recloser import CircuitOpenError, RecloserError, State
from recloser.testing import force


def answer(value=1):
    return value


async def aanswer(value=1):
    return value


class Callable:
    def __call__(self, value=1):
        return value


class AsyncCallable:
    async def __call__(self, value=1):
        return value


class StreamingCallable:
    def __call__(self, value=1):
        yield value


class Client:
    def get(self, value=1):
        return value

    async def aget(self, value=1):
        return value

    def pages(self, value=1):
        yield value

    async def apages(self, value=1):
        yield value


@functools.lru_cache
def remembered(value=1):
    return value


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(answer, id="function"),
        pytest.param(lambda value=1: value, id="lambda"),
        pytest.param(Client().get, id="bound method"),
        pytest.param(functools.partial(answer, 1), id="partial"),
        pytest.param(
            functools.partial(functools.partial(answer), value=1), id="partial twice"
        ),
        pytest.param(Callable(), id="callable object"),
        pytest.param(remembered, id="lru_cache"),
        pytest.param(Mock(return_value=1), id="mock"),
    ],
)
def test_plain_callable_is_guarded_by_a_plain_function(make, function):
    payments = make(trip=1)

    guarded = payments(function)

    assert guarded() == 1
    assert not inspect.iscoroutinefunction(guarded)
    assert payments.snapshot().totals.successes == 1
    payments.trip()
    with pytest.raises(CircuitOpenError):
        guarded()


@pytest.mark.parametrize(
    ("builtin", "args", "result"),
    [
        pytest.param(len, ([1, 2],), 2, id="function"),
        pytest.param("a-b".split, ("-",), ["a", "b"], id="method of a string"),
        pytest.param(operator.itemgetter(1), ([1, 2],), 2, id="itemgetter"),
        pytest.param(max, (1, 3, 2), 3, id="no readable signature"),
    ],
)
def test_builtin_is_guarded(make, builtin, args, result):
    payments = make(trip=1)

    guarded = payments(builtin)

    assert guarded(*args) == result
    assert payments.snapshot().totals.successes == 1
    payments.trip()
    with pytest.raises(CircuitOpenError):
        guarded(*args)


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(aanswer, id="coroutine function"),
        pytest.param(Client().aget, id="bound method"),
        pytest.param(functools.partial(aanswer, 1), id="partial"),
        pytest.param(AsyncCallable(), id="object with async __call__"),
        pytest.param(functools.partial(AsyncCallable(), 1), id="partial of such"),
        pytest.param(AsyncMock(return_value=1), id="AsyncMock"),
    ],
)
def test_async_callable_is_guarded_by_a_coroutine_function(make, loop, function):
    payments = make(trip=1)

    guarded = payments(function)

    assert inspect.iscoroutinefunction(guarded)
    assert loop.run(guarded) == 1
    assert payments.snapshot().totals.successes == 1
    payments.trip()
    with pytest.raises(CircuitOpenError):
        loop.run(guarded)


def test_async_call_is_admitted_when_it_is_awaited(make):
    payments = make()
    guarded = payments(aanswer)

    call = guarded()
    payments.trip()

    with pytest.raises(CircuitOpenError):
        asyncio.run(call)


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(Client().pages, id="bound method"),
        pytest.param(functools.partial(Client().pages, 1), id="partial"),
        pytest.param(StreamingCallable(), id="callable object"),
    ],
)
def test_generator_is_guarded_by_a_generator_function(make, function):
    payments = make()

    guarded = payments(function)

    assert inspect.isgeneratorfunction(guarded)
    assert list(guarded()) == [1]
    assert payments.snapshot().totals.successes == 1


def test_async_generator_is_guarded_by_an_async_generator_function(make, loop):
    payments = make()
    guarded = payments(Client().apages)

    async def main():
        return [item async for item in guarded()]

    assert inspect.isasyncgenfunction(guarded)
    assert loop.run(main) == [1]
    assert payments.snapshot().totals.successes == 1


def test_method_is_guarded_in_its_class(make):
    payments = make()

    class Shop:
        def __init__(self):
            self.sold = []

        @payments
        def sell(self, what):
            self.sold.append(what)
            return len(self.sold)

    shop = Shop()

    assert shop.sell("tea") == 1
    assert Shop.sell(shop, "milk") == 2
    assert shop.sold == ["tea", "milk"]
    assert payments.snapshot().totals.successes == 2


@pytest.mark.parametrize("descriptor", [staticmethod, classmethod])
@pytest.mark.parametrize("outside", ["breaker", "descriptor"])
def test_static_and_class_methods_are_guarded_in_either_order(
    make, descriptor, outside
):
    payments = make()

    def sell(*args):
        return args[-1]

    if outside == "breaker":
        method = payments(descriptor(sell))
    else:
        method = descriptor(payments(sell))
    shop = type("Shop", (), {"sell": method})

    assert type(method) is descriptor
    assert shop.sell("tea") == "tea"
    assert shop().sell("milk") == "milk"
    assert payments.snapshot().totals.successes == 2
    payments.trip()
    with pytest.raises(CircuitOpenError):
        shop.sell("bread")


def test_class_method_knows_its_class_whichever_decorator_is_outside(make):
    payments = make()

    class Shop:
        @payments
        @classmethod
        def above(cls):
            return cls

        @classmethod
        @payments
        def below(cls):
            return cls

    class Kiosk(Shop):
        pass

    assert Kiosk.above() is Kiosk
    assert Kiosk.below() is Kiosk


def test_async_static_method_stays_a_coroutine_function(make, loop):
    payments = make()

    class Shop:
        @payments
        @staticmethod
        async def sell():
            return "tea"

    assert inspect.iscoroutinefunction(Shop.sell)
    assert loop.run(Shop.sell) == "tea"


# -- refused at decoration -----------------------------------------------------------


class Plain:
    pass


def coroutine_object() -> CoroutineType:
    coroutine = aanswer()
    coroutine.close()  # so that it is not reported as never awaited
    return coroutine


@pytest.mark.parametrize(
    ("thing", "advice"),
    [
        pytest.param(Plain, "it is a class; guard its methods", id="class"),
        pytest.param(property(answer), "guard the function below", id="property"),
        pytest.param(
            functools.cached_property(answer), "guard the function below", id="cached"
        ),
        pytest.param(
            coroutine_object(), "guard the coroutine function", id="coroutine"
        ),
        pytest.param(Client().pages(), "not callable", id="generator object"),
        pytest.param("answer", "not callable", id="string"),
    ],
)
def test_what_cannot_be_guarded_is_refused_with_advice(make, thing, advice):
    with pytest.raises(TypeError, match=advice) as refusal:
        make()(thing)

    assert repr(thing) in str(refusal.value)


@pytest.mark.parametrize("maker", ["contextmanager", "asynccontextmanager"])
def test_maker_of_context_managers_is_refused_at_decoration(make, maker):
    def session():
        yield

    async def asession():
        yield

    body = session if maker == "contextmanager" else asession
    manager = getattr(contextlib, maker)(body)

    with pytest.raises(TypeError, match="put the breaker below @contextmanager"):
        make()(manager)


def test_breaker_below_contextmanager_guards_the_block(make):
    payments = make(trip=1)

    @contextlib.contextmanager
    @payments
    def session():
        yield "session"

    with session() as given:
        assert given == "session"

    assert payments.snapshot().totals.successes == 1
    with pytest.raises(OSError), session():
        raise OSError
    assert payments.state is State.OPEN


def test_second_guard_of_the_same_breaker_is_refused(make):
    payments, bank = make("payments"), make("bank")

    with pytest.raises(TypeError, match="already guarded by 'payments'"):
        payments(payments(answer))
    with pytest.raises(TypeError, match="already guarded by 'payments'"):
        payments(bank(payments(answer)))
    with pytest.raises(TypeError, match="already guarded by 'payments'"):
        payments(payments(staticmethod(answer)))
    with pytest.raises(TypeError, match="already guarded by 'payments'"):
        payments(ignore=(KeyError,))(payments(answer))


def test_guards_of_two_breakers_can_be_stacked(make):
    payments, bank = make("payments"), make("bank")

    guarded = payments(bank(answer))

    assert guarded(3) == 3
    assert payments.snapshot().totals.successes == 1
    assert bank.snapshot().totals.successes == 1


def test_wrong_options_of_a_guard_are_refused(make):
    with pytest.raises(TypeError, match="'retries'"):
        make()(retries=3)


# -- refused at the first result -----------------------------------------------------


async def streamed():
    yield 1


@contextlib.contextmanager
def managed():
    yield


@pytest.mark.parametrize(
    ("make_result", "kind"),
    [
        pytest.param(aanswer, "a coroutine", id="coroutine"),
        pytest.param(Client().pages, "a generator", id="generator"),
        pytest.param(streamed, "an async generator", id="async generator"),
        pytest.param(managed, "a context manager", id="context manager"),
        pytest.param(
            contextlib.asynccontextmanager(streamed),
            "a context manager",
            id="async context manager",
        ),
    ],
)
def test_first_result_that_has_yet_to_run_is_refused(make, make_result, kind):
    payments = make(trip=1)

    @payments
    def charge():
        return make_result()

    with pytest.raises(TypeError, match=f"returned {kind}.*guard the function"):
        charge()
    assert payments.snapshot().totals.calls == 0
    assert payments.state is State.CLOSED


def test_refused_coroutine_is_closed(make, recwarn):
    made = []

    @make()
    def charge():
        made.append(aanswer())
        return made[0]

    with pytest.raises(TypeError, match="charge returned a coroutine"):
        charge()

    assert inspect.getcoroutinestate(made[0]) == inspect.CORO_CLOSED
    assert list(recwarn) == []


def test_refused_future_is_no_success(make):
    payments = make()

    @payments
    def charge():
        return asyncio.get_running_loop().create_future()

    async def main():
        with pytest.raises(TypeError, match="an awaitable"):
            charge()

    asyncio.run(main())

    assert payments.snapshot().totals.calls == 0


def test_refusal_of_a_result_is_an_error_of_this_library(make):
    @make()
    def charge():
        return aanswer()

    with pytest.raises(RecloserError):
        charge()


def test_refused_result_of_a_probe_frees_its_place(make):
    payments = make()
    force(payments, State.HALF_OPEN)

    @payments
    def charge():
        return aanswer()

    with pytest.raises(TypeError):
        charge()

    assert payments.snapshot().probes == 0
    assert payments.state is State.HALF_OPEN


def test_none_does_not_end_the_look_at_results(make):
    results = [None, None, Client().pages()]

    @make()
    def charge():
        return results.pop(0)

    assert [charge(), charge()] == [None, None]
    with pytest.raises(TypeError, match="a generator"):
        charge()


@pytest.mark.parametrize(
    "result", [open, contextlib.nullcontext(), iter([1]), {}.items(), Plain()]
)
def test_result_that_can_be_judged_passes_unchanged(make, result):
    guarded = make()(lambda: result)

    assert guarded() is result
    assert guarded() is result


# -- call and acall ------------------------------------------------------------------


def hidden(function):
    """Return a plain function that returns what another one makes."""

    def returns_it():
        return function()

    return returns_it


@pytest.mark.parametrize(
    "function", [aanswer, functools.partial(aanswer, 1), AsyncCallable(), AsyncMock()]
)
def test_call_refuses_a_coroutine_function_before_calling_it(make, function, recwarn):
    payments = make()

    with pytest.raises(TypeError, match="use `await acall"):
        payments.call(function)

    assert payments.snapshot().totals.calls == 0
    assert list(recwarn) == []


@pytest.mark.parametrize("make_result", [aanswer, Client().pages, streamed])
def test_call_refuses_a_result_that_has_yet_to_run(make, make_result):
    payments = make()

    with pytest.raises(TypeError, match="has not run yet"):
        payments.call(hidden(make_result))

    assert payments.snapshot().totals.calls == 0


def test_result_passes_where_nobody_has_imported_contextlib(make, monkeypatch):
    payments, result = make(), object()

    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "contextlib")
        found = payments.call(lambda: result)

    assert found is result


def test_call_passes_arguments_and_result(make):
    def charge(amount, *rest, currency="EUR", **more):
        return amount, rest, currency, more

    result = make().call(charge, 1, 2, currency="CHF", function="self")

    assert result == (1, (2,), "CHF", {"function": "self"})


def test_acall_awaits_what_is_awaitable_and_passes_what_is_not(make, loop):
    payments = make()

    async def main():
        assert await payments.acall(aanswer, 3) == 3
        assert await payments.acall(answer, 4) == 4
        assert await payments.acall(lambda: aanswer(5)) == 5
        assert await payments.acall(AsyncMock(return_value=6)) == 6

    loop.run(main)

    assert payments.snapshot().totals.successes == 4


def test_acall_awaits_a_future(make):
    payments = make()

    async def main():
        running = asyncio.get_running_loop()

        def charge():
            future = running.create_future()
            running.call_soon(future.set_result, 7)
            return future

        return await payments.acall(charge)

    assert asyncio.run(main()) == 7
    assert payments.snapshot().totals.successes == 1


@pytest.mark.parametrize("make_result", [Client().pages, streamed, managed])
def test_acall_refuses_a_result_that_has_yet_to_run(make, loop, make_result):
    payments = make()

    async def main():
        with pytest.raises(TypeError, match="has not run yet"):
            await payments.acall(hidden(make_result))

    loop.run(main)

    assert payments.snapshot().totals.calls == 0


def test_acall_that_fails_counts_as_a_failure(make, service, loop):
    payments = make(trip=2)

    async def main():
        for function in (service.afail, service.fail):
            with pytest.raises(OSError):
                await payments.acall(function)

    loop.run(main)

    assert payments.state is State.OPEN


def test_acall_is_rejected_before_anything_is_called(make, service, loop):
    payments = make(initial_state=State.OPEN)

    async def main():
        with pytest.raises(CircuitOpenError):
            await payments.acall(service.aanswer)

    loop.run(main)

    assert service.calls == 0
