"""The process that real signals interrupt: `python interrupted.py ROUNDS SEED SECONDS`.

In each round a timer of the machine sends a signal after some microseconds, whose handler
raises `KeyboardInterrupt` wherever the main thread is; calls of every kind are made until
it comes. After each round the breaker must come to itself: one lease and one wait later,
two probes close it. The clock moves a little at each reading and never waits.

Ends after so many rounds or seconds. Prints the figures, and exits with 1 if it ever found the breaker stuck or torn.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    FailureRate,
    State,
    TimeWindow,
    Wait,
)
from recloser.testing import force

LEASE = 20.0
WAIT = 1e-4
EXPECTED = (ValueError, CircuitOpenError)


class Clock:
    """A clock that moves on by a microsecond whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now


class Caller:
    """Makes calls of every kind, of which some fail."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.clock = Clock()
        rate = FailureRate(0.5, window=TimeWindow(1), minimum_calls=3)
        self.breaker = CircuitBreaker(
            "payments",
            trip=rate | ConsecutiveFailures(3),
            recovery=Wait(WAIT, jitter=0),
            probes=2,
            probe_lease=LEASE,
            clock=self.clock,
            registry="none",
            listeners=[lambda event: None],
        )
        self.guarded = self.breaker(self.work)
        self.stream = self.breaker(self.items)

    def work(self) -> str:
        if self.random.random() < 0.3:
            raise ValueError("down")
        return "answer"

    async def async_work(self) -> str:
        return self.work()

    def items(self) -> Iterator[str]:
        for _ in range(3):
            yield self.work()

    def block(self) -> None:
        with self.breaker:
            self.work()

    def permit(self) -> None:
        with self.breaker.acquire():
            self.work()

    def waiting(self) -> None:
        with self.breaker.acquire(timeout=1e-5):
            self.work()

    def items_taken(self) -> None:
        for _ in self.stream():
            pass

    async def async_block(self) -> None:
        async with self.breaker:
            await self.async_work()

    def run(self) -> None:
        """Run the two kinds of coroutines; a loop would be broken by the interrupts."""
        for coroutine in (self.async_block(), self.breaker.acall(self.async_work)):
            with suppress(*EXPECTED, StopIteration):
                coroutine.send(None)

    def once(self) -> None:
        """Call in every way."""
        for way in (
            self.guarded,
            self.block,
            self.permit,
            self.waiting,
            self.items_taken,
            self.run,
        ):
            with suppress(*EXPECTED):
                way()
        self.breaker.snapshot()

    def comes_to_itself(self) -> str | None:
        """Tell what is wrong with the breaker after an interrupt, if anything is."""
        self.clock.now += LEASE + 1
        for _ in range(3):
            if self.breaker.state is State.CLOSED:
                break
            try:
                self.breaker.call(lambda: "answer")
            except CircuitOpenError as error:
                self.clock.now += (error.retry_after or 0) + 1e-6
        if self.breaker.state is not State.CLOSED:
            return f"stuck: {self.breaker.explain()}"
        if self.breaker._circuit._queue:
            return "somebody who is gone still waits"
        force(self.breaker, State.HALF_OPEN)
        first, second = self.breaker.try_acquire(), self.breaker.try_acquire()
        self.breaker.reset()
        if first is None or second is not None:
            return "half-open does not admit exactly one"
        return None


@contextmanager
def interrupt_in(seconds: float) -> Iterator[None]:
    """Have the signal come during the block, and none after it."""
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)
    try:
        yield
    finally:
        armed = True
        while armed:  # a busy machine is late, and the next one comes in here
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0)
                armed = False


def main(rounds: int, seed: int, seconds: float) -> int:
    """Interrupt so many times."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    random = Random(seed)
    caller = Caller(random)
    giving_up = time.monotonic() + seconds
    interrupts = done = 0
    wrong: list[str] = []
    while done < rounds and time.monotonic() < giving_up:
        done += 1
        try:
            with interrupt_in(random.uniform(1e-6, 4e-4)):
                while True:
                    caller.once()
        except KeyboardInterrupt:
            interrupts += 1
        except Exception as error:  # noqa: BLE001 - nothing else may come out
            wrong.append(repr(error))
        trouble = caller.comes_to_itself()
        if trouble:
            wrong.append(trouble)
            caller = Caller(random)
    totals = caller.breaker.snapshot().totals
    figures = {
        "rounds": done,
        "interrupts": interrupts,
        "calls": totals.calls,
        "wrong": wrong[:5],
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
