"""Errors raised inside every function that a user can hand in, at every way of calling.

A mistake of the user's callback (an `Exception`) never replaces what the call came to; an
interrupt (any other `BaseException`) comes out; either way the place goes back.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from recloser import CircuitOpenError, ConsecutiveFailures, State

from .ways import ASYNC_WAYS, POLICIES, WAYS, Stage, answer, async_stream, down, stream

pytestmark = [
    pytest.mark.recloser_allow_callback_errors,
    pytest.mark.filterwarnings("ignore:callback"),
]

EVENTS = [
    "call",
    "callback_failed",
    "failed",
    "late_result",
    "probe_ended",
    "probe_lost",
    "probe_started",
    "rejected",
    "transition",
    "would_reject",
    "would_trip",
]


class Interrupt(BaseException):
    """As a signal handler may raise it."""


class Bad:
    """A callback that raises from its n-th use on, or at it alone."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error
        self.uses = 0

    def __call__(self, *arguments: Any) -> Any:
        self.uses += 1
        raise self.error("a mistake in a callback")


def listener(bad: Bad, event: str) -> Any:
    """Return a listener with one method, which raises."""
    return type("Listener", (), {f"on_{event}": lambda self, told: bad(told)})()


def options_with(hook: str, bad: Bad) -> dict[str, Any]:
    if hook.startswith("on_"):
        return {"listeners": [listener(bad, hook[3:])]}
    return {hook: bad}


async def aanswer() -> str:
    return answer()


async def adown() -> Any:
    return down()


def run(way: Any, stage: Stage, work: Any) -> Any:
    """Make one call in a way, plain or async."""
    if way not in ASYNC_WAYS:
        return way(stage.breaker, work)()
    coroutine = {answer: aanswer, down: adown}[work]
    return asyncio.run(way(stage.breaker, coroutine)())


JUDGES = ["ignore", "successes", "failures", "retry_after"]
STORIES = [State.CLOSED, State.HALF_OPEN, State.METRICS_ONLY]


@pytest.mark.parametrize("trip", POLICIES.values(), ids=POLICIES.keys())
@pytest.mark.parametrize("state", STORIES)
@pytest.mark.parametrize("hook", JUDGES)
@pytest.mark.parametrize("way", [*WAYS, *ASYNC_WAYS])
def test_mistake_in_a_judge_of_errors_hides_no_error(way, hook, state, trip):
    bad = Bad(LookupError)
    stage = Stage(state, trip, **options_with(hook, bad))

    with pytest.raises(OSError, match="down"):
        run(way, stage, down)

    after = stage.breaker.snapshot()
    assert bad.uses == 1
    assert after.totals.failures == 1
    assert after.probes == 0
    stage.heals()


@pytest.mark.parametrize("state", STORIES)
@pytest.mark.parametrize("way", [*WAYS, *ASYNC_WAYS])
def test_mistake_in_a_judge_of_results_hides_no_result(way, state):
    bad = Bad(LookupError)
    stage = Stage(state, failure_result=bad)

    assert run(way, stage, answer) == "answer"

    assert stage.breaker.snapshot().probes == 0
    assert bad.uses == (0 if _has_no_result(way) else 1)


def _has_no_result(way: Any) -> bool:
    """Blocks, permits and streams show the breaker no result."""
    return way in {*WAYS, *ASYNC_WAYS} and way.__name__.split("_")[-1] in {
        "block",
        "permit",
        "stream",
    }


@pytest.mark.parametrize("state", STORIES)
@pytest.mark.parametrize("hook", ["ignore", "successes", "failures", "retry_after"])
@pytest.mark.parametrize("way", [*WAYS, *ASYNC_WAYS])
def test_interrupt_in_a_judge_comes_out_and_holds_no_place(way, hook, state):
    bad = Bad(Interrupt)
    stage = Stage(state, **options_with(hook, bad))

    with pytest.raises(Interrupt):
        run(way, stage, down)

    assert stage.breaker.snapshot().probes == 0
    assert bad.uses == 1
    with suppress(Interrupt):
        stage.breaker.reset()
    assert stage.breaker.call(answer) == "answer"


# -- listeners ---------------------------------------------------------------------------


def whole_story(stage: Stage, way: Any) -> list[Any]:
    """Let everything happen of which listeners are told; return what callers got."""
    got: list[Any] = []
    breaker, clock = stage.breaker, stage.clock

    def ask(work: Any) -> None:
        try:
            got.append(run(way, stage, work))
        except (OSError, CircuitOpenError) as error:
            got.append(type(error).__name__)

    with suppress(OSError):
        breaker.call(down)
    late = breaker.acquire()
    ask(answer)
    for work in (down, down, down, answer):  # the last one is rejected
        ask(work)
    late.failure()
    clock.advance(10)
    lost = breaker.acquire()
    clock.advance(20)
    ask(down)
    clock.advance(10)
    ask(answer)
    breaker.observe()
    for work in (down, down, down, answer):
        ask(work)
    lost.release()
    breaker.reset()
    ask(answer)
    return got


EXPECTED = [
    "answer",
    "OSError",
    "OSError",
    "OSError",
    "CircuitOpenError",
    "OSError",
    "answer",
    "OSError",
    "OSError",
    "OSError",
    "answer",
    "answer",
]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("way", [*WAYS, *ASYNC_WAYS])
def test_mistake_in_a_listener_changes_nothing_for_callers(way, event):
    bad = Bad(LookupError)
    judge = {"ignore": lambda error: 1 / 0} if event == "callback_failed" else {}
    stage = Stage(listeners=[listener(bad, event)], **judge)

    assert whole_story(stage, way) == EXPECTED

    assert bad.uses > 0
    assert stage.breaker.snapshot().probes == 0


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("way", [*WAYS, *ASYNC_WAYS])
def test_interrupt_in_a_listener_wedges_nothing(way, event):
    bad = Bad(Interrupt)
    judge = {"ignore": lambda error: 1 / 0} if event == "callback_failed" else {}
    stage = Stage(State.HALF_OPEN, **judge)
    stage.breaker.add_listener(listener(bad, event))

    for work in (answer, down, down, down, answer):
        with suppress(Interrupt, OSError, CircuitOpenError):
            run(way, stage, work)
        stage.clock.advance(4)

    for each in stage.breaker._circuit.publisher.listeners:
        stage.breaker.remove_listener(each)
    assert stage.breaker.snapshot().probes == 0
    stage.heals()


# -- fallbacks and clocks ----------------------------------------------------------------


@pytest.mark.parametrize("error", [LookupError, Interrupt])
@pytest.mark.parametrize("state", [State.OPEN, State.FORCED_OPEN])
def test_error_in_a_fallback_is_the_callers_and_no_evidence(state, error):
    stage = Stage(state)
    guarded = stage.breaker(fallback=Bad(error))(answer)

    with pytest.raises(error, match="a mistake in a callback"):
        guarded()

    after = stage.breaker.snapshot()
    assert (after.state, after.totals.calls) == (state, 0)


def test_open_circuit_rejects_though_its_clock_raises():
    stage = Stage(State.OPEN)
    guarded = stage.breaker(answer)
    stage.breaker._circuit.clock = Bad(LookupError)

    with pytest.raises(CircuitOpenError):
        guarded()

    assert stage.breaker.snapshot().totals.callback_errors > 0


def test_failure_comes_out_though_the_clock_raises_meanwhile():
    stage = Stage(State.CLOSED, ConsecutiveFailures(3, slower_than=4.0))

    @stage.breaker
    def work() -> None:
        stage.breaker._circuit.clock = Bad(LookupError)
        raise OSError("down")

    with pytest.raises(OSError, match="down"):
        work()

    totals = stage.breaker.snapshot().totals
    assert (totals.failures, totals.slow) == (1, 0)


@pytest.mark.parametrize("state", [State.CLOSED, State.HALF_OPEN])
@pytest.mark.parametrize("way", [*WAYS, *ASYNC_WAYS])
@pytest.mark.parametrize("trip", POLICIES.values(), ids=POLICIES.keys())
def test_clock_that_begins_to_raise_holds_no_place(trip, way, state):
    stage = Stage(state, trip)
    circuit, good = stage.breaker._circuit, stage.clock

    def work() -> str:
        circuit.clock = Bad(LookupError)
        return "answer"

    async def async_work() -> str:
        return work()

    guarded = way(stage.breaker, async_work if way in ASYNC_WAYS else work)
    with suppress(LookupError):  # a timed wrapper reads the clock itself
        asyncio.run(guarded()) if way in ASYNC_WAYS else guarded()

    circuit.clock = good
    assert stage.breaker.snapshot().probes == 0
    stage.heals()


def test_every_way_is_in_the_list():
    """What is parametrised above is all there is: one plain and one async of each."""
    assert len(WAYS) == len(ASYNC_WAYS) == 5
    assert (WAYS[-1], ASYNC_WAYS[-1]) == (stream, async_stream)
