"""Every order of a scenario with one preemption, and seeded ones with more.

`python -m tests.interleaving.exploration [seeds]` prints how much there is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from random import Random
from typing import Final, NamedTuple

from recloser._core.phases import Closed, Disabled, HalfOpen, Observing
from recloser._runtime.counters import steps_of

from .bytecodes import watching
from .scenarios import SCENARIOS, Scenario, World
from .scheduler import Machine, Schedule, Turn, orders

TO_THE_END: Final = 1_000_000


class Explored(NamedTuple):
    """How much there was."""

    serial: int
    """Orders of whole operations."""
    results: int
    """Different results that they have."""
    runs: int
    """Orders of bytecodes."""
    steps: int


def run(scenario: Scenario, schedule: Schedule, *, fine: bool) -> tuple[Seen, Machine]:
    """Run a scenario once; return what can be seen afterwards."""
    world = scenario.make()
    bodies = [lambda mark, body=body: body(world, mark) for body in scenario.bodies]
    machine = Machine(bodies, schedule, fine=fine)
    world.breaker._circuit._lock = machine.lock
    with watching(world.guarded.__code__) if fine else nullcontext():
        machine.run()
    assert machine.lock.is_free, "the lock is held by nobody who lives"
    check(world)
    return seen(world, machine), machine


class Seen(NamedTuple):
    """What a user can see after a run."""

    threads: tuple[str, ...]
    """What each thread got."""
    facts: str
    """State, evidence and totals, but for the next."""
    successes: int
    """A success that ends while a failure opens the circuit is in the totals or in
    nothing: its period was over, and whoever adds the period up may see it or not."""


def seen(world: World, machine: Machine) -> Seen:
    """Return what a user can see: what each thread got, and the breaker's figures."""
    now = world.breaker.snapshot()
    totals = now.totals.replace(calls=0, successes=0)
    facts = (now.state, now.epoch, now.streak, now.counts, now.probes, totals)
    assert now.totals.calls == now.totals.successes + now.totals.failures
    return Seen(tuple(map(str, machine.results)), repr(facts), now.totals.successes)


def is_serial(result: Seen, allowed: set[Seen]) -> bool:
    """Tell whether an order of whole operations leads there."""
    alike = [other for other in allowed if other[:2] == result[:2]]
    late = sum(each in {"answer", "None"} for each in result.threads)
    least = min((other.successes for other in alike), default=0)
    return bool(alike) and least <= result.successes <= least + late


def check(world: World) -> None:
    """Check what must be so after any run."""
    circuit = world.breaker._circuit
    phase, recorder = circuit.current
    epochs = sorted(world.epochs)
    assert epochs == list(range(epochs[0], epochs[0] + len(epochs))) if epochs else True
    assert not epochs or phase.epoch == epochs[-1], "a transition that nobody was told"
    if isinstance(phase, HalfOpen):
        places = len(phase.places)
        assert places <= circuit.policy.probe_concurrency, "too many probes"
        assert places + phase.successes <= circuit.policy.probes, "too many probes"
    open_phase = isinstance(phase, Closed | Disabled | Observing)
    assert (recorder is not None) == open_phase, "a recorder in the wrong phase"
    ticket = recorder and recorder.ticket
    assert circuit.ticket.cell_contents is ticket, "the ticket is of another period"
    assert recorder is None or steps_of(recorder.counter) >= 0


def explore(scenario: Scenario, seeds: int, stride: int = 1) -> Explored:
    """Run every order; each must have the result of some order of whole operations.

    Raises:
        AssertionError: One has not; the text has the schedule that repeats it.
    """
    coarse = list(orders(len(scenario.bodies), scenario.marks))
    allowed = {run(scenario, schedule, fine=False)[0] for schedule in coarse}
    runs = steps = 0
    for schedule in schedules(scenario, seeds, stride):
        try:
            result, machine = run(scenario, schedule, fine=True)
        except Exception as broken:
            msg = f"{broken!r}\nin {scenario.name!r} with {schedule}"
            raise AssertionError(msg) from broken
        runs, steps = runs + 1, steps + sum(machine.steps)
        if not is_serial(result, allowed):
            choices = "\n".join(map(str, allowed))
            msg = f"{scenario.name!r} with {schedule}: {result} is none of\n{choices}"
            raise AssertionError(msg)
    return Explored(len(coarse), len(allowed), runs, steps)


def schedules(scenario: Scenario, seeds: int, stride: int) -> Iterator[Schedule]:
    """Yield each `stride`-th order with one preemption, then `seeds` with up to six."""
    threads = range(len(scenario.bodies))
    _, machine = run(scenario, (), fine=True)
    longest = max(machine.steps) + 1
    for first in threads:
        for other in threads:
            if other != first:
                for step in range(0, machine.steps[first] + 1, stride):
                    yield Turn(first, step), Turn(other, TO_THE_END)
    for seed in range(seeds):
        yield seeded(scenario, seed, longest)


def seeded(scenario: Scenario, seed: int, longest: int) -> Schedule:
    """Return the order that belongs to a seed."""
    random = Random(f"{scenario.name} {seed}")
    return tuple(
        Turn(random.randrange(len(scenario.bodies)), random.randrange(longest))
        for _ in range(random.randint(2, 6))
    )


def main(seeds: int) -> None:
    """Explore every scenario and print the figures."""
    total = Explored(0, 0, 0, 0)
    began = time.perf_counter()
    for scenario in SCENARIOS:
        found = explore(scenario, seeds)
        total = Explored(*map(sum, zip(total, found, strict=True)))
        print(  # noqa: T201 - what the command is for
            f"{scenario.name:42}{found.runs:6} orders, {found.steps:8} steps, "
            f"{found.results:3} results of {found.serial} serial orders"
        )
    seconds = time.perf_counter() - began
    print(  # noqa: T201
        f"{'all':42}{total.runs:6} orders, {total.steps:8} steps: "
        f"every one is serial; {seconds:.1f} s"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
