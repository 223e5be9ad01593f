"""The command: tell the stories, print the table, write JSON."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..subjects import LIBRARIES, OURS, installed
from . import adapters, clocks, tables, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION: Final = ".".join(platform.python_version_tuple()[:2])
RESULTS: Final = Path(__file__).parent / f"results-{VERSION}.json"
LONGEST: Final = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    asked = parser().parse_args(arguments)
    if asked.one:
        return one(asked.one)
    wanted = None if not asked.peers else frozenset(asked.peers.split(","))
    libraries, missing = installed(wanted)
    missing = missing | adapters.NO_BREAKERS
    libraries = [each for each in libraries if each.name not in missing]
    names = [each.name for each in libraries]
    with ThreadPoolExecutor(asked.jobs) as pool:
        found = dict(zip(names, pool.map(told, names), strict=True))
    run = {
        "interpreter": platform.python_version(),
        "libraries": {each.name: each.version for each in libraries},
        "missing": missing,
        "verdicts": found,
    }
    sys.stdout.write(tables.text(run))
    if asked.json or not asked.peers:
        target = asked.json or RESULTS
        target.write_text(json.dumps(run, indent=1, sort_keys=True) + "\n", "utf-8")
        sys.stdout.write(f"\nwritten: {target}\n")
    return int(tables.caught(found[OURS]) > 0)


def told(name: str) -> dict[str, Any]:
    """Tell one library every story, in a process of its own."""
    sys.stderr.write(f"telling: {name}\n")
    command = [sys.executable, "-m", "benchmarks.traps", "--one", name]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    lines = run.stdout.strip().splitlines()
    if run.returncode or not lines:
        sys.stderr.write(run.stderr)
        msg = f"the process that judged {name} broke"
        raise RuntimeError(msg)
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def one(name: str) -> int:
    """Judge one library and print its verdicts as JSON."""
    clocks.install()  # before any library is imported
    adapters.load()
    sys.stdout.write("\n" + json.dumps(verdicts.judge(LIBRARIES[name])) + "\n")
    sys.stdout.flush()
    verdicts.leave()
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser("python -m benchmarks.traps", description=__doc__)
    line.add_argument("--peers", help="only these, comma-separated; default: all")
    line.add_argument("--json", type=Path, help="where the verdicts are written")
    line.add_argument("--jobs", type=int, default=2, help="libraries at once")
    line.add_argument("--one", help=argparse.SUPPRESS)
    return line


if __name__ == "__main__":
    sys.exit(main())
