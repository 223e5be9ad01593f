"""One breaker, several threads: nanoseconds of wall time over all calls."""

from __future__ import annotations

import asyncio
from itertools import repeat
from threading import Barrier, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from . import references as ref
from .calls import guarded, subject
from .figures import Figure, from_summaries
from .loops import UNROLLED, Loop, Subject, compile_loop, quiet
from .rounds import Plan, rotated, summarise
from .subjects import OURS, Library

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COUNTS: Final = (1, 2, 4)
SHORTEST: Final = 0.02
"""Seconds per sample, at least: several switch intervals of the interpreter."""


def threads(libraries: Sequence[Library], plan: Plan) -> Iterator[Figure]:
    """Yield successes with 1, 2 and 4 threads on one breaker."""
    wrapper = ref.empty_wrapper("sync")
    subjects = [subject(ref.WRAPPER, "sync", "f(1, 2)", wrapper)]
    for each in libraries:
        subjects += guarded(each, "sync", "f(1, 2)", "streak")
        if each.name == OURS:
            subjects += [
                Subject(f"{OURS}, {policy}", one.statement, one.names, ref.WRAPPER)
                for policy in ("count", "time", "slow")
                for one in guarded(each, "sync", "f(1, 2)", policy)
            ]
    for number in COUNTS:
        found = summarise(
            samples(subjects, number, plan), dict.fromkeys(names(subjects), ref.WRAPPER)
        )
        yield from from_summaries("threads", f"{number}", "f(1, 2)", found)


def names(subjects: Sequence[Subject]) -> list[str]:
    """Return the subjects' names."""
    return [each.name for each in subjects]


def samples(
    subjects: Sequence[Subject], number: int, plan: Plan
) -> dict[str, list[float]]:
    """Return nanoseconds per call by subject, one sample for each round."""
    found: dict[str, list[float]] = {each.name: [] for each in subjects}
    with quiet() as runner:
        steps = {each.name: steps_for(each, plan, runner) for each in subjects}
        rounds = max(5, plan.rounds // 3)
        for turn in range(rounds):
            for each in rotated(subjects, turn):
                share = max(1, steps[each.name] // number)
                taken = together(each, number, share)
                found[each.name].append(taken / (share * number * UNROLLED) * 1e9)
    return found


def steps_for(each: Subject, plan: Plan, runner: asyncio.Runner) -> int:
    """Return the steps that fill one sample on one thread."""
    loop, steps, sample = Loop(each, runner), 10, max(plan.sample, SHORTEST)
    while (taken := loop.seconds(steps)) < sample / 4:
        steps *= 2
    return round(steps * sample / taken)


def together(each: Subject, number: int, steps: int) -> float:
    """Run the loop in several threads at once; return seconds from start to end."""
    barrier = Barrier(number)
    run: Any = compile_loop(each)
    spans: list[tuple[float, float]] = []

    def one() -> None:
        barrier.wait()
        start = perf_counter()
        run(repeat(None, steps), perf_counter, **each.names)
        spans.append((start, perf_counter()))

    crowd = [Thread(target=one) for _ in range(number)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    return max(end for _, end in spans) - min(start for start, _ in spans)
