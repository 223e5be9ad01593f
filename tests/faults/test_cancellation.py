"""Calls that are given up at each point at which they can be: by hand and by loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

import pytest
import trio

from recloser import CircuitOpenError, State

from .ways import ADMITTING, ASYNC_WAYS, POLICIES, Stage, async_stream

AWAITS = 3
MOST = 60
"""Steps after which every call here has ended."""


class Suspension:
    """Suspends whoever awaits it, once, in no loop's way."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def suspended_thrice() -> str:
    for _ in range(AWAITS):
        await Suspension()
    return "answer"


def given_up(
    coroutine: Coroutine[Any, Any, Any], step: int, error: type[BaseException]
) -> bool:
    """Run a coroutine for some steps, then throw; tell whether it was still running."""
    try:
        for _ in range(step):
            coroutine.send(None)
        if error is GeneratorExit:
            coroutine.close()
        else:
            coroutine.throw(error("given up"))
    except StopIteration:
        return False
    except error:
        return True
    return error is GeneratorExit


def check(stage: Stage, way: Any, before: State) -> None:
    """Check that what was given up is no evidence and holds nothing."""
    after = stage.breaker.snapshot()
    assert after.totals.failures == 0
    assert after.totals.lost == 0
    assert after.probes == 0
    if after.state is not before:  # a stream that is left after an item is a success
        assert way is async_stream
        assert (before, after.state) == (State.HALF_OPEN, State.CLOSED)
    stage.has_one_place()


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError, GeneratorExit, KeyboardInterrupt]
)
@pytest.mark.parametrize("trip", POLICIES.values(), ids=POLICIES.keys())
@pytest.mark.parametrize("state", ADMITTING)
@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_call_given_up_at_any_await_point_is_no_evidence(way, state, trip, error):
    for step in range(MOST):
        stage = Stage(state, trip)
        guarded = way(stage.breaker, suspended_thrice)

        was_running = given_up(guarded(), step, error)

        if not was_running:
            break
        check(stage, way, state)

    assert step == AWAITS + 1  # not begun, and after each of its awaits


@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_call_inside_a_probe_given_up_at_any_await_point_ends_with_it(way):
    for step in range(MOST):
        stage = Stage(State.HALF_OPEN)
        inner = way(stage.breaker, suspended_thrice)
        outer = way(stage.breaker, inner)

        if not given_up(outer(), step, asyncio.CancelledError):
            break
        check(stage, way, State.HALF_OPEN)

    assert step == AWAITS + 1


# -- by the loops themselves -------------------------------------------------------------


def in_asyncio(ask: Callable[[], Awaitable[Any]], step: int) -> bool:
    """Cancel a task after so many turns of the loop; tell whether it was in time."""

    async def main() -> bool:
        task = asyncio.ensure_future(ask())
        for _ in range(step):
            await asyncio.sleep(0)
        in_time = task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return in_time

    return asyncio.run(main())


def in_trio(ask: Callable[[], Awaitable[Any]], step: int) -> bool:
    """Cancel a task after so many turns of trio; tell whether it was in time."""
    ended = False

    async def run() -> None:
        nonlocal ended
        await ask()
        ended = True

    async def main() -> bool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            for _ in range(step):
                await trio.lowlevel.checkpoint()
            in_time = not ended
            nursery.cancel_scope.cancel()
        return in_time

    return trio.run(main)


async def asyncio_work() -> str:
    for _ in range(AWAITS):
        await asyncio.sleep(0)
    return "answer"


async def trio_work() -> str:
    for _ in range(AWAITS):
        await trio.lowlevel.checkpoint()
    return "answer"


LOOPS = [
    pytest.param(in_asyncio, asyncio_work, id="asyncio"),
    pytest.param(in_trio, trio_work, id="trio"),
]


@pytest.mark.parametrize(("loop", "work"), LOOPS)
@pytest.mark.parametrize("state", [State.CLOSED, State.HALF_OPEN])
@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_task_cancelled_at_any_turn_of_the_loop_is_no_evidence(way, state, loop, work):
    for step in range(MOST):
        stage = Stage(state)
        guarded = way(stage.breaker, work)

        if not loop(guarded, step):
            break
        check(stage, way, state)

    assert step >= AWAITS


@pytest.mark.parametrize(("loop", "work"), LOOPS)
@pytest.mark.parametrize("way", ["aacquire", "guard"])
def test_waiter_cancelled_at_any_turn_leaves_the_queue_to_the_others(way, loop, work):
    for step in range(8):  # the sleep itself is longer than any number of turns
        stage = Stage(State.HALF_OPEN)
        probe = stage.breaker.acquire()
        guarded = stage.breaker(wait=5)(work)

        async def wait(stage=stage, guarded=guarded) -> None:
            if way == "guard":
                await guarded()
            else:
                (await stage.breaker.aacquire(timeout=5)).release()

        assert loop(wait, step)
        assert stage.clock.sleepers == 0
        probe.release()

        stage.has_one_place()


@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_rejected_call_has_no_point_at_which_it_could_be_cancelled(way):
    stage = Stage(State.OPEN)
    guarded = way(stage.breaker, suspended_thrice)

    with pytest.raises(CircuitOpenError):
        guarded().send(None)
