"""`FalseTripBudget` for long simulations: its update in C, compiled on the spot.

Without a C compiler the harness takes the shipped Python, which says the same, slower.
"""

from __future__ import annotations

import atexit
import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from math import inf, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recloser import FalseTripBudget
from recloser._core import budget as shipped

from .rules import DAY, SETTLE, Ours, others

if TYPE_CHECKING:
    from .rules import Numbers, Rule, Times

SOURCE = Path(__file__).with_name("bucket.c")
FLAGS = ("-O2", "-shared", "-fPIC", "-ffp-contract=off")  # as Python rounds


class _Budget(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_double)
        for name in (
            *("per_second", "settle", "gain", "floor", "ceiling"),
            *("memory", "known", "held", "fades", "idle", "tick", "shortly"),
            *("fewest", "ln2"),
        )
    )


class _Score(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_double)
        for name in (
            *("failures", "calls", "peak", "peak_at"),
            *("last", "unit", "evidence", "run_failures", "run_calls", "began"),
        )
    )


@cache
def library() -> Any:
    """Return the compiled functions, or None where nothing compiles C."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    built = folder / "bucket.so"
    subprocess.run([compiler, *FLAGS, "-o", built, SOURCE, "-lm"], check=True)
    found = ctypes.CDLL(str(built))
    found.opens.restype = ctypes.c_int64
    return found


class Compiled(Ours):
    """`Ours`, with its update in C."""

    def __init__(self, name: str, policy: FalseTripBudget, settle: float) -> None:
        super().__init__(name, policy, settle)
        budget = self.budget
        assert budget.unacceptable == 0.5
        self._library = library()
        self._budget = _Budget(
            *(budget.per_second, settle, budget.gain, budget.floor, budget.ceiling),
            *(shipped.MEMORY, shipped.KNOWN, shipped.HELD, shipped.FADES),
            *(shipped.IDLE, shipped.TICK, shipped.SHORT, shipped.FEWEST, log(2)),
        )
        self._score = _Score(0.0, shipped.PRIOR, 0.0, 0.0, 0.0, 1.0, -inf, 0, 0, 0)

    def begin(self, number: int, now: float) -> None:
        """Drop the evidence, keep what is usual."""
        one = self._score
        one.last, one.unit, one.evidence = now, 1.0, -inf
        one.run_failures = one.run_calls = one.began = 0
        self.before = number - 1

    def failed(self, number: int, now: float, times: Times) -> bool:
        """Count one failure."""
        numbers, ats = (ctypes.c_int64 * 1)(number), (ctypes.c_double * 1)(now)
        return self.opens(numbers, ats, times, 0) == 0

    def opens(self, numbers: Numbers, ats: Times, times: Times, place: int) -> int:
        """Return the place of the first failure that opens it, or the end."""
        end, before = len(numbers), ctypes.c_int64(self.before)
        found: int = self._library.opens(
            ctypes.byref(self._budget),
            ctypes.byref(self._score),
            ctypes.byref(before),
            (ctypes.c_int64 * end).from_buffer(numbers),
            (ctypes.c_double * end).from_buffer(ats),
            ctypes.c_int64(place),
            ctypes.c_int64(end),
        )
        self.before = before.value
        return found


def ours_monthly() -> Rule:
    return _made("budget, 1 a month", FalseTripBudget())


def ours_daily() -> Rule:
    return _made("budget, 1 a day", FalseTripBudget(per=DAY))


def everybody() -> list[Rule]:
    return [ours_monthly(), ours_daily(), *others()]


def _made(name: str, policy: FalseTripBudget) -> Rule:
    kind = Ours if library() is None else Compiled
    return kind(name, policy, SETTLE)
