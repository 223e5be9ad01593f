"""Traps around calls: interruptions, late results, probes, clocks, chains.

A story that is over without a complaint was passed. It raises `CaughtError` with a few words
about what happened, or `NotOffered` if the library has nothing to tell it to.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..subjects import Setup
from . import clocks
from .flavours import FLAVOURS, CaughtError, HangingTask, NotOffered

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..subjects import Library
    from .flavours import Calls

WAIT: Final = 100.0
HOUR: Final = 3600.0


@dataclass(frozen=True)
class Trap:
    """One entry of the lists.

    Attributes:
        name: Short, for the table.
        text: What happens to whoever is caught.
        tell: The story; takes a library and, if `flavours`, one of them.
        flavours: Which kinds of calls it is told with.
    """

    name: str
    text: str
    tell: Callable[..., None]
    flavours: tuple[str, ...] = ()


TRAPS: Final[list[Trap]] = []
"""In the order of their definition; `verdicts` adds those of `shapes`."""


def trap(name: str, *flavours: str) -> Callable[[Any], Any]:
    """Enter the decorated story in the list; its docstring says the pitfall."""

    def enter(tell: Any) -> Any:
        TRAPS.append(Trap(name, tell.__doc__ or "", tell, flavours))
        return tell

    return enter


BOTH: Final = ("sync", "async")
WITHOUT_WINDOW: Final = {"lasier"}  # what it forgets is up to the cache it is given


def calls(
    library: Library,
    flavour: str,
    *,
    policy: str = "streak",
    threshold: int = 3,
    wait: float = WAIT,
) -> Calls:
    """Return calls of one kind through a new breaker that trips after `threshold`."""
    setup = library.plainest(Setup(policy, 100, threshold, wait))
    return FLAVOURS[flavour](library.guards(setup))


def tripped(library: Library, flavour: str, **options: Any) -> Calls:
    """Return calls through a breaker that has just opened."""
    through = calls(library, flavour, **options)
    through.fail(3)
    expect(not through.succeeds(), "did not open")
    return through


def must_reopen(library: Library, flavour: str) -> None:
    """Leave out who cannot be told to be half-open: there, one failure opens again."""
    through = tripped(library, flavour)
    clocks.advance(WAIT + 1)
    if not through.fails() or through.succeeds():
        raise NotOffered


def opened(library: Library, flavour: str) -> Calls:
    """Return calls through a breaker that is about to be half-open."""
    must_reopen(library, flavour)
    through = tripped(library, flavour)
    clocks.advance(WAIT + 1)
    return through


def expect(condition: object, otherwise: str) -> None:
    """Complain unless something is so."""
    if not condition:
        raise CaughtError(otherwise)


def expect_half_open(through: Calls) -> None:
    """Complain unless one failed probe opens the circuit again."""
    expect(through.fails(), "rejects the next probe")
    expect(not through.succeeds(), "closes the circuit")


# -- late results --------------------------------------------------------------------


@trap("P1 late success, half-open", *BOTH)
def late_success_half_open(library: Library, flavour: str) -> None:
    """A call admitted before the trip succeeds while a probe is out: the circuit closes."""
    must_reopen(library, flavour)
    through = calls(library, flavour)
    late = through.begin()
    through.fail(3)
    clocks.advance(WAIT + 1)
    probe = through.begin()
    late.finish()
    open_again = not through.fails() or not through.succeeds()
    probe.finish()
    expect(open_again, "closes the circuit")


@trap("late success, open", *BOTH)
def late_success_open(library: Library, flavour: str) -> None:
    """A call admitted before the trip succeeds after it: the circuit closes."""
    through = calls(library, flavour)
    late = through.begin()
    through.fail(3)
    late.finish()
    expect(not through.succeeds(), "closes the circuit")


@trap("P2 late failure, half-open", *BOTH)
def late_failure_half_open(library: Library, flavour: str) -> None:
    """A call admitted before the trip fails while a probe is out: it opens over a good probe."""
    must_reopen(library, flavour)
    through = calls(library, flavour)
    late = through.begin()
    through.fail(3)
    clocks.advance(WAIT + 1)
    probe = through.begin()
    late.finish(OSError("old news"))
    probe.finish()
    expect(through.succeeds(), "opens over a good probe")


@trap("late failure, open", *BOTH)
def late_failure_open(library: Library, flavour: str) -> None:
    """A straggler's failure lengthens the outage by another whole wait."""
    through = calls(library, flavour)
    late = through.begin()
    through.fail(3)
    clocks.advance(WAIT - 1)
    late.finish(OSError("old news"))
    clocks.advance(2)
    expect(through.succeeds(), "restarts the wait")


# -- probes --------------------------------------------------------------------------


@trap("half-open lets all through", *BOTH)
def half_open_is_limited(library: Library, flavour: str) -> None:
    """The wait is over, a probe is out, and fifty others are let through as well."""
    through = tripped(library, flavour)
    clocks.advance(WAIT + 1)
    probe = through.begin()
    admitted = 0
    others = []
    for _ in range(50):
        try:
            others.append(through.begin())
        except CaughtError as how:
            if "blocks" in str(how):
                raise
        else:
            admitted += 1
    for each in (probe, *others):
        each.finish()
    expect(not admitted, f"admits {admitted} of 50")


@trap("P3 hung probe", *BOTH)
def hung_probe(library: Library, flavour: str) -> None:
    """A probe that never returns shuts the circuit for ever."""
    through = tripped(library, flavour)
    clocks.advance(WAIT + 1)
    probe = through.begin()
    clocks.advance(24 * HOUR)
    admitted = through.succeeds()
    probe.finish()
    expect(admitted, "shut for ever")


@trap("P5 cancelled probe", "async")
def cancelled_probe(library: Library, flavour: str) -> None:
    """A probe that is cancelled closes the circuit, opens it, or loses its place."""
    through = opened(library, flavour)
    probe = through.begin()
    assert isinstance(probe, HangingTask)
    probe.cancel()
    expect_half_open(through)


@trap("probe interrupted by Ctrl-C", *BOTH)
def interrupted_probe(library: Library, flavour: str) -> None:
    """A probe that is interrupted closes the circuit, opens it, or loses its place."""
    through = opened(library, flavour)
    through.interrupt(KeyboardInterrupt)
    expect_half_open(through)


# -- interruptions -------------------------------------------------------------------


def tell_interruption(library: Library, flavour: str, error: Any) -> None:
    """Tell by the moment of opening how an exception counts."""
    through = calls(library, flavour, threshold=5)
    through.fail(2)
    for _ in range(3):
        through.interrupt(error)
    expect(through.fails() and through.fails(), "counts as failures")
    through.fails()
    expect(not through.succeeds(), "counts as success")


@trap("KeyboardInterrupt", *BOTH)
def keyboard_interrupt(library: Library, flavour: str) -> None:
    """Ctrl-C counts as an outage, or as a success."""
    tell_interruption(library, flavour, KeyboardInterrupt)


@trap("SystemExit", *BOTH)
def system_exit(library: Library, flavour: str) -> None:
    """Leaving the program counts as an outage, or as a success."""
    tell_interruption(library, flavour, SystemExit)


@trap("GeneratorExit", *BOTH)
def generator_exit(library: Library, flavour: str) -> None:
    """Closing a generator counts as an outage, or as a success."""
    tell_interruption(library, flavour, GeneratorExit)


@trap("cancellation", "async")
def cancellation(library: Library, flavour: str) -> None:
    """A cancelled call counts as an outage, or as a success."""
    tell_interruption(library, flavour, asyncio.CancelledError)


# -- rejections ----------------------------------------------------------------------


def nested(outer: Calls, inner: Calls) -> bool:
    """Call through two breakers; tell whether the call came through."""

    def through() -> Any:
        return inner.do(lambda: "answer")

    def in_task() -> Any:
        return asyncio.ensure_future(inner._guarded(lambda: "answer"))  # noqa: SLF001 - both are ours

    try:
        loop = getattr(outer, "loop", None)
        return outer.do(in_task if loop else through) == "answer"
    except outer.rejection:
        return False


@trap("P7 own rejections", *BOTH)
def own_rejections(library: Library, flavour: str) -> None:
    """Rejections by an inner breaker open the outer one, whose dependency is healthy."""
    inner, outer = tripped(library, flavour), calls(library, flavour)
    for _ in range(20):
        nested(outer, inner)
    expect(outer.succeeds(), "opens on rejections")


@trap("P9 rejections blunt", *BOTH)
def rejections_do_not_blunt(library: Library, flavour: str) -> None:
    """After a thousand rejections more failures are needed to trip than before."""
    through = tripped(library, flavour)
    for _ in range(1000):
        through.succeeds()
    clocks.advance(WAIT + 1)
    expect(through.succeeds(), "does not recover")
    through.fails()
    through.fails()
    through.fails()
    expect(not through.succeeds(), "needs more failures")


@trap("P22 refused probe", *BOTH)
def refused_probe(library: Library, flavour: str) -> None:
    """In a chain, the probe of one breaker is refused by the next, and is lost."""
    inner = tripped(library, flavour, wait=3 * WAIT)
    outer = tripped(library, flavour)
    clocks.advance(WAIT + 1)
    nested(outer, inner)
    admitted = outer.succeeds()
    expect(admitted, "the outer one shuts again")


# -- windows -------------------------------------------------------------------------


def with_policy(library: Library, flavour: str, policy: str, threshold: int) -> Calls:
    """Return calls through a breaker with exactly this policy."""
    timed = policy == "time" and library.name in WITHOUT_WINDOW
    if timed or policy not in library.policies:
        raise NotOffered
    return calls(library, flavour, policy=policy, threshold=threshold)


@trap("P10 idle window", *BOTH)
def idle_window(library: Library, flavour: str) -> None:
    """A time window does not forget while nothing happens."""
    through = with_policy(library, flavour, "time", 5)
    through.fail(4)
    clocks.advance(HOUR)
    through.fail(1)
    expect(through.succeeds(), "remembers an hour")


@trap("P11 sparse failures", *BOTH)
def sparse_failures(library: Library, flavour: str) -> None:
    """Unbroken failures an hour apart never trip a count of failures in a row."""
    through = with_policy(library, flavour, "streak", 5)
    for _ in range(5):
        through.fail(1)
        clocks.advance(HOUR)
        clocks.advance(-HOUR + 1)  # a wait must not be over by the last look
    expect(not through.succeeds(), "never trips")


@trap("P13, P26 calls longer than the window", "async")
def slow_failures(library: Library, flavour: str) -> None:
    """Calls that time out after more than the window are forgotten: it never trips."""
    through = with_policy(library, flavour, "time", 3)
    begun = [through.begin() for _ in range(3)]
    clocks.advance(300)
    for each in begun:
        each.finish(TimeoutError())
    expect(not through.succeeds(), "never trips")


# -- clock and errors ----------------------------------------------------------------


@trap("P14 wall clock steps forward", *BOTH)
def wall_forward(library: Library, flavour: str) -> None:
    """A step of the wall clock opens the door early."""
    through = tripped(library, flavour, wait=HOUR)
    clocks.step_wall(2 * HOUR)
    try:
        expect(not through.succeeds(), "admits early")
    finally:
        clocks.step_wall(-2 * HOUR)


@trap("P14 wall clock steps back", *BOTH)
def wall_back(library: Library, flavour: str) -> None:
    """A step back of the wall clock keeps the circuit shut after its wait."""
    through = tripped(library, flavour)
    clocks.advance(WAIT + 1)
    clocks.step_wall(-2 * HOUR)
    try:
        expect(through.succeeds(), "stays shut")
    finally:
        clocks.step_wall(2 * HOUR)


@trap("P20 reused error", *BOTH)
def reused_error(library: Library, flavour: str) -> None:
    """One error object for every rejection gathers traceback entries without end."""
    through = tripped(library, flavour)
    lengths = []
    for _ in range(200):
        try:
            through.do(lambda: "answer")
        except through.rejection as error:
            lengths.append(_entries(error))
    expect(lengths[-1] == lengths[0], f"{lengths[-1]} entries after 200")


def _entries(error: BaseException) -> int:
    number, trace = 0, error.__traceback__
    while trace is not None:
        number, trace = number + 1, trace.tb_next
    return number


@trap("the call that trips", *BOTH)
def error_of_the_call_that_trips(library: Library, flavour: str) -> None:
    """The call that trips gets the breaker's error instead of its own."""
    through = calls(library, flavour)
    through.fail(2)
    try:
        through.do(_down_again)
    except OSError:
        return
    except through.rejection as error:
        raise CaughtError(type(error).__name__) from None


def _down_again() -> None:
    msg = "down"
    raise OSError(msg)
