"""Everybody arrives when the wait is over: how many get in?

The breaker is tripped and left alone until its wait has passed. Then 1,000 tasks, or
50 threads, call at once, each for 50 ms. The first wave is how many were inside before
the first of them came back; with one probe allowed it should be 1.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from threading import Barrier, Lock, Thread
from time import sleep
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure
from .rare import TRIPS_AT, NotOpenedError, trip
from .references import Boom
from .subjects import Guards, Library, Setup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TASKS: Final = 1_000
THREADS: Final = 50
WAIT: Final = 0.2
CALL: Final = 0.05


@dataclass
class Dependency:
    """What is behind the breaker. Counts who is inside; safe for threads."""

    lock: Any
    inside: int = 0
    wave: int = 0
    peak: int = 0
    total: int = 0
    returned: bool = False

    def enter(self) -> None:
        """One more is inside."""
        with self.lock:
            self.inside += 1
            self.total += 1
            self.wave += not self.returned
            self.peak = max(self.peak, self.inside)

    def leave(self) -> None:
        """One is back."""
        with self.lock:
            self.inside -= 1
            self.returned = True


def herd(libraries: Sequence[Library]) -> Iterator[Figure]:
    """Yield how many got in, by library, for tasks and for threads."""
    for each in libraries:
        policy = "streak" if "streak" in each.policies else each.policies[0]
        setup = Setup(policy, threshold=TRIPS_AT, wait=WAIT)
        guards = each.guards(setup)
        if guards.rejection is None:
            continue
        for kind, found in (("async", tasks), ("sync", threads)):
            try:
                dependency = found(guards, guards.rejection)
            except NotOpenedError as error:
                sys.stderr.write(f"NOT MEASURED: {each.name}: never opened ({error})\n")
                continue
            if dependency is not None:
                yield from of(each.name, kind, dependency)


def of(name: str, kind: str, dependency: Dependency) -> Iterator[Figure]:
    """Yield the three counts."""
    counts = {
        "first wave": dependency.wave,
        "peak": dependency.peak,
        "total": dependency.total,
    }
    for shape, value in counts.items():
        yield Figure("herd", kind, shape, name, value, "calls")


def tasks(guards: Guards, rejection: type[BaseException]) -> Dependency | None:
    """Send the tasks; None if the library guards no coroutine functions."""
    if guards.aio is None:
        return None
    dependency = Dependency(Lock())

    async def call(broken: int) -> None:
        if broken:
            raise Boom
        dependency.enter()
        try:
            await asyncio.sleep(CALL)
        finally:
            dependency.leave()

    guarded = guards.aio(call)
    with asyncio.Runner() as runner:

        async def ending(broken: int) -> object:
            return (await asyncio.gather(guarded(broken), return_exceptions=True))[0]

        async def all_at_once() -> None:
            crowd = (guarded(0) for _ in range(TASKS))
            await asyncio.gather(*crowd, return_exceptions=True)

        trip("tasks", lambda broken: runner.run(ending(broken)), rejection)
        sleep(WAIT * 1.5)
        runner.run(all_at_once())
    return dependency


def threads(guards: Guards, rejection: type[BaseException]) -> Dependency | None:
    """Send the threads; None if the library guards no plain functions."""
    if guards.sync is None:
        return None
    dependency = Dependency(Lock())

    def call(broken: int) -> None:
        if broken:
            raise Boom
        dependency.enter()
        try:
            sleep(CALL)
        finally:
            dependency.leave()

    guarded = guards.sync(call)
    barrier = Barrier(THREADS)

    def ending(broken: int) -> object:
        try:
            return guarded(broken)
        except Exception as error:  # noqa: BLE001 - the error is the result
            return error

    def one() -> None:
        barrier.wait()
        ending(0)

    trip("threads", ending, rejection)
    sleep(WAIT * 1.5)
    crowd = [Thread(target=one) for _ in range(THREADS)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    return dependency
