"""Which runs there are, the most important ones first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from .policies import ON_OFF, POLICIES, RECOMMENDED, RIVAL
from .scenarios import SCENARIOS
from .simulation import Job

SIZES = (1, 100)
MANY = 1000
STYLES = ("none", "naive", "budget")
TABLE_SIZES = (1, 100)
TABLE_STYLES = ("none", "naive")
PAGE_SIZES = (100,)
BUSY = (
    "deploy", "out30", "hang60", "flap", "brown", "cold", "coldw", "spike",
    "partial", "herd", "crash",
)  # fmt: skip
HOUR = 3600.0


def acceptance(seeds: range) -> Iterator[Job]:
    """Yield what the acceptance numbers need."""
    for seed in seeds:
        for scenario in SCENARIOS:
            for size, style in product(SIZES, STYLES):
                yield Job(RECOMMENDED, scenario, size, style, seed)
            yield Job(RECOMMENDED, scenario, MANY, "none", seed)
        for size in TABLE_SIZES:
            yield Job(RECOMMENDED, "out5m", size, "none", seed, hint=HOUR)
        for size, style in product(TABLE_SIZES, TABLE_STYLES):
            yield Job(ON_OFF, "deploy", size, style, seed)
            for scenario in SCENARIOS:
                yield Job(RIVAL, scenario, size, style, seed)
        for size, policy in product(TABLE_SIZES, (RECOMMENDED, ON_OFF)):
            for scenario in BUSY:
                yield Job(policy, scenario, size, "naive", seed, load=0.9)


def table(seeds: range) -> Iterator[Job]:
    """Yield what the table of policies needs."""
    for seed, policy, scenario in product(seeds, POLICIES, SCENARIOS):
        for size, style in product(PAGE_SIZES, TABLE_STYLES):
            yield Job(policy, scenario, size, style, seed)


def everything(seeds: range, *, accept_only: bool) -> list[Job]:
    """Return each job once."""
    jobs = dict.fromkeys(acceptance(seeds))
    if not accept_only:
        jobs |= dict.fromkeys(table(seeds))
    return list(jobs)
