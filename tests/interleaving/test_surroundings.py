"""Listeners, registries, queues and settings in the middle of each other.

Two threads, one preemption before every bytecode of the runtime that the first one runs.
Every lock that they share is replaced by the scheduler's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import pytest

from recloser import CircuitBreaker, ConsecutiveFailures, Registry, Snapshot
from recloser._runtime import publishing
from recloser._runtime.flights import Cohort

from .bytecodes import files_of, watching
from .exploration import TO_THE_END
from .scheduler import Machine, Turn

MODULES = (
    "attending",
    "breaker",
    "circuit",
    "guards",
    "managers",
    "publishing",
    "registry",
)
MODULES = (*MODULES, "taps", "waiting", "wrappers")


class Guest:
    """A listener that counts breakers, calls and farewells."""

    def __init__(self) -> None:
        self.breakers = self.calls = self.farewells = 0

    def on_attached(self, breaker: CircuitBreaker) -> Callable[[Snapshot], None]:
        self.breakers += 1
        return self.leave

    def leave(self, last: Snapshot) -> None:
        self.farewells += 1

    def on_call(self, event: Any) -> None:
        self.calls += 1

    def __repr__(self) -> str:
        return f"Guest{vars(self)}"


class World:
    """A breaker, a registry that it is not in, and two listeners, made for each run."""

    def __init__(self) -> None:
        self.first, self.second = Guest(), Guest()
        self.registry = Registry()
        self.breaker = CircuitBreaker("payments", registry="none")
        self.made: list[Any] = []

    def share(self, lock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every lock be the scheduler's."""
        self.breaker._circuit._lock = self.registry._lock = lock
        monkeypatch.setattr(publishing._swaps, "lock", lock)

    @property
    def heard(self) -> tuple[Any, ...]:
        return self.breaker._circuit.publisher.listeners


class Race(NamedTuple):
    """What two threads do, what was before, and what must be so afterwards."""

    before: Callable[[World], Any]
    bodies: tuple[Callable[[World], Any], Callable[[World], Any]]
    holds: Callable[[World], bool]


def success_is_heard(world: World) -> bool:
    world.breaker.call(bool)
    return world.second.calls == 1


def farewells_are_of_listeners(world: World) -> bool:
    waiting = len(world.breaker._circuit.publisher.farewells)
    return waiting == len(world.heard) == world.first.breakers - world.first.farewells


def is_of_its_ticket(world: World) -> bool:
    """Tell whether a wrapper that counts no entries is given no calls in flight."""
    code, cells = world.made[0].__code__, world.made[0].__closure__
    ticket = cells[code.co_freevars.index("_recloser_ticket")].cell_contents
    return "entries" in code.co_names or not isinstance(ticket, Cohort)


def is_nobody_out(world: World) -> bool:
    flights = world.breaker._circuit.current[1].flights
    return all(cohort.at_most() == 0 for cohort in flights._cohorts)


def enters(world: World) -> None:
    with world.breaker:
        pass


def begins_to_time(world: World) -> None:
    world.breaker.reconfigure(trip=ConsecutiveFailures(5, slower_than=1))


def with_no_marks(body: Callable[[World], Any], world: World, mark: Any) -> Any:
    return body(world)


RACES = {
    "one listener to calls comes as another goes": Race(
        lambda world: world.breaker.add_listener(world.first),
        (
            lambda world: world.breaker.remove_listener(world.first),
            lambda world: world.breaker.add_listener(world.second),
        ),
        success_is_heard,
    ),
    "two threads add one listener": Race(
        lambda world: None,
        (lambda world: world.breaker.add_listener(world.first),) * 2,
        lambda world: world.first.breakers == 1,
    ),
    "a listener comes and goes": Race(
        lambda world: None,
        (
            lambda world: world.breaker.add_listener(world.first),
            lambda world: world.breaker.remove_listener(world.first),
        ),
        farewells_are_of_listeners,
    ),
    "a breaker and a listener come to a registry": Race(
        lambda world: None,
        (
            lambda world: world.registry.add(world.breaker),
            lambda world: world.registry.add_listener(world.first),
        ),
        lambda world: world.heard == (world.first,),
    ),
    "a breaker comes to a registry as a listener goes": Race(
        lambda world: world.registry.add_listener(world.first),
        (
            lambda world: world.registry.add(world.breaker),
            lambda world: world.registry.remove_listener(world.first),
        ),
        lambda world: world.heard == (),
    ),
    "two threads begin to wait": Race(
        lambda world: None,
        (lambda world: world.made.append(world.breaker._circuit.queue),) * 2,
        lambda world: world.made[0] is world.made[1],
    ),
    "a function is guarded as calls begin to be timed": Race(
        lambda world: None,
        (
            lambda world: world.made.append(world.breaker(lambda: None)),
            begins_to_time,
        ),
        is_of_its_ticket,
    ),
    "a block is entered as calls begin to be timed": Race(
        lambda world: None, (enters, begins_to_time), is_nobody_out
    ),
}


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("race", RACES.values(), ids=RACES.keys())
def test_every_order_ends_as_if_one_thread_had_waited(race, first, monkeypatch):
    for step in count():
        world = World()
        race.before(world)
        bodies = [partial(with_no_marks, body, world) for body in race.bodies]
        schedule = (Turn(first, step), Turn(1 - first, TO_THE_END))
        machine = Machine(bodies, schedule, fine=True, files=files_of(MODULES))
        world.share(machine.lock, monkeypatch)

        with watching(modules=MODULES):
            results = machine.run()

        assert not [each for each in results if isinstance(each, BaseException)]
        assert race.holds(world), f"with a preemption after {step} steps: {vars(world)}"
        if step > machine.steps[first]:
            break
    assert machine.steps[first] > 0
