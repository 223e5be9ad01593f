"""What goes wrong with the server, as functions of the seconds since it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

WORKERS = 100
SERVICE = 0.1
CAPACITY = WORKERS / SERVICE
AFTER = 200.0
"""Seconds watched after the fault."""


class Condition(NamedTuple):
    """How the server is at one moment."""

    mode: str = "up"
    """`up`, `down` (connections are refused) or `hang` (nothing is answered)."""
    factor: float = 1.0
    """How many times longer than usual a call takes."""
    workers: int = WORKERS

    @property
    def capacity(self) -> float:
        """Calls per second that can be answered."""
        return 0.0 if self.mode != "up" else self.workers / (SERVICE * self.factor)


UP, DOWN, HANG = Condition(), Condition("down"), Condition("hang")


class Scenario(NamedTuple):
    """One fault. Lengths are multiplied by `scale`, which differs by seed.

    Attributes:
        name: As in the tables.
        end: Seconds from the beginning of the fault to its end.
        healthy: Seconds from the beginning until the server is well, for the lag.
        at: The condition, `t` seconds after the beginning.
        timeout: Seconds after which a client gives up.
        spike: Offered load as a multiple of the capacity while the fault lasts.
        lose: Share of the calls that are never answered in the 60 s after `healthy`.
        returning: Share of the users who failed that come back, about 10 s later; who
            fails again may come back again.
        warms: Answers until a restarted server is warm, 0 for at once.
        thrashes: Whether a queue makes every call slower, up to four times.
        crashes: Whether 1,000 queued calls kill the server for 10 s.
        steady: Seconds after which `at` says nothing more, where that is not `end`.
    """

    name: str
    end: float
    healthy: float
    at: Callable[[float], Condition]
    timeout: float = 1.0
    spike: float = 0.0
    lose: float = 0.0
    returning: float = 0.0
    warms: int = 0
    thrashes: bool = False
    crashes: bool = False
    steady: float = 0.0


def _outage(seconds: float, mode: Condition = DOWN) -> Callable[[float], Condition]:
    return lambda t: mode if t < seconds else UP


def _flapping(down: float, up: float) -> Callable[[float], Condition]:
    return lambda t: DOWN if t % (down + up) < down else UP


def _cold(t: float) -> Condition:
    if t < 20:
        return DOWN
    return Condition("up", 1 + 4 * max(0.0, 1 - (t - 20) / 60))


def _partial(t: float) -> Condition:
    if t < 60:
        return DOWN
    return Condition("up", 1.0, WORKERS // 2) if t < 180 else UP


def _brown(t: float) -> Condition:
    return Condition("up", 10.0) if t < 60 else UP


SCENARIOS = {
    one.name: one
    for one in (
        Scenario("deploy", 2, 2, _outage(2)),
        Scenario("out10", 10, 10, _outage(10)),
        Scenario("out30", 30, 30, _outage(30)),
        Scenario("out5m", 300, 300, _outage(300)),
        Scenario("hang60", 60, 60, _outage(60, HANG)),
        Scenario("slowp", 120, 60, _outage(60, HANG), timeout=10, lose=0.03),
        Scenario("flap", 240, 240, _flapping(15, 15)),
        Scenario("flapslow", 400, 400, _flapping(20, 60)),
        Scenario("brown", 60, 60, _brown),
        Scenario("cold", 20, 20, _cold, steady=80),
        Scenario("coldw", 20, 20, _outage(20), warms=20_000),
        Scenario("spike", 20, 20, _outage(0), spike=1.5),
        Scenario("thrash", 20, 20, _outage(0), spike=1.5, thrashes=True),
        Scenario("partial", 180, 60, _partial),
        Scenario("herd", 60, 60, _outage(60), returning=0.5),
        Scenario("crash", 20, 20, _outage(20), warms=20_000, crashes=True),
    )
}
