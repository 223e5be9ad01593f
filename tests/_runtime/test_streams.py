"""Generators: admitted at the first item, judged by how they end."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from contextlib import aclosing, closing

import pytest

from recloser import (
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    SlowCallRate,
    State,
    TimeWindow,
)
from recloser.testing import force

TRIPS = {
    "plain": 3,
    "timed": SlowCallRate(0.9, slower_than=2, window=CountWindow(50)),
}


@pytest.fixture(params=[*TRIPS, "probe"])
def payments(request, make):
    """A breaker for each way in which streams run: as they are, or item by item."""
    breaker = make(trip=TRIPS.get(request.param, 3), probes=50)
    if request.param == "probe":
        force(breaker, State.HALF_OPEN)
    return breaker


def outcomes(breaker):
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


# -- passing through -----------------------------------------------------------------


def test_items_and_return_value_pass(payments):
    @payments
    def pages(last):
        yield from range(last)
        return "end"

    def reader():
        return (yield from pages(3))

    stream = reader()

    items = []
    with pytest.raises(StopIteration) as end:
        while True:
            items.append(next(stream))
    assert items == [0, 1, 2]
    assert end.value.value == "end"
    assert outcomes(payments) == (1, 0, 0)


def test_sent_values_arrive(payments):
    @payments
    def echo():
        given = yield "first"
        while given is not None:
            given = yield given

    stream = echo()

    assert next(stream) == "first"
    assert stream.send("second") == "second"
    assert stream.send("third") == "third"
    assert next(stream, "end") == "end"
    assert outcomes(payments) == (1, 0, 0)


def test_thrown_error_arrives_and_can_be_caught(payments):
    @payments
    def patient():
        try:
            yield 1
        except KeyError:
            yield "caught"

    stream = patient()
    next(stream)

    assert stream.throw(KeyError()) == "caught"
    assert list(stream) == []
    assert outcomes(payments) == (1, 0, 0)


def test_thrown_error_that_comes_out_again_is_judged_like_any_other(payments):
    @payments
    def pages():
        yield 1

    stream = pages()
    next(stream)

    with pytest.raises(OSError, match="thrown"):
        stream.throw(OSError("thrown"))
    assert outcomes(payments) == (0, 1, 0)


def test_close_runs_the_clean_up_of_the_generator(payments):
    cleaned = []

    @payments
    def pages():
        try:
            yield 1
        finally:
            cleaned.append(True)

    stream = pages()
    next(stream)
    stream.close()

    assert cleaned == [True]
    assert outcomes(payments) == (1, 0, 0)


def test_generator_that_answers_close_with_a_value_returns(payments):
    @payments
    def pages():
        try:
            yield 1
        except GeneratorExit:
            return

    stream = pages()
    next(stream)
    stream.close()

    assert inspect.getgeneratorstate(stream) == inspect.GEN_CLOSED
    assert outcomes(payments) == (1, 0, 0)


def test_async_items_pass(payments, loop):
    @payments
    async def pages(last):
        for page in range(last):
            await loop.tick()
            yield page

    async def main():
        return [page async for page in pages(3)]

    assert loop.run(main) == [0, 1, 2]
    assert outcomes(payments) == (1, 0, 0)


def test_values_sent_to_an_async_stream_arrive(payments, loop):
    @payments
    async def echo():
        given = yield "first"
        while given is not None:
            given = yield given

    async def main():
        stream = echo()
        items = [await anext(stream), await stream.asend("second")]
        return items, [item async for item in stream]

    assert loop.run(main) == (["first", "second"], [])
    assert outcomes(payments) == (1, 0, 0)


def test_error_thrown_into_an_async_stream_arrives(payments, loop):
    @payments
    async def patient():
        try:
            yield 1
        except KeyError:
            yield "caught"

    async def main():
        stream = patient()
        await anext(stream)
        return await stream.athrow(KeyError()), [item async for item in stream]

    assert loop.run(main) == ("caught", [])
    assert outcomes(payments) == (1, 0, 0)


def test_error_thrown_into_an_async_stream_that_comes_out_is_judged(payments, loop):
    @payments
    async def pages():
        yield 1

    async def main():
        stream = pages()
        await anext(stream)
        with pytest.raises(OSError, match="thrown"):
            await stream.athrow(OSError("thrown"))

    loop.run(main)

    assert outcomes(payments) == (0, 1, 0)


def test_aclose_closes_the_inner_generator_before_it_returns(payments, loop):
    cleaned = []

    @payments
    async def pages():
        try:
            yield 1
            yield 2
        finally:
            await loop.tick()
            cleaned.append(True)

    async def main():
        async with aclosing(pages()) as stream:
            await anext(stream)
        return list(cleaned)

    assert loop.run(main) == [True]
    assert outcomes(payments) == (1, 0, 0)


def test_ended_async_stream_stays_ended(payments, loop):
    @payments
    async def pages():
        yield 1

    async def main():
        stream = pages()
        assert [item async for item in stream] == [1]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    loop.run(main)

    assert outcomes(payments) == (1, 0, 0)


# -- how they are judged -------------------------------------------------------------


@pytest.mark.parametrize("items", [0, 1, 3])
def test_failing_stream_is_one_failure(payments, items):
    @payments
    def pages():
        yield from range(items)
        raise OSError

    with pytest.raises(OSError):
        list(pages())

    assert outcomes(payments) == (0, 1, 0)


@pytest.mark.parametrize("items", [0, 1, 3])
def test_failing_async_stream_is_one_failure(payments, loop, items):
    @payments
    async def pages():
        for item in range(items):
            yield item
        raise OSError

    async def main():
        with pytest.raises(OSError):
            async for _ in pages():
                pass

    loop.run(main)

    assert outcomes(payments) == (0, 1, 0)


def test_stream_without_items_that_ends_well_is_a_success(payments):
    @payments
    def pages():
        return
        yield

    assert list(pages()) == []
    assert outcomes(payments) == (1, 0, 0)


def test_stream_left_after_an_item_is_a_success(payments):
    @payments
    def pages():
        yield from range(10)

    for _ in pages():
        break
    gc.collect()

    assert outcomes(payments) == (1, 0, 0)


def test_stream_closed_before_its_first_item_was_never_admitted(payments):
    ran = []

    @payments
    def pages():
        ran.append(True)
        yield 1

    pages().close()

    assert outcomes(payments) == (0, 0, 0)
    assert ran == []
    assert payments.snapshot().probes == 0


def test_interrupt_before_the_first_item_says_nothing(payments):
    @payments
    def pages():
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        list(pages())

    assert outcomes(payments) == (0, 0, 1)


def test_ignored_error_of_a_stream_says_nothing(payments):
    @payments(ignore=(KeyError,))
    def pages():
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(pages())

    assert outcomes(payments) == (0, 0, 1)


def test_failure_result_does_not_look_at_items(make):
    payments = make(trip=1, failure_result=lambda item: True)

    @payments
    def pages():
        yield 1
        return 2

    assert list(pages()) == [1]
    assert payments.state is State.CLOSED


def test_stream_is_admitted_at_its_first_item(make, clock):
    payments = make(trip=1)

    @payments
    def pages():
        yield 1

    made_while_closed = pages()
    payments.trip()

    with pytest.raises(CircuitOpenError):
        next(made_while_closed)

    made_while_open = pages()
    clock.advance(10)
    assert list(made_while_open) == [1]
    assert payments.state is State.CLOSED


def test_async_stream_is_admitted_at_its_first_item(make, loop):
    payments = make()

    @payments
    async def pages():
        yield 1

    async def main():
        stream = pages()
        payments.trip()
        with pytest.raises(CircuitOpenError):
            await anext(stream)

    loop.run(main)


def test_rejected_stream_runs_its_fallback(make, loop):
    payments = make(initial_state=State.OPEN)

    def cached(last):
        yield -last

    async def acached(last):
        yield -last

    @payments(fallback=cached)
    def pages(last):
        yield last

    @payments(fallback=acached)
    async def apages(last):
        yield last

    async def main():
        return [item async for item in apages(3)]

    assert list(pages(3)) == [-3]
    assert loop.run(main) == [-3]
    assert payments.snapshot().totals.fallbacks == 2
    assert outcomes(payments) == (0, 0, 0)


def test_failing_fallback_of_a_stream_is_no_evidence(make):
    payments = make(initial_state=State.OPEN)

    def broken():
        yield 1
        raise OSError

    @payments(fallback=broken)
    def pages():
        yield 2

    with pytest.raises(OSError):
        list(pages())
    assert outcomes(payments) == (0, 0, 0)


@pytest.mark.parametrize("payments", ["timed", "probe"], indirect=True)
def test_interrupt_in_a_predicate_comes_out_after_the_stream_was_settled(
    payments, clock
):
    def ask(error):
        raise KeyboardInterrupt

    @payments(ignore=ask)
    def pages():
        clock.advance(3)
        yield 1
        raise OSError

    with pytest.raises(KeyboardInterrupt):
        list(pages())

    assert payments.snapshot().probes == 0
    assert outcomes(payments) == (0, 0, 1)


# -- cancellation --------------------------------------------------------------------


def test_stream_cancelled_before_its_first_item_says_nothing(payments, loop):
    @payments
    async def pages():
        await loop.event().wait()
        yield 1

    async def read():
        async for _ in pages():
            pass

    async def main():
        async with loop.nursery() as start:
            task = start(read)
            for _ in range(5):
                await loop.tick()
            task.cancel()

    loop.run(main)

    assert outcomes(payments) == (0, 0, 1)
    assert payments.snapshot().cancelled == 1
    assert payments.snapshot().probes == 0


def test_stream_cancelled_after_an_item_is_no_failure_and_frees_its_place(
    payments, loop
):
    arrived = []

    @payments
    async def pages():
        yield 1
        await loop.event().wait()

    async def read():
        async for item in pages():
            arrived.append(item)  # noqa: PERF401 - one at a time is the test

    async def main():
        async with loop.nursery() as start:
            task = start(read)
            await loop.until(lambda: arrived)
            task.cancel()

    loop.run(main)

    assert payments.snapshot().totals.failures == 0
    assert payments.snapshot().probes == 0


def test_slow_cancelled_stream_counts_as_slow(make, clock, loop):
    payments = make(trip=ConsecutiveFailures(1, slower_than=2))

    @payments
    async def pages():
        await loop.event().wait()
        yield 1

    async def read():
        await anext(pages())

    async def main():
        async with loop.nursery() as start:
            task = start(read)
            for _ in range(5):
                await loop.tick()
            clock.advance(2)
            task.cancel()

    loop.run(main)

    assert payments.state is State.OPEN
    assert payments.snapshot().totals.slow == 1


# -- slow is the time to the first item ----------------------------------------------


def test_late_first_item_makes_a_stream_slow(make, clock):
    payments = make(trip=ConsecutiveFailures(1, slower_than=2))

    @payments
    def pages():
        clock.advance(2)
        yield 1

    assert list(pages()) == [1]
    assert payments.state is State.OPEN
    assert payments.snapshot().totals.slow == 1


def test_late_first_item_makes_an_async_stream_slow(make, clock, loop):
    payments = make(trip=ConsecutiveFailures(1, slower_than=2))

    @payments
    async def pages():
        clock.advance(2)
        yield 1

    async def main():
        return [item async for item in pages()]

    assert loop.run(main) == [1]
    assert payments.state is State.OPEN


def test_slow_stream_is_judged_when_it_ends(make, clock):
    payments = make(trip=ConsecutiveFailures(1, slower_than=2))

    @payments
    def pages():
        clock.advance(2)
        yield 1

    with closing(pages()) as stream:
        next(stream)
        assert payments.state is State.CLOSED

    assert payments.state is State.OPEN


def test_time_after_the_first_item_is_never_counted(make, clock):
    payments = make(trip=ConsecutiveFailures(1, slower_than=2))

    @payments
    def pages():
        clock.advance(1)
        yield 1
        clock.advance(100)
        yield 2

    for _ in pages():
        clock.advance(100)

    assert payments.state is State.CLOSED
    assert payments.snapshot().totals.slow == 0


def test_late_failure_after_a_fast_first_item_is_a_failure_and_not_slow(make, clock):
    payments = make(trip=SlowCallRate(0.5, slower_than=2, window=CountWindow(1)))

    @payments
    def pages():
        yield 1
        clock.advance(100)
        raise OSError

    with pytest.raises(OSError):
        list(pages())

    totals = payments.snapshot().totals
    assert (totals.failures, totals.slow) == (1, 0)
    assert payments.state is State.CLOSED


def test_late_failure_before_the_first_item_is_slow(make, clock):
    payments = make(trip=SlowCallRate(0.5, slower_than=2, window=CountWindow(1)))

    @payments
    def pages():
        clock.advance(100)
        raise OSError
        yield

    with pytest.raises(OSError):
        list(pages())

    totals = payments.snapshot().totals
    assert (totals.failures, totals.slow) == (1, 1)


def test_ignored_error_of_a_slow_stream_says_nothing(make, clock):
    payments = make(trip=ConsecutiveFailures(1, slower_than=2), ignore=(KeyError,))

    @payments
    def pages():
        clock.advance(3)
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(pages())

    assert payments.state is State.CLOSED
    assert payments.snapshot().totals.slow == 0


def test_stream_that_ends_late_without_an_item_is_slow(make, clock, loop):
    def timed():
        return make(trip=ConsecutiveFailures(1, slower_than=2))

    payments, bank = timed(), timed()

    @payments
    def pages():
        clock.advance(2)
        return
        yield

    @bank
    async def apages():
        clock.advance(2)
        return
        yield

    async def main():
        return [item async for item in apages()]

    assert list(pages()) == loop.run(main) == []
    assert (payments.state, bank.state) == (State.OPEN, State.OPEN)


def test_stream_in_a_time_window_counts_when_it_ends(make, clock):
    payments = make(
        trip=FailureRate(0.9, window=TimeWindow(10), minimum_calls=1), probes=1
    )
    window = payments.policy.trip.windows[0]

    @payments
    def pages():
        yield 1
        clock.advance(60)

    list(pages())

    assert payments.snapshot().counts[window].calls == 1


# -- streams as probes ---------------------------------------------------------------


@pytest.fixture
def half_open(make):
    breaker = make(probe_lease=30)
    force(breaker, State.HALF_OPEN)
    return breaker


def test_probe_stream_closes_the_circuit_when_it_ends_well(half_open):
    @half_open
    def pages():
        yield 1
        yield 2

    stream = pages()
    next(stream)
    assert half_open.state is State.HALF_OPEN
    assert list(stream) == [2]

    assert half_open.state is State.CLOSED


def test_probe_stream_that_breaks_opens_the_circuit(half_open):
    @half_open
    def pages():
        yield 1
        raise OSError

    with pytest.raises(OSError):
        list(pages())

    assert half_open.state is State.OPEN


def test_probe_stream_that_still_delivers_when_its_lease_ends_is_a_success(
    half_open, clock
):
    @half_open
    def pages():
        for page in range(100):
            clock.advance(10)
            yield page

    stream = pages()
    states = [half_open.state for _ in zip(range(4), stream, strict=False)]

    assert states == [State.HALF_OPEN, State.HALF_OPEN, State.CLOSED, State.CLOSED]


def test_async_probe_stream_that_still_delivers_when_its_lease_ends_is_a_success(
    half_open, clock, loop
):
    @half_open
    async def pages():
        for page in range(4):
            clock.advance(10)
            yield page

    async def main():
        return [half_open.state async for _ in pages()]

    states = loop.run(main)

    assert states == [State.HALF_OPEN, State.HALF_OPEN, State.CLOSED, State.CLOSED]


def test_probe_stream_that_breaks_after_its_lease_was_judged_by_then(half_open, clock):
    @half_open
    def pages():
        yield 1
        clock.advance(30)
        yield 2
        raise OSError

    with pytest.raises(OSError):
        list(pages())

    assert half_open.state is State.CLOSED
    assert outcomes(half_open) == (1, 0, 0)


def test_silent_probe_stream_gives_its_place_to_another_when_its_lease_ends(
    half_open, clock, service
):
    @half_open
    def pages():
        yield 1
        yield 2

    silent = pages()
    next(silent)
    with pytest.raises(CircuitOpenError):
        half_open.call(service.answer)
    clock.advance(30)
    half_open.call(service.answer)

    assert half_open.state is State.CLOSED
    assert list(silent) == [2]
    assert half_open.snapshot().late == 1


def test_slow_probe_stream_opens_the_circuit(make, clock):
    payments = make(trip=ConsecutiveFailures(5, slower_than=2))
    force(payments, State.HALF_OPEN)

    @payments
    def pages():
        clock.advance(2)
        yield 1

    assert list(pages()) == [1]
    assert payments.state is State.OPEN


def test_consumer_is_not_inside_the_probe_between_items(half_open, service):
    @half_open
    def pages():
        yield 1

    next(stream := pages())
    with pytest.raises(CircuitOpenError):
        half_open.call(service.answer)
    stream.close()

    assert half_open.state is State.CLOSED


def test_probe_stream_itself_is_inside_its_probe(half_open, service):
    @half_open
    def pages():
        yield half_open.call(service.answer, "inner")

    assert list(pages()) == ["inner"]
    assert half_open.state is State.CLOSED


def test_async_probe_stream_itself_is_inside_its_probe(half_open, service, loop):
    @half_open
    async def pages():
        yield await half_open.acall(service.aanswer, "inner")

    async def main():
        return [item async for item in pages()]

    assert loop.run(main) == ["inner"]
    assert half_open.state is State.CLOSED


# -- abandoned -----------------------------------------------------------------------


def test_abandoned_stream_is_settled_when_it_is_collected(half_open):
    @half_open
    def pages():
        yield 1

    stream = pages()
    next(stream)
    gone = weakref.ref(stream)
    del stream
    gc.collect()

    assert gone() is None
    assert half_open.state is State.CLOSED


def test_abandoned_async_stream_is_settled_by_the_loop(half_open):
    @half_open
    async def pages():
        yield 1
        yield 2

    async def main():
        async for _ in pages():
            break
        for _ in range(5):  # the loop closes what was collected in a task of its own
            await asyncio.sleep(0)
        return half_open.state

    assert asyncio.run(main()) is State.CLOSED


def test_abandoned_stream_that_was_never_started_holds_nothing(half_open):
    @half_open
    def pages():
        yield 1

    pages()
    gc.collect()

    assert half_open.snapshot().probes == 0
    assert half_open.state is State.HALF_OPEN


def test_stream_outlives_its_period_without_moving_the_next(make, service, clock):
    payments = make(trip=1)

    @payments
    def pages():
        yield 1
        raise OSError

    old = pages()
    next(old)
    payments.trip()
    clock.advance(10)
    payments.call(service.answer)
    with pytest.raises(OSError):
        next(old)

    assert payments.state is State.CLOSED
    assert payments.snapshot().late == 1


def test_two_streams_of_one_function_are_judged_apart(make):
    payments = make(trip=5)

    @payments
    def pages(ends_well):
        yield 1
        if not ends_well:
            raise OSError

    good, bad = pages(ends_well=True), pages(ends_well=False)
    next(good)
    next(bad)
    assert list(good) == []
    with pytest.raises(OSError):
        next(bad)

    assert outcomes(payments) == (1, 1, 0)


def test_slow_first_item_counts_although_the_stream_breaks_later(make, clock):
    payments = make(trip=SlowCallRate(0.9, slower_than=2, window=CountWindow(50)))

    @payments
    def pages():
        clock.advance(3)
        yield 1
        raise OSError

    with pytest.raises(OSError):
        list(pages())

    totals = payments.snapshot().totals
    assert (totals.failures, totals.slow) == (1, 1)


def test_fallback_of_a_stream_is_given_the_rejection(make):
    payments = make()
    payments.trip()

    def instead(*, rejection):
        yield rejection.reason

    guarded = payments(fallback=instead)(lambda: (yield 1))

    assert list(guarded()) == ["tripped by hand"]
