"""What one run found, as values and as JSON."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import sysconfig
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .rounds import Summary
    from .subjects import Library


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        group: Kind of work: "sync", "memory" ...
        case: What was done, mostly the policy.
        shape: How it was called; "" where that does not matter.
        subject: Library, or "(ref) ...".
        value: Median.
        unit: Of the value: ns, B, ms, calls, instructions.
        ratio: To the group's baseline in the same rounds; None if there is none.
        low: Lower quartile of the ratio.
        high: Upper quartile of the ratio.
    """

    group: str
    case: str
    shape: str
    subject: str
    value: float
    unit: str = "ns"
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Run:
    """All figures of one interpreter, and what they were measured with."""

    interpreter: str
    machine: str
    date: str
    mode: str
    load: tuple[float, float]
    libraries: dict[str, str]
    missing: dict[str, str]
    figures: list[Figure] = field(default_factory=list[Figure])

    def find(self, group: str, case: str, shape: str, subject: str) -> Figure | None:
        """Return one figure, or None if it was not measured."""
        wanted = (group, case, shape, subject)
        for each in self.figures:
            if (each.group, each.case, each.shape, each.subject) == wanted:
                return each
        return None


def merged(runs: Iterable[Run]) -> list[Run]:
    """Put runs of the same interpreter together, oldest interpreter first.

    Where two have the same figure the later one counts; date, mode and load are those of
    the run with most figures.
    """
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run.interpreter, []).append(run)
    return [_together(by_name[name]) for name in sorted(by_name, key=_version)]


def _together(runs: list[Run]) -> Run:
    main = max(runs, key=lambda run: len(run.figures))
    places = {
        (each.group, each.case, each.shape, each.subject): each
        for run in runs
        for each in run.figures
    }
    return replace(main, figures=list(places.values()))


def _version(name: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", name)]


def from_summaries(
    group: str, case: str, shape: str, summaries: dict[str, Summary]
) -> list[Figure]:
    """Make a figure of every subject's summary."""
    return [
        Figure(group, case, shape, name, s.value, "ns", s.ratio, s.low, s.high)
        for name, s in summaries.items()
    ]


def new_run(
    mode: str,
    libraries: Iterable[Library],
    missing: dict[str, str],
    figures: list[Figure],
    load: tuple[float, float],
) -> Run:
    """Put figures together with today's date and this interpreter."""
    return Run(
        interpreter_name(),
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        datetime.now(UTC).date().isoformat(),
        mode,
        load,
        {each.name: each.version for each in libraries},
        missing,
        figures,
    )


def interpreter_name() -> str:
    """Return e.g. "CPython 3.13.0" or "CPython 3.13.5 free-threaded"."""
    threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    name = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{name} free-threaded" if threaded else name


def default_file() -> str:
    """Return the name of this interpreter's file of results."""
    threaded = "t" if interpreter_name().endswith("free-threaded") else ""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{sys.implementation.name}-{version}{threaded}.json"


def save(run: Run, path: Path) -> None:
    """Write one run, a line per figure, with four significant digits."""
    head = asdict(run)
    rows = [json.dumps(_rounded(row)) for row in head.pop("figures")]
    text = json.dumps(head, indent=1)[:-2]
    body = ",\n  ".join(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text},\n "figures": [\n  {body}\n ]\n}}\n', encoding="utf-8")


def load(path: Path) -> Run:
    """Read one run back."""
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    held["figures"] = [Figure(**row) for row in held["figures"]]
    held["load"] = tuple(held["load"])
    return Run(**held)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Drop what is empty, and digits that mean nothing."""
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else value
        for key, value in row.items()
        if value is not None
    }
