"""What a run comes to."""

from __future__ import annotations

from typing import Any

from .scenarios import AFTER, CAPACITY
from .simulation import WARM_UP, Job, Simulation


def measured(job: Job) -> dict[str, Any]:
    """Run one job and return its figures, with what it was."""
    run = Simulation(job).run()
    good, ideal = run.seconds.good, run.seconds.ideal
    last = len(good) - 1  # the second in which the run ended is not whole
    good, ideal = good[:last], ideal[:last]
    ended = int(run.end - WARM_UP)
    stopped = last < ended + AFTER - 2
    tail = slice(max(0, last - 30), last)
    share = sum(good[tail]) / max(1.0, sum(ideal[tail]))
    return {
        **job._asdict(),
        "lost": (sum(ideal) - sum(good)) / (job.load * CAPACITY),
        "goodput": _goodput(good[: ended + 120], ideal[: ended + 120], ended, job),
        "lag": _lag(good, ideal, int(run.healthy - WARM_UP) + 1),
        "peak": _peak(run, int(run.healthy - WARM_UP) + 1),
        "never": not stopped and share < 0.9,
        "wasted": run.wasted,
        "per_client": run.wasted / job.clients / max(1.0, run.healthy - WARM_UP),
        "of_own": run.wasted / max(1, run.offered_on_dead),
        "crashes": run.crashes,
    }


def _goodput(good: list[int], ideal: list[float], ended: int, job: Job) -> float:
    """Return the share of the ideal; a run that stopped early went on as it was."""
    rest = max(0, ended + 120 - len(good)) * job.load * CAPACITY
    return (sum(good) + rest) / (sum(ideal) + rest)


def _lag(good: list[int], ideal: list[float], healthy: int) -> float:
    """Return seconds until 95 % are held over the next 5 and 10 s."""
    for second in range(healthy, len(good) - 10):
        if all(
            sum(good[second : second + length])
            >= 0.95 * sum(ideal[second : second + length])
            for length in (5, 10)
        ):
            return float(second - healthy)
    return AFTER


def _peak(run: Simulation, healthy: int) -> float:
    """Return the attempts of the worst second, in capacities of that second."""
    pairs = zip(run.seconds.sent[healthy:], run.seconds.capacity[healthy:], strict=True)
    return max((sent / room for sent, room in pairs if room >= 100), default=0.0)
