"""`events()`: what happens, as an async iterator."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from recloser import Failed, State, Transition


def states(events):
    return [event.after for event in events if isinstance(event, Transition)]


def test_events_are_read_in_their_order(make, loop):
    payments = make()

    async def main():
        async with payments.events() as events:
            payments.trip()
            payments.reset()
            payments.disable()
            return [await anext(events) for _ in range(3)]

    assert states(loop.run(main)) == [State.OPEN, State.CLOSED, State.DISABLED]


def test_reader_waits_for_the_next_event(make, loop):
    payments = make()
    heard = []

    async def read():
        async for event in payments.events():
            heard.append(event)
            if len(heard) == 2:
                break

    async def main():
        async with loop.nursery() as start:
            reader = start(read)
            for _ in range(5):
                await loop.tick()
            assert heard == []
            payments.trip()
            await loop.until(lambda: len(heard) == 1)
            payments.reset()
            await loop.until(lambda: reader.done)

    loop.run(main)

    assert states(heard) == [State.OPEN, State.CLOSED]


def test_events_come_from_other_threads(make, loop):
    payments = make()
    heard = []

    async def read():
        async with payments.events() as events:
            heard.append(await anext(events))

    async def main():
        async with loop.nursery() as start:
            reader = start(read)
            for _ in range(5):
                await loop.tick()
            thread = threading.Thread(target=payments.trip)
            thread.start()
            await loop.until(lambda: reader.done)
            thread.join()

    loop.run(main)

    assert states(heard) == [State.OPEN]


def test_events_before_the_watch_are_not_heard(make, loop):
    payments = make()
    payments.trip()

    async def main():
        async with payments.events() as events:
            payments.reset()
            return await anext(events)

    assert loop.run(main).after is State.CLOSED


def test_single_calls_are_not_watched(make, loop, service, fail):
    payments = make()

    async def main():
        async with payments.events() as events:
            payments.call(service.answer)
            fail(payments)
            return await anext(events)

    assert isinstance(loop.run(main), Failed)


def test_closed_watch_gives_what_it_heard_and_ends(make, loop):
    payments = make()

    async def main():
        events = payments.events()
        payments.trip()
        events.close()
        payments.reset()
        return [event async for event in events]

    assert states(loop.run(main)) == [State.OPEN]


def test_closing_ends_a_reader_that_waits(make, loop):
    payments = make()

    async def main():
        events = payments.events()

        async def read():
            return [event async for event in events]

        async with loop.nursery() as start:
            reader = start(read)
            for _ in range(5):
                await loop.tick()
            events.close()
            await loop.until(lambda: reader.done)
        return reader.result

    assert loop.run(main) == []


def test_watch_can_be_closed_twice(make):
    events = make().events()

    events.close()
    events.close()


def test_block_closes_the_watch(make, loop):
    payments = make()

    async def main():
        async with payments.events() as events:
            pass
        payments.trip()
        return [event async for event in events]

    assert loop.run(main) == []


def test_cancelled_reader_can_be_followed_by_another(make, loop):
    payments = make()

    async def main():
        events = payments.events()

        async def read():
            return await anext(events)

        async with loop.nursery() as start:
            first = start(read)
            for _ in range(5):
                await loop.tick()
            first.cancel()
            await loop.until(lambda: first.done)
            second = start(read)
            payments.trip()
            await loop.until(lambda: second.done)
        return second.result

    assert loop.run(main).after is State.OPEN


def test_two_watches_hear_the_same(make, loop):
    payments = make()

    async def main():
        one, two = payments.events(), payments.events()
        payments.trip()
        return await anext(one), await anext(two)

    first, second = loop.run(main)

    assert first == second


def test_full_buffer_drops_the_oldest_and_counts_them(make, loop):
    payments = make()

    async def main():
        async with payments.events(buffer=2) as events:
            for command in ("trip", "reset", "disable", "observe"):
                getattr(payments, command)()
            return [await anext(events) for _ in range(2)], events.dropped

    heard, dropped = loop.run(main)

    assert states(heard) == [State.DISABLED, State.METRICS_ONLY]
    assert dropped == 2


@pytest.mark.parametrize(
    ("buffer", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError)]
)
def test_bad_buffer_is_refused(make, buffer, error):
    with pytest.raises(error, match="buffer must be"):
        make().events(buffer=buffer)


def test_watch_that_nobody_holds_listens_no_longer(make):
    payments = make()
    before = payments._circuit.publisher.listeners

    for _ in range(3):
        payments.events()
    gc.collect()

    assert payments._circuit.publisher.listeners == before


def test_event_on_its_way_to_a_watch_that_is_gone_is_dropped(make):
    payments = make()
    events = payments.events()
    (listener,) = payments._circuit.publisher.listeners
    heard = []
    payments.add_listener(heard.append)
    payments.trip()

    gone = weakref.ref(events)
    del events
    gc.collect()
    listener(heard[0])

    assert gone() is None


def test_left_loop_over_events_listens_no_longer(make, loop):
    payments = make()

    async def main():
        async for _ in trip_and_watch():
            break

    def trip_and_watch():
        events = payments.events()
        payments.trip()
        return events

    loop.run(main)
    gc.collect()

    assert payments._circuit.publisher.listeners == ()


def test_reader_whose_loop_is_over_disturbs_nobody(make, loop):
    payments = make()
    events = payments.events()

    async def main():
        payments.trip()
        await anext(events)

    loop.run(main)
    payments.reset()

    assert payments.state is State.CLOSED
    events.close()
