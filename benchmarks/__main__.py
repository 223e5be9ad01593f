"""The command: measure, print, write JSON, draw, and rewrite the page."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import (
    calls,
    facades,
    figures,
    herd,
    imports,
    instructions,
    keys,
    memory,
    options,
    rare,
    tables,
)
from . import threads as crowd
from .interpreters import run_everywhere
from .page import write_page
from .rounds import Plan
from .subjects import OURS, Library, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .figures import Figure

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results"
PAGE: Final = HERE.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Effort:
    """How much time a run may take.

    Attributes:
        name: quick or full.
        plan: Rounds and samples of what is timed in loops.
        breakers: How many are made to weigh one.
        processes: How many fresh interpreters per import.
        keys: How many different keys a group is given.
    """

    name: str
    plan: Plan
    breakers: int
    processes: int
    keys: int


FULL: Final = Effort("full", Plan(41, 0.002), 10_000, 31, 1_000_000)
QUICK: Final = Effort("quick", Plan(7, 0.0007), 200, 3, 100_000)


def groups(
    libraries: Sequence[Library], effort: Effort
) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Return what can be measured, by the name `--only` takes."""
    plan = effort.plan
    shapes = ("f()", "f(1, 2)", "o.m(1)")
    main = (calls.MAIN,)
    ours = [each for each in libraries if each.name == OURS]
    found: dict[str, Callable[[], Iterator[Figure]]] = {
        "sync": lambda: calls.decorated("sync", libraries, plan, shapes),
        "async": lambda: calls.decorated("async", libraries, plan, shapes),
        "generator": lambda: calls.decorated("generator", libraries, plan, main),
        "agenerator": lambda: calls.decorated("async generator", libraries, plan, main),
        "with": lambda: calls.blocks(aio=False, libraries=libraries, plan=plan),
        "awith": lambda: calls.blocks(aio=True, libraries=libraries, plan=plan),
        "many": lambda: calls.many(libraries, plan),
        "failure": lambda: rare.failures("sync", libraries, plan),
        "afailure": lambda: rare.failures("async", libraries, plan),
        "rejection": lambda: rare.rejections("sync", libraries, plan),
        "arejection": lambda: rare.rejections("async", libraries, plan),
        "window": lambda: rare.windows(libraries, plan),
        "options": lambda: options.options(plan) if ours else iter(()),
        "threads": lambda: crowd.threads(libraries, plan),
        "herd": lambda: herd.herd(libraries),
        "memory": lambda: memory.memory(libraries, effort.breakers),
        "keys": lambda: keys.keys(effort.keys) if ours else iter(()),
        "compat": lambda: facades.facades(plan),
        "import": lambda: imports.imports(libraries, effort.processes),
    }
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    asked = parser().parse_args(arguments)
    if asked.report:
        return report(asked.report)
    if asked.interpreters:
        failed = run_everywhere(quick=asked.quick, install=not asked.no_install)
        return failed or asked.quick or report(sorted(RESULTS.glob("*.json")))
    run = measured(asked)
    sys.stdout.write(tables.text(run) + "\n")
    target = asked.json or (
        None if partial(asked) else RESULTS / figures.default_file()
    )
    if target is not None:
        figures.save(run, target)
        sys.stdout.write(f"written: {target}\n")
    return 0


def report(paths: Sequence[Path]) -> int:
    """Make the page and its plot from results."""
    write_page(figures.merged(figures.load(path) for path in paths), PAGE)
    sys.stdout.write(f"written: {PAGE}\n")
    return 0


def partial(asked: argparse.Namespace) -> bool:
    """Return whether the run leaves something out, so that no result is replaced."""
    return bool(asked.quick or asked.only or asked.peers != ["all"])


def measured(asked: argparse.Namespace) -> figures.Run:
    """Measure what was asked for."""
    effort = QUICK if asked.quick else FULL
    politely_first()
    wanted = None if asked.peers == ["all"] else frozenset(asked.peers)
    libraries, missing = installed(wanted)
    before = os.getloadavg()[0]
    found: list[Figure] = []
    for name, yields in groups(libraries, effort).items():
        if not asked.only or name in asked.only:
            sys.stderr.write(f"measuring: {name}\n")
            found += yields()
    if asked.instructions:
        found += instructions.instructions()
    load = (before, os.getloadavg()[0])
    return figures.new_run(effort.name, libraries, missing, found, load)


def politely_first() -> None:
    """Ask for a little priority over other programs; go on without it."""
    try:
        os.nice(-5)
    except (OSError, AttributeError):
        sys.stderr.write("running without raised priority: expect more noise\n")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    names = ", ".join(groups([], QUICK))
    line.add_argument(
        "--quick", action="store_true", help="in under a minute, coarsely"
    )
    line.add_argument("--only", type=words, help=f"comma-separated, of: {names}")
    line.add_argument(
        "--peers",
        type=words,
        nargs="?",
        const=["all"],
        default=[],
        help="beside every rival that is installed, or these, comma-separated",
    )
    line.add_argument("--json", type=Path, help="where the figures are written")
    line.add_argument("--instructions", action="store_true", help="count with valgrind")
    line.add_argument(
        "--report", type=Path, nargs="+", help="JSON files to make the page"
    )
    line.add_argument(
        "--interpreters", action="store_true", help="on all that are found"
    )
    line.add_argument("--no-install", action="store_true", help="do not install rivals")
    return line


def words(text: str) -> list[str]:
    """Split at commas."""
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main())
