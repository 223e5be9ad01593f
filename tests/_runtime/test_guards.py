"""Guards: one circuit, other options, a fallback, a wait."""

from __future__ import annotations

import asyncio
import functools
import inspect
from datetime import timedelta

import pytest

from recloser import (
    CircuitOpenError,
    CountWindow,
    Guard,
    SlowCallRate,
    State,
)
from recloser.testing import force


@pytest.fixture
def payments(make):
    return make(trip=2)


@pytest.fixture
def shut(make):
    return make(initial_state=State.OPEN)


def outcomes(breaker):
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


# -- one circuit ---------------------------------------------------------------------


def test_guard_knows_its_breaker(payments):
    guard = payments(ignore=(KeyError,))

    assert isinstance(guard, Guard)
    assert guard.breaker is payments
    assert repr(guard) == f"<Guard of {payments!r}>"


def test_guard_without_options_judges_like_the_breaker(payments, service):
    guard = payments()

    guard.call(service.answer)

    assert outcomes(payments) == (1, 0, 0)


def test_failures_through_two_guards_add_up_in_one_circuit(payments, service):
    one, two = payments(ignore=(KeyError,)), payments(successes=(KeyError,))

    for guard in (one, two):
        with pytest.raises(OSError):
            guard.call(service.fail)

    assert payments.state is State.OPEN
    with pytest.raises(CircuitOpenError):
        one.call(service.answer)


def test_guards_judge_one_error_each_in_its_own_way(payments, service):
    ignoring, answering = payments(ignore=(KeyError,)), payments(successes=(KeyError,))

    for guard in (ignoring, answering, payments):
        with pytest.raises(KeyError):
            guard.call(service.fail, KeyError())

    assert outcomes(payments) == (1, 1, 1)


def test_guard_keeps_the_options_that_it_does_not_replace(make, service):
    payments = make(ignore=(KeyError,), successes=(LookupError,))
    guard = payments(successes=(ValueError,))

    for error in (KeyError(), IndexError(), ValueError()):
        with pytest.raises(type(error)):
            guard.call(service.fail, error)

    assert outcomes(payments) == (1, 1, 1)


def test_guard_can_take_an_option_of_the_breaker_away(make, service):
    payments = make(ignore=(KeyError,), failure_result=lambda result: True)
    guard = payments(ignore=(), failure_result=lambda result: False)

    guard.call(service.answer)
    with pytest.raises(KeyError):
        guard.call(service.fail, KeyError())

    assert outcomes(payments) == (1, 1, 0)


def test_guard_has_its_own_failure_result(payments, service):
    guard = payments(failure_result=lambda answer: answer == "bad")

    guard.call(service.answer, "bad")
    payments.call(service.answer, "bad")

    assert outcomes(payments) == (1, 1, 0)


def test_guard_has_its_own_hint(make, service):
    payments = make(trip=1)
    guard = payments(retry_after=lambda error: 60)

    with pytest.raises(OSError):
        guard.call(service.fail)

    assert payments.snapshot().retry_after == 60


def test_permits_of_a_guard_are_judged_its_way(payments):
    guard = payments(ignore=(KeyError,))

    for breaker_or_guard in (guard, payments):
        with pytest.raises(KeyError), breaker_or_guard.acquire():
            raise KeyError

    assert outcomes(payments) == (0, 1, 1)


def test_async_permits_of_a_guard_are_judged_its_way(payments, loop):
    guard = payments(ignore=(KeyError,))

    async def main():
        async with await guard.aacquire():
            raise KeyError

    with pytest.raises(KeyError):
        loop.run(main)

    assert outcomes(payments) == (0, 0, 1)


def test_permits_of_a_guard_are_refused_without_its_fallback(shut, loop):
    guard = shut(fallback=lambda: "cached")

    with pytest.raises(CircuitOpenError):
        guard.acquire()
    with pytest.raises(CircuitOpenError):
        loop.run(guard.aacquire)

    assert shut.snapshot().rejected == 2


def test_permits_of_a_guard_wait_as_the_guard_does_or_as_they_are_told(
    make, loop, threads
):
    payments = make()
    force(payments, State.HALF_OPEN)
    probe = payments.acquire()
    waiting = payments(wait=20)
    waiters = [
        threads.start(waiting.acquire),
        threads.start(loop.run, waiting.aacquire),
        threads.start(lambda: payments(wait=0.01).acquire(timeout=20)),
        threads.start(loop.run, lambda: payments().aacquire(timeout=20)),
    ]

    threads.until(lambda: len(payments._circuit.queue._spots) == 4)
    probe.success()

    for waiter in waiters:
        waiter.join().result.success()
    assert outcomes(payments) == (5, 0, 0)


def test_guard_decorates_every_shape(payments, loop):
    guard = payments(ignore=(KeyError,))

    @guard
    def plain():
        return 1

    @guard
    async def coroutine():
        return 2

    @guard
    def generator():
        yield 3

    @guard
    async def async_generator():
        yield 4

    async def main():
        return await coroutine(), [item async for item in async_generator()]

    assert plain() == 1
    assert loop.run(main) == (2, [4])
    assert list(generator()) == [3]
    assert outcomes(payments) == (4, 0, 0)


def test_guard_serves_any_number_of_functions(payments):
    guard = payments(ignore=(KeyError,))

    results = [guard(lambda value=value: value)() for value in range(3)]

    assert results == [0, 1, 2]
    assert outcomes(payments) == (3, 0, 0)


def test_guard_calls_and_awaits(payments, service, loop):
    guard = payments(ignore=(KeyError,))

    async def main():
        with pytest.raises(KeyError):
            await guard.acall(service.afail, KeyError())
        return await guard.acall(service.aanswer, 3)

    assert guard.call(service.answer, 2) == 2
    assert loop.run(main) == 3
    assert outcomes(payments) == (2, 0, 1)


def test_guard_refuses_a_coroutine_function_in_call(payments, service):
    with pytest.raises(TypeError, match="use `await acall"):
        payments(ignore=(KeyError,)).call(service.aanswer)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"ignore": 3}, TypeError, "ignore must be exception types or predicates"),
        ({"ignore": (int,)}, TypeError, "ignore must hold exception types"),
        ({"successes": "KeyError"}, TypeError, "successes must be"),
        ({"failures": ()}, ValueError, "failures must not be empty"),
        ({"failures": (3,)}, TypeError, "failures must hold exception types"),
        ({"failure_result": 3}, TypeError, "failure_result must be callable, got 3"),
        ({"retry_after": 3}, TypeError, "retry_after must be callable, got 3"),
        ({"fallback": 3}, TypeError, "fallback must be callable, got 3"),
        ({"wait": 0}, ValueError, "wait must be more than 0 seconds, got 0"),
        ({"wait": -1}, ValueError, "wait must be more than 0 seconds, got -1"),
        ({"wait": float("nan")}, ValueError, "wait must be finite, got nan"),
        ({"wait": "1"}, TypeError, "wait must be seconds or a timedelta, got '1'"),
        ({"wait": timedelta(-1)}, ValueError, "wait must be more than 0"),
        ({"trip": 3}, TypeError, "'trip'"),
    ],
)
def test_bad_option_of_a_guard_is_refused(payments, options, error, text):
    with pytest.raises(error, match=text):
        payments(**options)


# -- fallback ------------------------------------------------------------------------


def test_fallback_runs_instead_of_a_rejected_call(shut, service):
    @shut(fallback=lambda key: f"cached {key}")
    def look_up(key):
        return service.answer()

    assert look_up("a") == "cached a"
    assert service.calls == 0
    assert shut.snapshot().totals.fallbacks == 1
    assert shut.snapshot().rejected == 1


def test_fallback_never_runs_after_a_failure(payments, service):
    @payments(fallback=lambda: "cached")
    def look_up():
        return service.fail()

    for _ in range(2):
        with pytest.raises(OSError):
            look_up()
    assert look_up() == "cached"

    assert service.calls == 2
    assert payments.snapshot().totals.fallbacks == 1


def test_fallback_gets_all_arguments(shut):
    def cached(*args, **kwargs):
        return args, kwargs

    @shut(fallback=cached)
    def look_up(first, /, second=2, *rest, third, **more):
        pass

    assert look_up(1, 5, third=3) == ((1, 5), {"third": 3})
    assert look_up(1, 5, 6, third=3, fourth=4) == ((1, 5, 6), {"third": 3, "fourth": 4})


def test_fallback_that_asks_gets_the_rejection(shut):
    @shut(fallback=lambda key, rejection: (key, rejection))
    def look_up(key):
        pass

    key, rejection = look_up("a")

    assert key == "a"
    assert isinstance(rejection, CircuitOpenError)
    assert rejection.name == "payments"
    assert rejection.retry_after == 10


def test_fallback_that_asks_by_keyword_gets_the_rejection(shut, service):
    def cached(*args, rejection):
        return args, rejection.state

    result = shut(fallback=cached).call(service.answer, "a")

    assert result == (("a",), State.OPEN)


def test_fallback_without_readable_signature_gets_the_arguments_only(shut):
    guarded = shut(fallback=max)(min)

    assert guarded(1, 2) == 2


def test_error_of_a_fallback_is_the_callers_and_no_evidence(shut):
    def broken():
        raise KeyError

    @shut(fallback=broken)
    def look_up():
        pass

    before = shut.snapshot()
    with pytest.raises(KeyError) as failure:
        look_up()

    assert isinstance(failure.value.__context__, CircuitOpenError)
    totals = shut.snapshot().totals
    assert (totals.calls, totals.callback_errors) == (0, 0)
    assert shut.snapshot().last_failure == before.last_failure


def test_error_of_a_fallback_keeps_a_context_of_its_own(shut):
    cause = ValueError()

    def broken():
        try:
            raise cause
        except ValueError:
            raise KeyError  # noqa: B904 - the context is the test

    with pytest.raises(KeyError) as failure:
        shut(fallback=broken)(lambda: 1)()

    assert failure.value.__context__ is cause


def test_error_of_an_async_fallback_has_the_rejection_as_context(shut, loop):
    async def broken(key="a"):
        raise KeyError

    with pytest.raises(KeyError) as failure:
        loop.run(shut(fallback=broken)(alook_up))

    assert isinstance(failure.value.__context__, CircuitOpenError)


def test_fallback_is_unguarded_itself(payments, service):
    backup_calls = []

    def backup(value):
        backup_calls.append(value)
        raise OSError

    payments.trip()
    guarded = payments(fallback=backup)(service.answer)
    for _ in range(3):
        with pytest.raises(OSError):
            guarded()

    assert len(backup_calls) == 3
    assert outcomes(payments) == (0, 0, 0)


def test_fallback_in_half_open_serves_those_without_a_place(make, service):
    payments = make()
    force(payments, State.HALF_OPEN)
    guarded = payments(fallback=lambda value: "cached")(service.answer)
    probe = payments.acquire()

    assert guarded() == "cached"
    probe.success()
    assert guarded() == "answer"


def test_fallback_serves_a_forced_open_circuit(payments, service):
    payments.force_open()

    @payments(fallback=lambda rejection: rejection.retry_after)
    def look_up():
        pass

    assert look_up() is None


async def acached(key="a"):
    return f"cached {key}"


def cached(key="a"):
    return f"cached {key}"


def cached_pages(key="a"):
    yield f"cached {key}"


async def acached_pages(key="a"):
    yield f"cached {key}"


async def alook_up(key="a"):
    pass


def look_up(key="a"):
    pass


def pages(key="a"):
    yield


async def apages(key="a"):
    yield


@pytest.mark.parametrize("fallback", [acached, cached])
def test_async_function_takes_an_async_or_a_plain_fallback(shut, loop, fallback):
    guarded = shut(fallback=fallback)(alook_up)

    assert inspect.iscoroutinefunction(guarded)
    assert loop.run(guarded, "b") == "cached b"


@pytest.mark.parametrize("fallback", [acached, cached])
def test_acall_takes_an_async_or_a_plain_fallback(shut, loop, fallback):
    async def main():
        return await shut(fallback=fallback).acall(alook_up, "b")

    assert loop.run(main) == "cached b"


def test_stream_takes_a_fallback_of_its_kind(shut, loop):
    guarded = shut(fallback=cached_pages)(pages)
    aguarded = shut(fallback=acached_pages)(apages)

    async def main():
        return [item async for item in aguarded("c")]

    assert list(guarded("b")) == ["cached b"]
    assert loop.run(main) == ["cached c"]


@pytest.mark.parametrize(
    ("function", "fallback"),
    [
        (look_up, acached),
        (look_up, cached_pages),
        (look_up, acached_pages),
        (alook_up, cached_pages),
        (alook_up, acached_pages),
        (pages, cached),
        (pages, acached),
        (pages, acached_pages),
        (apages, cached),
        (apages, acached),
        (apages, cached_pages),
        (look_up, functools.partial(acached, "b")),
    ],
)
def test_fallback_of_another_kind_is_refused_at_decoration(shut, function, fallback):
    guard = shut(fallback=fallback)

    with pytest.raises(TypeError, match="must be of its kind"):
        guard(function)


def test_fallback_of_a_static_method_is_checked_too(shut):
    guard = shut(fallback=acached)

    with pytest.raises(TypeError, match="must be of its kind"):
        guard(staticmethod(look_up))


@pytest.mark.parametrize("fallback", [acached, cached_pages, acached_pages])
def test_call_refuses_a_fallback_of_another_kind(make, service, fallback):
    payments = make()  # closed: it must not take an outage to find out

    with pytest.raises(TypeError, match="must be of its kind"):
        payments(fallback=fallback).call(look_up)

    assert payments.snapshot().totals.calls == 0


def test_method_passes_itself_to_its_fallback(shut):
    class Shop:
        def cached(self, key):
            return self, key

        @shut(fallback=cached)
        def look_up(self, key):
            pass

    shop = Shop()

    assert shop.look_up("a") == (shop, "a")


def test_constructor_sends_a_fallback_to_the_guard(make):
    with pytest.raises(TypeError, match="@breaker"):
        make(fallback=cached)


# -- wait ----------------------------------------------------------------------------


def test_guard_that_waits_is_admitted_at_once_while_closed(payments, service, clock):
    guarded = payments(wait=5)(service.answer)

    assert guarded() == "answer"
    assert clock.sleepers == 0


def test_guard_waits_for_the_end_of_the_wait(shut, service, clock, threads):
    guarded = shut(wait=20)(service.answer)

    caller = threads.start(guarded)
    threads.until(lambda: clock.sleepers == 1)
    assert service.calls == 0
    clock.advance(10)

    assert caller.join().result == "answer"
    assert shut.state is State.CLOSED
    assert shut.snapshot().rejected == 0


def test_guard_gives_up_when_its_time_is_over(shut, service, clock, threads):
    guarded = shut(wait=timedelta(seconds=5))(service.answer)

    caller = threads.start(guarded)
    threads.until(lambda: clock.sleepers == 1)
    clock.advance(5)

    error = caller.join().error
    assert isinstance(error, CircuitOpenError)
    assert error.retry_after == 5
    assert service.calls == 0
    assert shut.snapshot().rejected == 1


def test_guard_falls_back_when_its_time_is_over(shut, service, clock, threads):
    guarded = shut(wait=5, fallback=lambda value: "cached")(service.answer)

    caller = threads.start(guarded)
    threads.until(lambda: clock.sleepers == 1)
    clock.advance(5)

    assert caller.join().result == "cached"


def test_async_guard_waits_without_blocking_the_loop(shut, service, clock, loop):
    guarded = shut(wait=20)(service.aanswer)

    async def main():
        async with loop.nursery() as start:
            caller = start(guarded)
            await loop.until(lambda: clock.sleepers == 1)
            clock.advance(10)
        return caller

    assert loop.run(main).result == "answer"
    assert shut.state is State.CLOSED


@pytest.mark.parametrize("kind", ["stream", "call"])
def test_plain_ways_of_calling_a_guard_wait(shut, service, clock, threads, kind):
    guard = shut(wait=20)
    ways = {
        "stream": lambda: list(guard(service.pages)()),
        "call": lambda: guard.call(service.answer),
    }

    caller = threads.start(ways[kind])
    threads.until(lambda: clock.sleepers == 1)
    assert service.calls == 0
    clock.advance(10)

    assert caller.join().error is None
    assert service.calls == 1


@pytest.mark.parametrize("kind", ["stream", "acall"])
def test_async_ways_of_calling_a_guard_wait(shut, service, clock, loop, kind):
    guard = shut(wait=20)

    async def read():
        return [item async for item in guard(service.apages)()]

    async def call():
        return await guard.acall(service.aanswer)

    async def main():
        async with loop.nursery() as start:
            caller = start(read if kind == "stream" else call)
            await loop.until(lambda: clock.sleepers == 1)
            assert service.calls == 0
            clock.advance(10)
        return caller.error

    assert loop.run(main) is None
    assert service.calls == 1


def test_waiting_time_is_not_the_calls(make, service, clock, threads):
    payments = make(trip=SlowCallRate(1, slower_than=2, window=CountWindow(1)))
    payments.trip()
    guarded = payments(wait=20)(service.answer)

    caller = threads.start(guarded)
    threads.until(lambda: clock.sleepers == 1)
    clock.advance(10)
    caller.join()

    assert payments.state is State.CLOSED
    assert payments.snapshot().totals.slow == 0


# -- what is no function -------------------------------------------------------------


def test_none_is_no_function_to_guard(make):
    payments = make()

    for holder in (payments, payments(ignore=(KeyError,))):
        with pytest.raises(TypeError, match="cannot guard None: it is not callable"):
            holder(None)


def test_call_of_what_cannot_be_called_is_refused_and_not_counted(make):
    payments = make(trip=1)

    for holder in (payments, payments(ignore=(KeyError,))):
        with pytest.raises(TypeError, match=r"call\(\) needs a callable, got 5"):
            holder.call(5)
        with pytest.raises(TypeError, match=r"acall\(\) needs a callable, got 5"):
            asyncio.run(holder.acall(5))

    assert payments.snapshot().totals.calls == 0
