"""Threads that run one at a time, in an order that a schedule says, to the bytecode.

A *step* is one bytecode of the modules under test,
or, in a coarse run, one call of `mark()` by the test. When a thread has made as many
steps as its turn has, the next turn's thread goes on. The order is therefore data: a run
is repeated by repeating its schedule.

The circuit's lock is replaced by one that the scheduler knows, so that a thread which
has to wait for it makes room instead of hanging.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from .bytecodes import FILES, stepping

PATIENCE: Final = 30.0
"""Seconds until a run that hangs is given up."""


class Turn(NamedTuple):
    """One thread goes on for so many steps."""

    thread: int
    steps: int


Schedule = tuple[Turn, ...]
Body = Callable[[Callable[[], None]], Any]


class StuckError(BaseException):  # no body may catch it
    """No thread can go on."""


class Machine:
    """One run of some threads under one schedule.

    Args:
        bodies: What the threads do; each is given `mark`.
        schedule: The turns; after the last, threads run to their ends in order.
        fine: Whether bytecodes are steps; otherwise marks are.
        files: Whose bytecodes.
    """

    def __init__(
        self,
        bodies: Sequence[Body],
        schedule: Schedule,
        *,
        fine: bool,
        files: tuple[str, ...] = FILES,
    ) -> None:
        self._bodies = bodies
        self._turns = list(schedule)
        self._fine = fine
        self._files = files
        self._batons = [threading.Lock() for _ in bodies]
        self._over = threading.Event()
        self._ended: set[int] = set()
        self._waiting: set[int] = set()
        self._left = sys.maxsize
        self._error: BaseException | None = None
        self.lock = Lock(self)
        self.steps = [0] * len(bodies)
        self.results: list[Any] = [None] * len(bodies)
        self.running = -1

    def run(self) -> list[Any]:
        """Run all threads; return what their bodies returned or raised."""
        for baton in self._batons:
            baton.acquire()
        threads = [
            threading.Thread(target=self._main, args=(number,), daemon=True)
            for number in range(len(self._bodies))
        ]
        for thread in threads:
            thread.start()
        self._pass_on(-1)
        if not self._over.wait(PATIENCE):
            msg = "a thread waits for something outside of the scheduler"
            raise StuckError(msg)
        for thread in threads:
            thread.join(PATIENCE)
        if self._error is not None:
            raise self._error
        return self.results

    def mark(self) -> None:
        """Make one step of a coarse run."""
        if not self._fine:
            self._step()

    # -- inside the threads ----------------------------------------------------------

    def _main(self, number: int) -> None:
        self._batons[number].acquire()
        try:
            with stepping(self._step, self._files) if self._fine else nullcontext():
                self.results[number] = self._bodies[number](self.mark)
        except StuckError as error:
            self._error = error
            self._over.set()
        except BaseException as error:  # noqa: BLE001 - it is what the body came to
            self.results[number] = error
        self._ended.add(number)
        if self._error is None:
            self._pass_on(number)

    def _step(self) -> None:
        self.steps[self.running] += 1
        self._left -= 1
        if self._left < 0:
            self._pass_on(self.running)

    def make_room(self, number: int) -> None:
        """Let others run until the lock is free again."""
        self._waiting.add(number)
        self._pass_on(number)

    def lock_is_free(self) -> None:
        """Let those go on who waited for it."""
        self._waiting.clear()

    def _pass_on(self, number: int) -> None:
        following = self._following()
        if following is None:
            if len(self._ended) == len(self._bodies):
                self._over.set()
                return
            msg = "every thread waits for the lock"
            raise StuckError(msg)
        if following == number:
            return
        self.running = following
        self._batons[following].release()
        if number >= 0 and number not in self._ended:
            self._batons[number].acquire()

    def _following(self) -> int | None:
        able = set(range(len(self._bodies))) - self._ended - self._waiting
        while self._turns:
            thread, steps = self._turns.pop(0)
            if thread in able:
                self._left = steps
                return thread
        self._left = sys.maxsize
        return min(able, default=None)


class Lock:
    """A re-entrant lock for threads of one machine; anybody else gets it at once."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._owner: int | None = None
        self._depth = 0
        self._threads: dict[int, int] = {}

    def __enter__(self) -> Self:
        me = threading.get_ident()
        while self._owner not in {None, me}:
            self._machine.make_room(self._machine.running)
        self._owner = me
        self._depth += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._machine.lock_is_free()

    @property
    def is_free(self) -> bool:
        """Whether nobody holds it."""
        return self._owner is None


def orders(threads: int, marks: int) -> Iterable[Schedule]:
    """Return every order of so many threads of which each makes so many marks."""
    start = (marks + 1,) * threads
    waiting: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), start)]
    while waiting:
        order, left = waiting.pop()
        if not any(left):
            yield tuple(Turn(thread, 0) for thread in order)
        for thread, number in enumerate(left):
            if number:
                rest = (*left[:thread], number - 1, *left[thread + 1 :])
                waiting.append(((*order, thread), rest))
