"""Instructions per call, counted by valgrind: figures that repeat on a noisy machine.

Each subject runs twice under callgrind, with a short loop and a long one; the
difference of the two counts is what the additional calls took. Start-up, imports and
warming up cancel out.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from . import references as ref
from .calls import FIELDS, subject
from .figures import Figure
from .loops import UNROLLED, Subject, compile_loop
from .subjects import LIBRARIES, OURS, POLICIES, Setup, installed

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT: Final = 300
LONG: Final = 1_300
KINDS: Final = ("sync", "async", "with")
SHAPE: Final = "f(1, 2)"
_TOTAL: Final = re.compile(r"^totals: (\d+)", re.MULTILINE)


def instructions() -> Iterator[Figure]:
    """Yield instructions per success; nothing, and a word on stderr, without valgrind."""
    if shutil.which("valgrind") is None:
        sys.stderr.write("NOT MEASURED: instructions: there is no valgrind\n")
        return
    for kind in KINDS:
        base = per_call(count(kind, "", SHORT), count(kind, "", LONG), LONG - SHORT)
        name = ref.MANAGER if kind == "with" else ref.WRAPPER
        yield figure(kind, "", name, base, base)
        for policy in POLICIES:
            short, long = count(kind, policy, SHORT), count(kind, policy, LONG)
            yield figure(kind, policy, OURS, per_call(short, long, LONG - SHORT), base)


def figure(kind: str, policy: str, name: str, value: float, base: float) -> Figure:
    """Return one figure, with the ratio to the baseline of its kind."""
    ratio = value / base
    return Figure("instructions", policy, kind, name, value, "instructions", ratio)


def per_call(short: int, long: int, steps: int) -> float:
    """Return instructions per call from the counts of two loops `steps` apart."""
    return (long - short) / (steps * UNROLLED)


def count(kind: str, policy: str, steps: int) -> int:
    """Run one loop under callgrind and return all instructions of the process."""
    with tempfile.TemporaryDirectory() as folder:
        # A shell script may stand before the interpreter; its share cancels out.
        out = Path(folder) / "callgrind.%p"
        command = ["valgrind", "--tool=callgrind", "--trace-children=yes"]
        command += [f"--callgrind-out-file={out}"]
        command += [sys.executable, "-m", __name__, kind, policy, str(steps)]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        reports = (path.read_text(encoding="utf-8") for path in out.parent.iterdir())
        return total("\n".join(reports))


def total(text: str) -> int:
    """Return the sum of what callgrind counted, of all its files together.

    Raises:
        ValueError: There is none.
    """
    found = _TOTAL.findall(text)
    if not found:
        msg = "the callgrind file has no total"
        raise ValueError(msg)
    return sum(map(int, found))


def chosen(kind: str, policy: str) -> Subject:
    """Return what is run under callgrind; the baseline if there is no policy."""
    if policy:
        installed(frozenset())
        guards = LIBRARIES[OURS].guards(Setup(policy))
        if kind == "with":
            return Subject(OURS, "with m: pass", {"m": guards.block})
        return subject(OURS, kind, SHAPE, getattr(guards, FIELDS[kind]))
    if kind == "with":
        return Subject(ref.MANAGER, "with m: pass", {"m": ref.NoOp()})
    return subject(ref.WRAPPER, kind, SHAPE, ref.empty_wrapper(kind))


def main(kind: str, policy: str, steps: int) -> None:
    """Run one loop; this is what valgrind watches."""
    it = chosen(kind, policy)
    started = compile_loop(it)(repeat(None, steps), perf_counter, **it.names)
    if it.aio:
        asyncio.run(started)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
