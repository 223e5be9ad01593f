"""What comes in the middle: an interrupt, or a visitor, before each bytecode of a call.

A signal handler or a finaliser runs on the thread that it interrupts, wherever that is,
inside a locked section too. Here one comes before each bytecode of the runtime that a
call runs, which is more often than an interpreter would let it. (Before every 11th in a
quick run; before every one where the profile is `thorough`.)
"""

from __future__ import annotations

import dis
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from types import FrameType
from typing import Any, Final

import pytest

from recloser import CircuitBreaker, CircuitOpenError, State, Transition
from recloser._runtime.circuit import Circuit

from ..interleaving.bytecodes import files_of, stepping, watching
from .ways import POLICIES, WAYS, Stage, answer, down

MODULES: Final = (
    "breaker",
    "circuit",
    "classify",
    "entries",
    "gate",
    "managers",
    "narration",
    "permits",
    "publishing",
    "recorders",
    "reentry",
    "streams",
    "taps",
    "tallies",
)
FILES: Final = files_of(MODULES)
STATES: Final = [State.CLOSED, State.HALF_OPEN]
MOST: Final = 5_000
STRIDE: Final = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 11


class Interrupt(BaseException):
    """What a signal handler raises."""


def swap() -> range:
    """Return where in a swap nothing can come: between its comparison and its store.

    There is no call, jump back or resumption there, at which an interpreter looks for
    signals or collects, and nothing dies there; a test looks whether this is so.
    """
    code = list(dis.get_instructions(Circuit._install))
    (store,) = (
        at
        for at, each in enumerate(code)
        if each.opname == "STORE_ATTR" and each.argval == "current"
    )
    read = max(
        at
        for at in range(store)
        if code[at].opname == "LOAD_ATTR" and code[at].argval == "current"
    )
    return range(code[read + 1].offset, code[store].offset + 1)


SWAP: Final = swap()


class Visit:
    """Does something once, before the n-th bytecode, on the thread that is there."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.left = at
        self.act = act
        self.came = False

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0 and not self.came and not is_swapping(sys._getframe(2)):
            self.came = True
            self.act()


def is_swapping(frame: FrameType) -> bool:
    return frame.f_code is Circuit._install.__code__ and frame.f_lasti in SWAP


@contextmanager
def visited(at: int, act: Callable[[], None], *guarded: Any):
    visit = Visit(at, act)
    cells = [cell.cell_contents for each in guarded for cell in each.__closure__ or ()]
    codes = [each.__code__ for each in (*guarded, *cells) if hasattr(each, "__code__")]
    with watching(*codes, modules=MODULES), stepping(visit, FILES):
        yield visit


def test_nothing_can_come_between_the_comparison_and_the_store_of_a_swap():
    code = [
        each for each in dis.get_instructions(Circuit._install) if each.offset in SWAP
    ]
    jump = next(at for at, each in enumerate(code) if "JUMP" in each.opname)

    path = [*code[:jump], *(each for each in code if each.offset >= code[jump].argval)]

    assert path[-1].opname == "STORE_ATTR"
    assert {each.opname for each in path[:-1]} <= {
        "BINARY_OP",
        "BINARY_SUBSCR",
        "IS_OP",
        "LOAD_CONST",
        "LOAD_FAST",
        "LOAD_FAST_BORROW",
        "LOAD_FAST_LOAD_FAST",
        "LOAD_FAST_BORROW_LOAD_FAST_BORROW",
        "LOAD_SMALL_INT",
    }


def begun(state: State, trip: Any) -> Stage:
    """Return a stage on which one more failure matters."""
    stage = Stage(state, trip)
    if state is State.CLOSED:
        for _ in range(2):
            with suppress(OSError):
                stage.breaker.call(down)
    return stage


def each_step(
    way: Any,
    state: State,
    trip: Any,
    work: Any,
    act: Callable[[Stage], None],
    *listeners: Any,
) -> Iterator[tuple[int, Stage, Any]]:
    """Yield the stage after each run: one for every bytecode that a call has."""
    for step in range(0, MOST, STRIDE):
        stage = begun(state, trip)
        for each in listeners:
            stage.breaker.add_listener(each)
        guarded = way(stage.breaker, work)
        result: Any = None
        with visited(step, lambda stage=stage: act(stage), guarded) as visit:
            try:
                result = Context().run(guarded)
            except BaseException as error:  # noqa: BLE001 - it is what the call came to
                result = error
        if not visit.came:
            assert step > 10, "no call has so few bytecodes"
            return
        yield step, stage, result
    pytest.fail("the call has no end")


def interrupt(stage: Stage) -> None:
    raise Interrupt


@pytest.mark.parametrize("work", [answer, down])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("trip", POLICIES.values(), ids=POLICIES.keys())
@pytest.mark.parametrize("way", WAYS)
def test_interrupt_before_any_bytecode_of_a_call_wedges_nothing(way, trip, state, work):
    for step, stage, result in each_step(way, state, trip, work, interrupt):
        assert isinstance(result, Interrupt), (step, result)

        breaker = stage.breaker
        if breaker.state is State.OPEN:  # it had tripped: every way is shut at once
            for other in WAYS:
                with pytest.raises(CircuitOpenError):
                    other(breaker, answer)()
            stage.clock.advance(10)
        else:
            stage.clock.advance(20)  # a lease
        before = breaker.snapshot()
        stage.has_one_place()
        stage.heals()
        assert before.totals.calls <= 3


# -- visitors ----------------------------------------------------------------------------


def trips(stage: Stage) -> None:
    stage.breaker.trip()


def resets(stage: Stage) -> None:
    stage.breaker.reset()


def succeeds(stage: Stage) -> None:
    with suppress(CircuitOpenError):
        stage.breaker.call(answer)


def fails(stage: Stage) -> None:
    with suppress(OSError, CircuitOpenError):
        stage.breaker.call(down)


def reconfigures(stage: Stage) -> None:
    stage.breaker.reconfigure(trip=2, probes=2)


def holds_and_lets_go(stage: Stage) -> None:
    stage.breaker.force_open()
    stage.breaker.reset()


def listens(stage: Stage) -> None:
    stage.breaker.add_listener(lambda event: None)


def looks(stage: Stage) -> None:
    stage.breaker.snapshot()
    stage.breaker.explain()


VISITORS: Final = [
    trips,
    resets,
    succeeds,
    fails,
    reconfigures,
    holds_and_lets_go,
    listens,
    looks,
]


@pytest.mark.parametrize("work", [answer, down])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("trip", [3, POLICIES["time window"]], ids=["untimed", "timed"])
@pytest.mark.parametrize("visitor", VISITORS)
def test_visitor_before_any_bytecode_of_a_call_tears_nothing(
    visitor, trip, state, work
):
    epochs: list[int] = []

    def hear(event: Any) -> None:
        if isinstance(event, Transition):
            epochs.append(event.epoch)

    def act(stage: Stage) -> None:
        visitor(stage)

    way = WAYS[0]
    for step, stage, result in each_step(way, state, trip, work, act, hear):
        expected = {answer: str, down: OSError}[work]
        assert isinstance(result, (expected, CircuitOpenError)), (step, result)

        check(stage.breaker)
        heard = sorted(epochs)
        assert heard == list(range(heard[0], heard[0] + len(heard))) if heard else True
        assert not heard or heard[-1] == stage.breaker.snapshot().epoch
        epochs.clear()
        stage.breaker.reset()
        stage.heals()
        epochs.clear()


def check(breaker: CircuitBreaker) -> None:
    """Check that phase, record and ticket belong together, and that no place is held."""
    circuit = breaker._circuit
    phase, recorder = circuit.current
    assert (recorder is not None) == (phase.state is State.CLOSED)
    assert circuit.ticket.cell_contents is recorder
    assert breaker.snapshot().probes == 0
    if phase.state is State.OPEN:
        with pytest.raises(CircuitOpenError), breaker:
            pytest.fail("an open circuit let a block in")
