"""The command: run the jobs, print the tables, write JSON, page and picture."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import checks, plot, tables
from .jobs import everything
from .measures import measured
from .simulation import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parent / "results.json"


def parser() -> argparse.ArgumentParser:
    """Return what the command line can say."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.recovery")
    made.add_argument("--accept", action="store_true", help="the acceptance runs alone")
    made.add_argument("--seed", type=int, default=31, help="the first seed")
    made.add_argument("--seeds", type=int, default=1, help="how many")
    made.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    made.add_argument(
        "--resume", action="store_true", help="run only what the JSON file lacks"
    )
    made.add_argument(
        "--report", action="store_true", help="run nothing; page, picture"
    )
    made.add_argument("--json", type=Path, default=RESULTS)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    asked = parser().parse_args(arguments)
    if not asked.report:
        seeds = range(asked.seed, asked.seed + asked.seeds)
        wanted = everything(seeds, accept_only=asked.accept)
        known = load(asked.json) if asked.resume and asked.json.exists() else []
        run(wanted, asked.jobs, asked.json, known)
    runs = load(asked.json)
    print(tables.policies(runs), checks.table(runs), tables.sizes(runs), sep="\n\n")
    if asked.report:
        tables.write_page(runs)
        plot.draw(runs)
    return 0


def run(
    jobs: list[Job], processes: int, path: Path, known: list[dict[str, Any]]
) -> None:
    """Run every job, and keep what there is: an interrupted run is worth its part."""
    began, found = time.perf_counter(), list(known)
    done_before = {tuple(one[name] for name in Job._fields) for one in known}
    jobs = [job for job in jobs if tuple(job) not in done_before]
    with Pool(processes) as pool:
        for done, figures in enumerate(pool.imap(measured, jobs), 1):
            found.append(figures)
            if done % 20 == 0 or done == len(jobs):
                save(path, found)
                seconds = time.perf_counter() - began
                text = f"{done}/{len(jobs)} in {seconds:.0f} s"
                print(text, file=sys.stderr, flush=True)


def save(path: Path, runs: list[dict[str, Any]]) -> None:
    """Write the figures, a run a line."""
    rounded = [
        {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in one.items()
        }
        for one in runs
    ]
    names = list(rounded[0])
    lines = ",\n".join(json.dumps(list(one.values())) for one in rounded)
    path.write_text(
        f'{{"names": {json.dumps(names)}, "runs": [\n{lines}\n]}}\n', "utf-8"
    )


def load(path: Path) -> list[dict[str, Any]]:
    """Read what `save` wrote."""
    found = json.loads(path.read_text("utf-8"))
    return [dict(zip(found["names"], one, strict=True)) for one in found["runs"]]


if __name__ == "__main__":
    sys.exit(main())
