"""Generators that are driven, thrown into, closed, left and collected in any order.

A guarded generator must do what the bare one does behind `yield from`, whatever it and
its caller do, and hold no place once nobody holds it. Both are driven alike and compared
step by step. (`yield from` ends where a generator answers `close` by yielding.)
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recloser import State

from .ways import POLICIES, Stage, answer

ENDS = ["goes on", "fails", "returns", "raises StopIteration"]
WHEN_CLOSED = ["leaves", "fails", "yields again", "awaits"]
ITEMS = st.tuples(st.sampled_from(ENDS), st.sampled_from(WHEN_CLOSED))
PLANS = st.lists(ITEMS, max_size=4)
THROWN = [KeyError, ValueError, GeneratorExit, StopIteration, KeyboardInterrupt]
ASYNC_THROWN = [*THROWN, StopAsyncIteration, asyncio.CancelledError]


def steps(thrown: list[type[BaseException]]) -> Any:
    """Return what a caller may do, in lists."""
    one = st.one_of(
        st.just(("next", None)),
        st.tuples(st.just("send"), st.sampled_from([None, 1])),
        st.tuples(st.just("throw"), st.sampled_from(thrown)),
        st.just(("close", None)),
    )
    return st.lists(one, max_size=6)


def of(plan: list[tuple[str, str]]) -> Any:
    """Return a generator function that does as planned and yields what it was sent."""

    def items() -> Any:
        seen: list[Any] = []
        for end, when_closed in plan:
            try:
                seen.append((yield tuple(seen)))
            except KeyError:
                seen.append("caught")
            except GeneratorExit:
                if when_closed == "fails":
                    raise ValueError("while it is closed") from None
                if when_closed == "yields again":
                    yield "again"
                raise
            if end == "fails":
                raise OSError("down")
            if end == "returns":
                return tuple(seen)
            if end == "raises StopIteration":
                raise StopIteration("by hand")  # noqa: PLR1708 - a mistake to hand on
        return "the end"

    return items


def delegating(items: Any) -> Any:
    """Return a generator function that hands everything on, as the language does."""

    def wrapper() -> Any:
        return (yield from items())

    return wrapper


def async_of(plan: list[tuple[str, str]]) -> Any:
    """Return the same as an async generator function."""

    async def items() -> Any:
        seen: list[Any] = []
        for end, when_closed in plan:
            await asyncio.sleep(0)
            try:
                seen.append((yield tuple(seen)))
            except KeyError:
                seen.append("caught")
            except GeneratorExit:
                if when_closed == "fails":
                    raise ValueError("while it is closed") from None
                if when_closed == "awaits":
                    await asyncio.sleep(0)
                raise
            if end == "fails":
                raise OSError("down")
            if end == "returns":
                return
            if end == "raises StopIteration":
                raise StopAsyncIteration("by hand")

    return items


def told(error: BaseException) -> tuple[Any, ...]:
    cause = type(error.__cause__).__name__
    return type(error).__name__, str(error), cause, getattr(error, "value", None)


def driven(iterator: Any, doing: list[tuple[str, Any]]) -> list[Any]:
    """Drive a generator; return all that came out."""
    out: list[Any] = []
    for verb, value in doing:
        try:
            if verb == "next":
                out.append(next(iterator))
            elif verb == "send":
                out.append(iterator.send(value))
            elif verb == "throw":
                out.append(iterator.throw(value("thrown")))
            else:
                out.append(iterator.close())
        except BaseException as error:  # noqa: BLE001 - it is what came out
            out.append(told(error))
    return out


async def adriven(iterator: Any, doing: list[tuple[str, Any]]) -> list[Any]:
    """Drive an async generator; return all that came out."""
    out: list[Any] = []
    for verb, value in doing:
        try:
            if verb == "next":
                out.append(await anext(iterator))
            elif verb == "send":
                out.append(await iterator.asend(value))
            elif verb == "throw":
                out.append(await iterator.athrow(value("thrown")))
            else:
                out.append(await iterator.aclose())
        except BaseException as error:  # noqa: BLE001 - it is what came out
            out.append(told(error))
    return out


STATES = [State.CLOSED, State.HALF_OPEN, State.DISABLED, State.METRICS_ONLY]


def has_settled(stage: Stage) -> None:
    """Check that one call was counted at most once and that no place is held."""
    after = stage.breaker.snapshot()
    totals = after.totals
    assert after.probes == 0
    assert totals.lost == 0
    assert totals.calls + totals.neutral + totals.late <= 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@given(PLANS, steps(THROWN), st.sampled_from(STATES), st.sampled_from(sorted(POLICIES)))
def test_guarded_generator_does_what_the_bare_one_does(plan, doing, state, policy):
    stage = Stage(state, POLICIES[policy])
    bare, guarded = delegating(of(plan)), stage.breaker(of(plan))

    iterator = guarded()
    assert driven(iterator, doing) == driven(bare(), doing)

    del iterator
    has_settled(stage)


@given(
    PLANS,
    steps(ASYNC_THROWN),
    st.sampled_from(STATES),
    st.sampled_from(sorted(POLICIES)),
)
def test_guarded_async_generator_does_what_the_bare_one_does(
    plan, doing, state, policy
):
    stage = Stage(state, POLICIES[policy])
    bare, guarded = async_of(plan), stage.breaker(async_of(plan))

    async def both() -> tuple[list[Any], list[Any]]:
        ours, theirs = guarded(), bare()
        found = await adriven(ours, doing), await adriven(theirs, doing)
        for iterator in (ours, theirs):
            with suppress(ValueError):
                await iterator.aclose()
        return found

    ours, theirs = asyncio.run(both())

    assert ours == theirs
    has_settled(stage)


@pytest.mark.parametrize("taken", [0, 1, 2])
@pytest.mark.parametrize("trip", POLICIES.values(), ids=POLICIES.keys())
def test_generator_in_a_cycle_frees_its_place_when_the_cycle_is_collected(trip, taken):
    stage = Stage(State.HALF_OPEN, trip)
    stream = stage.breaker(lambda: (yield from range(5)))
    cycle: list[Any] = [stream()]
    cycle.append(cycle)
    for _ in range(taken):
        next(cycle[0])

    del cycle
    gc.collect()

    has_settled(stage)


@pytest.mark.parametrize("trip", POLICIES.values(), ids=POLICIES.keys())
def test_async_generator_that_is_abandoned_frees_its_place_with_its_loop(trip):
    stage = Stage(State.HALF_OPEN, trip)

    @stage.breaker
    async def items():
        yield 1
        yield 2

    async def leave() -> None:
        held.append(items())
        await anext(held[0])

    held: list[Any] = []
    asyncio.run(leave())  # its last act is to close what was left open

    has_settled(stage)


def test_generator_that_is_never_started_asks_for_nothing():
    stage = Stage(State.HALF_OPEN)
    never = stage.breaker(lambda: (yield 1))()

    assert stage.breaker.call(answer) == "answer"

    never.close()
    assert stage.breaker.state is State.CLOSED
    assert stage.breaker.snapshot().totals.calls == 1
