"""Import time, in fresh interpreters, and what an import drags in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import nan
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final

from .figures import Figure
from .rounds import quartiles, rotated
from .subjects import OURS, Library

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment] # checked in `_spent`

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEAVY: Final = ("asyncio", "logging", "dataclasses", "inspect")
_PROGRAM: Final = """\
import sys
from time import perf_counter
before = set(sys.modules)
sys.path[:0] = {path!r}
start = perf_counter()
{statement}
took = perf_counter() - start
new = set(sys.modules) - before
import json
import os
print(json.dumps([took, sorted(new)]))
"""


def imports(libraries: Sequence[Library], rounds: int) -> Iterator[Figure]:
    """Yield milliseconds over a bare interpreter, and counts of modules."""
    first = {each.name: fresh(f"import {each.module}") for each in libraries}
    present = [each for each in libraries if first[each.name] is not None]
    statements = {"": "pass"} | {each.name: f"import {each.module}" for each in present}
    whole: dict[str, list[float]] = {name: [] for name in statements}
    inside: dict[str, list[float]] = {name: [] for name in statements}
    for turn in range(rounds):
        for name in rotated(list(statements), turn):
            total, took, _ = fresh(statements[name]) or (nan, nan, [])
            whole[name].append(total * 1e3)
            inside[name].append(took * 1e3)
    for each in present:
        name = each.name
        over = [a - b for a, b in zip(whole[name], whole[""], strict=True)]
        low, middle, high = quartiles(over)
        yield Figure("import", "process", "", name, middle, "ms", None, low, high)
        yield Figure("import", "statement", "", name, median(inside[name]), "ms")
        _, _, modules = first[name] or (nan, nan, [])
        yield from baggage(name, each.module.partition(".")[0], modules)


def baggage(name: str, own: str, modules: Sequence[str]) -> Iterator[Figure]:
    """Yield how many modules came along, and the heavy and foreign ones by name."""
    tops = {module.partition(".")[0] for module in modules}
    foreign = {top for top in tops - {own} if top not in sys.stdlib_module_names}
    unwanted = (set(HEAVY) & tops) | foreign
    yield Figure("import", "modules", "", name, len(modules), "modules")
    yield Figure("import", "unwanted", "", name, len(unwanted), "modules")
    for each in sorted(unwanted if name == OURS else ()):
        yield Figure("import", "brings", each, name, 1, "modules")


def fresh(statement: str) -> tuple[float, float, list[str]] | None:
    """Run a statement in a new interpreter.

    Returns:
        Processor time of the whole process, seconds of the statement, and the new
        modules; None, and a word on stderr, if it failed.
    """
    path = [entry for entry in sys.path if entry.endswith("src")]
    program = _PROGRAM.format(path=path, statement=statement)
    start = _spent()
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        text=True,
        env=_environment(),
    )
    whole = _spent() - start
    if done.returncode:
        sys.stderr.write(f"NOT MEASURED: {statement}: {done.stderr}\n")
        return None
    took, modules = json.loads(done.stdout)
    return whole, took, modules


def _spent() -> float:
    """Return the processor time of all children so far; the wall clock on Windows."""
    if resource is None:
        return perf_counter()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment() -> dict[str, str]:
    """Return ours, but with compiled modules kept, as every user has them."""
    kept = dict(os.environ)
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept
