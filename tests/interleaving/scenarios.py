"""What two or three threads do to one breaker at once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Final, NamedTuple

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    FalseTripBudget,
    Origin,
    Ramp,
    ShareChanged,
    Shed,
    SlowCallRate,
    State,
    TimeWindow,
    Transition,
    Wait,
    Word,
)
from recloser._runtime.links import take_in
from recloser.testing import FakeClock, force

Mark = Callable[[], None]


class Until:
    """Something to await until the test says how it ends."""

    def __await__(self) -> Generator[None, str, str]:
        result = yield
        return result


class World:
    """One breaker, made anew for each run, and what was heard of it."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.epochs: list[int] = []
        usual = {
            "clock": self.clock,
            "registry": "none",
            "recovery": Wait(10, jitter=0),
            "listeners": [self._hear],
        }
        self.breaker = CircuitBreaker("payments", **{**usual, **options})
        self.permits = [self.breaker.acquire() for _ in range(2)]
        self.guarded = self.breaker(self._work)
        self.guarded(bool)  # its first result is looked at

    def _hear(self, event: Any) -> None:
        if isinstance(event, Transition):
            self.epochs.append(event.epoch)
        if isinstance(event, ShareChanged) and event.epoch not in self.epochs:
            self.epochs.append(event.epoch)  # a ramp begins within half-open

    @staticmethod
    def _work(action: Callable[[], Any]) -> Any:
        return action()

    @staticmethod
    async def _hang() -> str:
        return await Until()

    def hung(self) -> World:
        """Begin a call that does not end until a thread lets it."""
        self.hanging = self.breaker(self._hang)()
        self.hanging.send(None)
        return self

    def half_open(self) -> World:
        """Begin a round of probes."""
        force(self.breaker, State.HALF_OPEN)
        return self

    def failed(self, times: int) -> World:
        """Let calls fail before the threads begin."""
        for _ in range(times):
            with suppress(OSError):
                self.guarded(down)
        return self

    def later(self, seconds: float) -> World:
        """Let time pass before the threads begin."""
        self.clock.advance(seconds)
        return self

    def opened(self) -> World:
        """Open, and let the wait be over."""
        self.breaker.trip()
        return self.later(10)


def down() -> None:
    raise OSError("down")


class Scenario(NamedTuple):
    """What the threads do.

    Attributes:
        name: For the test's name.
        make: Makes the world before the threads begin.
        bodies: What each thread does to the world; it marks where a call is out.
        marks: How often a body marks at most.
    """

    name: str
    make: Callable[[], World]
    bodies: tuple[Callable[[World, Mark], Any], ...]
    marks: int = 1


# -- what a thread can do ----------------------------------------------------------------


def succeeds(world: World, mark: Mark) -> str:
    """Make a guarded call that succeeds."""

    def action() -> str:
        mark()
        return "answer"

    return result_of(lambda: world.guarded(action))


def fails(world: World, mark: Mark) -> str:
    """Make a guarded call that fails."""

    def action() -> None:
        mark()
        down()

    return result_of(lambda: world.guarded(action))


def is_interrupted(world: World, mark: Mark) -> str:
    """Make a guarded call that is interrupted."""

    def action() -> None:
        mark()
        raise KeyboardInterrupt

    return result_of(lambda: world.guarded(action))


def in_a_block(world: World, mark: Mark) -> str:
    """Succeed in a `with` block."""

    def block() -> str:
        with world.breaker:
            mark()
            return "answer"

    return result_of(block)


def fails_in_a_block(world: World, mark: Mark) -> str:
    """Fail in a `with` block."""

    def block() -> None:
        with world.breaker:
            mark()
            down()

    return result_of(block)


def tries(world: World, mark: Mark) -> str:
    """Try to take a permit, and keep it."""
    permit = world.breaker.try_acquire()
    return "refused" if permit is None else "admitted"


def tries_and_gives_back(world: World, mark: Mark) -> str:
    """Try to take a permit, and give it back."""
    permit = world.breaker.try_acquire()
    mark()
    if permit is None:
        return "refused"
    permit.release()
    return "admitted"


def reports_success(world: World, mark: Mark) -> None:
    """Settle a permit that was taken before."""
    world.permits[0].success()


def reports_failure(world: World, mark: Mark) -> None:
    """Settle a permit that was taken before."""
    world.permits[1].failure()


def settles_one_permit(world: World, mark: Mark) -> str:
    """Settle a permit that others settle too; one of them wins."""
    return result_of(world.permits[0].failure)


def comes_back(world: World, mark: Mark) -> str:
    """End the call that hung, well."""
    try:
        world.hanging.send("answer")
    except StopIteration as end:
        return str(end.value)
    raise AssertionError("it waits again")


def breaks(world: World, mark: Mark) -> str:
    """End the call that hung with an error."""
    return result_of(lambda: world.hanging.throw(OSError("down")))


def resets(world: World, mark: Mark) -> None:
    world.breaker.reset()


def forces_open(world: World, mark: Mark) -> None:
    world.breaker.force_open()


def trips(world: World, mark: Mark) -> str:
    return result_of(world.breaker.trip)


def disables(world: World, mark: Mark) -> None:
    world.breaker.disable()


def reconfigures(world: World, mark: Mark) -> None:
    world.breaker.reconfigure(trip=3)


def says_open(world: World, mark: Mark) -> None:
    """Bring a word from elsewhere."""
    word = Word(state=State.OPEN, epoch=1, remaining=5.0)
    take_in(world.breaker._circuit, "link", Origin.HOST, word)


def listens(world: World, mark: Mark) -> None:
    """Begin to listen to every call."""
    world.breaker.add_listener(Listening())


class Listening:
    """A listener that is told of every call."""

    def on_call(self, event: Any) -> None:
        """Do nothing."""


def result_of(action: Callable[[], Any]) -> str:
    """Do something; say how it ended."""
    try:
        return str(action())
    except CircuitOpenError as error:
        return f"rejected by {error.state}"
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is the result
        return type(error).__name__


def windowed() -> World:
    """A rate over calls, one failure short of the limit."""
    rate = FailureRate(0.5, window=CountWindow(4), minimum_calls=4)
    return World(trip=rate).failed(1)


def timed() -> World:
    """A rate over time; the bucket in which calls ended is over."""
    rate = FailureRate(0.5, window=TimeWindow(10), minimum_calls=3)
    return World(trip=rate).failed(1).later(1.5)


def slow() -> World:
    """Slow calls count too, and the permits that are out are slow."""
    rule = SlowCallRate(0.5, slower_than=2, window=CountWindow(4), minimum_calls=2)
    return World(trip=rule).later(3)


def hanging() -> World:
    """A call is out for longer than the limit."""
    rule = ConsecutiveFailures(3, slower_than=2)
    return World(trip=rule).hung().later(3)


def suspecting(missing: int) -> World:
    """A budget that so many more failures in a row would spend."""
    world = World(trip=FalseTripBudget(settle=0)).later(1)
    return world.failed(world.breaker.snapshot().scores[0].needed - missing)


def shedding() -> World:
    """A part is shed, a second is over, and everybody is of the share."""
    world = World(trip=2, recovery=Shed(1, memory=20), chance=lambda: 0.0)
    return world.failed(4).later(1)


def ramping(*steps: float, failures: int = 2) -> World:
    """A ramp has begun, and everybody is of its share."""
    world = World(ramp=Ramp(steps, failures=failures), chance=lambda: 0.0).half_open()
    for _ in range(2):  # the probe, and the good answer of the first round
        world.guarded(bool)
    return world


SCENARIOS: Final = (
    Scenario(
        "a success and a failure at the boundary",
        lambda: World(trip=2).failed(1),
        (succeeds, fails),
    ),
    Scenario("two failures race to trip", lambda: World(trip=2), (fails, fails)),
    Scenario(
        "three failures race to trip", lambda: World(trip=2), (fails, fails, fails)
    ),
    Scenario("a count window at its limit", windowed, (succeeds, fails, fails)),
    Scenario("a bucket is over", timed, (succeeds, fails)),
    Scenario("a bucket is over for two successes", timed, (succeeds, succeeds)),
    Scenario("slow calls", slow, (reports_success, reports_failure)),
    Scenario("one place, two callers", lambda: World().opened(), (tries, tries)),
    Scenario(
        "two places, three callers",
        lambda: World(probes=2, probe_concurrency=2).opened(),
        (tries, tries, tries),
    ),
    Scenario(
        "a place that is given back",
        lambda: World().opened(),
        (tries_and_gives_back, tries_and_gives_back),
    ),
    Scenario("two probes", lambda: World().opened(), (succeeds, fails)),
    Scenario(
        "two probes of one round",
        lambda: World(probes=2, probe_concurrency=2).half_open(),
        (succeeds, fails),
    ),
    Scenario(
        "an interrupted probe", lambda: World().half_open(), (is_interrupted, succeeds)
    ),
    Scenario("reset and a failure", lambda: World(trip=1), (fails, resets)),
    Scenario("reset and a probe", lambda: World().half_open(), (fails, resets)),
    Scenario("force open and a failure", lambda: World(trip=1), (fails, forces_open)),
    Scenario(
        "force open and a success", lambda: World(trip=1), (succeeds, forces_open)
    ),
    Scenario("trip and a failure", lambda: World(trip=1), (fails, trips)),
    Scenario("disable and a failure", lambda: World(trip=1), (fails, disables)),
    Scenario(
        "reconfigure and a failure",
        lambda: World(trip=2).failed(1),
        (fails, reconfigures),
    ),
    Scenario(
        "late results and a reset",
        lambda: World(trip=1),
        (reports_success, reports_failure, resets),
    ),
    Scenario(
        "one permit, two settlers",
        lambda: World(trip=1),
        (settles_one_permit, settles_one_permit),
    ),
    Scenario("a word and a failure", lambda: World(trip=1), (fails, says_open)),
    Scenario("a word and a probe", lambda: World().half_open(), (succeeds, says_open)),
    Scenario(
        "blocks and a trip", lambda: World(trip=1), (in_a_block, fails_in_a_block)
    ),
    Scenario("a block and a reset", lambda: World(trip=1), (fails_in_a_block, resets)),
    Scenario("a listener and a success", lambda: World(trip=1), (succeeds, listens)),
    Scenario(
        "an answer and an abort", lambda: ramping(1.0, failures=1), (succeeds, fails)
    ),
    Scenario("two failures race to abort", lambda: ramping(0.5, 1), (fails, fails)),
    Scenario(
        "a round is over for two callers",
        lambda: ramping(0.5, 1).later(1),
        (succeeds, fails),
    ),
    Scenario(
        "a ramp is over for two callers",
        lambda: ramping(1.0).later(1),
        (succeeds, fails),
    ),
    Scenario("a ramp and a reset", lambda: ramping(1.0, failures=1), (fails, resets)),
    Scenario("a hung call is found out", hanging, (succeeds, comes_back)),
    Scenario("a hung call and a failure", hanging, (fails, comes_back)),
    Scenario("a hung call that breaks", hanging, (fails, breaks)),
    Scenario("a hung call and a reset", hanging, (comes_back, resets)),
    Scenario("a budget that is nearly spent", lambda: suspecting(1), (succeeds, fails)),
    Scenario(
        "two failures race to spend a budget",
        lambda: suspecting(2),
        (fails, fails),
    ),
    Scenario("a budget and a reset", lambda: suspecting(1), (fails, resets)),
    Scenario("a share is set anew by two", shedding, (succeeds, fails)),
    Scenario("shedding and a reset", shedding, (succeeds, resets)),
)
