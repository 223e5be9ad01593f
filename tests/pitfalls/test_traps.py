"""The traps in which other libraries for Python were caught, set for ours.

One test for each column of the tables of traps: interruptions, the functions a breaker
is put on, late results, the clock, references and errors.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
import time
import weakref
from contextlib import suppress

import pytest

from recloser import CircuitBreaker, CircuitOpenError, State


def answer():
    return "answer"


def down():
    raise OSError("down")


INTERRUPTIONS = [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]


def raising(error):
    def interrupted():
        raise error

    return interrupted


def as_decorated(breaker, error):
    breaker(raising(error))()


def as_block(breaker, error):
    with breaker:
        raise error


def as_decorated_task(breaker, error):
    @breaker
    async def interrupted():
        raise error

    drive(interrupted())


def as_async_block(breaker, error):
    async def interrupted():
        async with breaker:
            raise error

    drive(interrupted())


def as_permit(breaker, error):
    with breaker.acquire():
        raise error


SURFACES = [as_decorated, as_block, as_decorated_task, as_async_block, as_permit]


def drive(coroutine) -> None:
    """Run a coroutine that suspends nowhere, without a loop that handles interrupts."""
    with suppress(StopIteration):
        coroutine.send(None)


# -- interruptions -------------------------------------------------------------------


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("error", INTERRUPTIONS)
def test_trap_an_interruption_is_neither_success_nor_failure(
    make, fail, surface, error
):
    """Threshold 5; two failures, three interruptions, three failures: it opens on the fifth failure."""
    payments = make(trip=5)
    fail(payments, 2)

    for _ in range(3):
        with pytest.raises(error):
            surface(payments, error)

    assert payments.snapshot().streak == 2
    fail(payments, 2)
    assert payments.state is State.CLOSED
    fail(payments)
    assert payments.state is State.OPEN


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("error", INTERRUPTIONS)
def test_trap_an_interrupted_probe_gives_its_place_to_the_next(
    make, clock, surface, error
):
    """A probe that is cancelled or interrupted closes or re-opens the circuit."""
    payments = make(probe_lease=1e6)
    payments.trip()
    clock.advance(10)

    with pytest.raises(error):
        surface(payments, error)

    assert payments.state is State.HALF_OPEN
    assert payments.call(answer) == "answer"
    assert payments.state is State.CLOSED


# -- functions it is put on ----------------------------------------------------------


def test_trap_a_failure_in_a_coroutine_function_is_seen(make):
    """Put on `async def`, the breaker sees a coroutine and calls it a success."""
    payments = make()

    @payments
    async def charge():
        down()

    with pytest.raises(OSError, match="down"):
        asyncio.run(charge())

    assert payments.state is State.OPEN
    with pytest.raises(CircuitOpenError):
        asyncio.run(charge())


def test_trap_a_failure_in_a_generator_is_seen(make):
    """Put on a generator function, the breaker sees a generator made, and is content."""
    payments = make()

    @payments
    def rows():
        yield 1
        down()

    with pytest.raises(OSError, match="down"):
        list(rows())

    assert payments.state is State.OPEN
    with pytest.raises(CircuitOpenError):
        next(rows())


def test_trap_a_failure_in_an_async_generator_is_seen(make):
    """Put on an async generator function, the breaker breaks or forgets it."""
    payments = make()

    @payments
    async def rows():
        yield 1
        down()

    async def read():
        return [row async for row in rows()]

    with pytest.raises(OSError, match="down"):
        asyncio.run(read())

    assert payments.state is State.OPEN
    with pytest.raises(CircuitOpenError):
        asyncio.run(read())


def test_trap_signature_and_colour_are_kept(make):
    """The signature is lost, or `iscoroutinefunction` says no."""
    payments = make()

    async def charge(amount: int, *, currency: str = "EUR") -> str:
        return f"{amount} {currency}"

    def rows(first):
        yield first

    guarded = payments(charge)

    assert inspect.signature(guarded) == inspect.signature(charge)
    assert guarded.__name__ == "charge"
    assert inspect.iscoroutinefunction(guarded)
    assert inspect.isgeneratorfunction(payments(rows))


def test_trap_one_object_serves_threads_and_tasks(make):
    """A breaker for threads and another for asyncio: what one knows, the other does not."""
    payments = make(trip=2)

    @payments
    async def charge():
        down()

    thread = threading.Thread(target=lambda: suppressed(payments.call, down))
    thread.start()
    thread.join()
    asyncio.run(suppressing(charge))

    assert payments.state is State.OPEN


def suppressed(function, *args):
    with suppress(OSError):
        function(*args)


async def suppressing(function):
    with suppress(OSError):
        await function()


def test_trap_blocks_are_rejected_while_open(make):
    """Entering `with` or `async with` checks nothing."""
    payments = make(initial_state=State.OPEN)
    inside = []

    async def block():
        async with payments:
            inside.append("async with")

    with pytest.raises(CircuitOpenError), payments:
        inside.append("with")
    with pytest.raises(CircuitOpenError):
        asyncio.run(block())

    assert inside == []


# -- late results --------------------------------------------------------------------


def late_call(breaker, error=None):
    """Start a guarded call on a thread; return what lets it end."""
    begun, go = threading.Event(), threading.Event()

    def hang():
        begun.set()
        go.wait(20)
        if error is not None:
            raise error

    guarded = breaker(hang)
    thread = threading.Thread(target=lambda: suppressed(guarded))
    thread.start()
    begun.wait(20)

    def end():
        go.set()
        thread.join(20)

    return end


class LateTask:
    """A guarded coroutine in the middle of its call, driven by hand."""

    def __init__(self, breaker, error=None) -> None:
        @breaker
        async def hang():
            await Pause()
            if error is not None:
                raise error

        # A task has a context of its own; what is inside it must not leak out.
        self._context = contextvars.copy_context()
        self._running = hang()
        self._context.run(self._running.send, None)

    def __call__(self) -> None:
        with suppress(StopIteration, OSError):
            self._context.run(self._running.send, None)


class Pause:
    def __await__(self):
        yield


LATE = [late_call, LateTask]


@pytest.mark.parametrize("start", LATE)
def test_trap_a_late_success_does_not_close_an_open_circuit(
    make, fail, rejected, start
):
    """A call admitted before the trip succeeds while open, and closes the circuit."""
    payments = make()
    end = start(payments)
    fail(payments)

    end()

    assert payments.state is State.OPEN
    assert rejected(payments)


@pytest.mark.parametrize("start", LATE)
def test_trap_a_late_success_does_not_close_a_half_open_circuit(
    make, clock, fail, start
):
    """A call admitted before the trip succeeds while half-open, and closes the circuit."""
    payments = make()
    end = start(payments)
    fail(payments)
    clock.advance(10)
    probe = payments.acquire()

    end()

    assert payments.state is State.HALF_OPEN
    probe.success()
    assert payments.state is State.CLOSED


@pytest.mark.parametrize("start", LATE)
def test_trap_a_late_failure_does_not_restart_the_wait(make, clock, fail, start):
    """A straggler's failure lengthens the outage by another whole wait."""
    payments = make()
    end = start(payments, OSError("old news"))
    fail(payments)
    clock.advance(9)

    end()

    assert payments.snapshot().retry_after == 1
    clock.advance(1)
    assert payments.call(answer) == "answer"


@pytest.mark.parametrize("start", LATE)
def test_trap_while_a_probe_hangs_others_are_rejected_but_not_for_ever(
    make, clock, rejected, start
):
    """While a probe hangs, others are all admitted, or all rejected for ever."""
    payments = make(probe_lease=30)
    payments.trip()
    clock.advance(10)
    end = start(payments)

    first = rejected(payments)
    clock.advance(30)
    second = rejected(payments)
    end()

    assert (first, second) == (True, False)


def test_trap_a_probe_of_an_earlier_round_counts_for_nothing_in_the_next(make, clock):
    """A probe left over from an earlier round is counted in the next one."""
    payments = make(probes=2, probe_concurrency=2)
    payments.trip()
    clock.advance(10)
    left_over = payments.acquire()
    payments.acquire().failure()
    clock.advance(10)
    first, second = payments.acquire(), payments.acquire()

    left_over.success()

    assert payments.state is State.HALF_OPEN
    assert payments.try_acquire() is None
    first.success()
    assert payments.state is State.HALF_OPEN
    second.success()
    assert payments.state is State.CLOSED


# -- half-open is limited ------------------------------------------------------------


def test_trap_a_thousand_callers_do_not_pass_half_open(make, clock):
    """The wait is over, and everybody who stood there is let through."""
    payments = make()
    payments.trip()
    clock.advance(10)

    permits = [payments.try_acquire() for _ in range(1000)]

    assert sum(permit is not None for permit in permits) == 1


# -- clock, references, errors -------------------------------------------------------


def test_trap_the_default_clock_cannot_be_stepped(monkeypatch):
    """The wait is timed by the wall clock: a step of two hours opens the door."""
    wall = time.time
    payments = CircuitBreaker("payments", trip=1, recovery=3600, registry="none")
    payments.trip()

    monkeypatch.setattr(time, "time", lambda: wall() + 7200)

    with pytest.raises(CircuitOpenError):
        payments.call(answer)


class Held:
    """Something large in the locals of a call that fails."""


def test_trap_the_failed_calls_frame_is_released(make):
    """The breaker keeps the last exception, and with it frames and locals."""
    payments = make()
    seen = []

    @payments
    def charge():
        held = Held()
        seen.append(weakref.ref(held))
        raise OSError("down")

    with suppress(OSError):
        charge()
    gc.collect()

    assert payments.snapshot().last_failure.type == "OSError"
    assert seen[0]() is None


def test_trap_the_thousandth_rejection_is_like_the_first(make):
    """One exception object for every rejection gathers traceback entries without end."""
    payments = make(initial_state=State.OPEN)
    guarded = payments(answer)

    def entries() -> int:
        try:
            guarded()
        except CircuitOpenError as error:
            trace, number = error.__traceback__, 0
            while trace is not None:
                trace, number = trace.tb_next, number + 1
            return number
        return 0

    first = entries()
    last = [entries() for _ in range(999)][-1]

    assert last == first <= 5


def test_trap_the_call_that_trips_raises_its_own_error(make):
    """The call that trips gets the breaker's error instead of its own."""
    payments = make()

    with pytest.raises(OSError, match="down") as caught:
        payments(down)()

    assert payments.state is State.OPEN
    assert caught.value.__context__ is None


def test_trap_cancelling_one_waiter_does_not_cancel_the_others(make, clock):
    """Callers wait on one shared future: cancelling one cancels them all."""
    payments = make(initial_state=State.OPEN)

    async def main():
        waiting = [asyncio.create_task(payments.aacquire(timeout=60)) for _ in range(3)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert clock.sleepers == 3
        waiting[0].cancel()
        await asyncio.sleep(0)
        clock.advance(10)
        permit = await asyncio.wait_for(waiting[1], 20)
        permit.success()
        other = await asyncio.wait_for(waiting[2], 20)
        other.success()
        return waiting[0].cancelled()

    assert asyncio.run(main())
    assert payments.state is State.CLOSED
