"""The page `docs/benchmarks.md`, made from the JSON of any number of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import references as ref
from .goals import GOALS, judge
from .markdown import bold, both, by_cost, ratio, row, short, table
from .plot import draw
from .subjects import LIBRARIES, OURS, load_adapters
from .tables import measured, noise, number, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .figures import Run

MISSED: Final = Path(__file__).with_name("missed.md")
_HEAD: Final = """\
# Benchmarks

This page is written by `python -m benchmarks --report benchmarks/results/*.json`; do not
edit it. `benchmarks/README.md` says how to run everything yourself.

**How to read it.** Every subject is timed in the same run on the same work, in short
samples taken in turns with the order rotated, ten calls written out per loop step,
garbage collection off, the empty loop taken off. Time is the process's processor time
(wall time for threads), so that the turns of other programs are left out. A ratio is
taken inside each round, between neighbours in time; what is shown is the median over the
rounds. Nanoseconds depend on the machine; **read the ratios**. `(ref)` rows are no library but what Python
itself charges. An *empty wrapper* is `functools.wraps` around a function that passes
`*args, **kwargs` on and does nothing else.
"""
_IMPORT: Final = """\
`process`: processor time over a bare interpreter, from start to exit, in milliseconds;
`statement`: wall time of the import alone; `unwanted`: how many of asyncio, logging,
dataclasses, inspect and third-party packages came along."""
_KEYS: Final = """\
Every key is new and makes one call. Alive: breakers found in the whole process at the end.
Nanoseconds for a new key with its call, megabytes of growth."""
_SECTIONS: Final = (
    ("Success, decorated function", "sync", ref.WRAPPER),
    ("Success, decorated coroutine function", "async", ref.WRAPPER),
    ("Success, generator of three items", "generator", ref.WRAPPER),
    ("Success, async generator of three items", "async generator", ref.WRAPPER),
    ("Success, `with` block", "with", ref.MANAGER),
    ("Success, `async with` block", "async with", ref.MANAGER),
    ("Ten breakers called in turn", "ten breakers", ref.WRAPPER),
    ("Counted failure (nine calls of ten fail)", "sync failure", ref.WRAPPER),
    ("Counted failure, coroutine function", "async failure", ref.WRAPPER),
    ("Rejection while open", "sync rejection", ref.RAISING),
    ("Rejection while open, coroutine function", "async rejection", ref.RAISING),
    ("Threads on one breaker", "threads", ref.WRAPPER),
)


def write_page(runs: Sequence[Run], page: Path) -> None:
    """Write the page, and its plot beside it."""
    draw(runs, page.with_suffix(""))
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join(lines(runs)) + "\n", encoding="utf-8")


def lines(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the page's lines."""
    yield _HEAD
    yield "![Ratio to an empty wrapper, by library](benchmarks.svg)\n"
    yield from conditions(runs)
    yield from goals(runs)
    yield MISSED.read_text(encoding="utf-8")
    yield from shapes(runs)
    for title, group, base in _SECTIONS:
        yield from section(title, group, base, runs)
    yield from windows(runs)
    yield from options(runs)
    yield from herd(runs)
    yield from facades(runs)
    yield from plain("Memory", "memory", runs, "Bytes per breaker with one function.")
    yield from plain("Many keys in one group", "keys", runs, _KEYS)
    yield from plain("Import", "import", runs, _IMPORT)
    yield from instructions(runs)
    yield from libraries(runs)


def conditions(runs: Sequence[Run]) -> Iterator[str]:
    """Yield when and where each run was made, and how noisy it was."""
    for run in runs:
        yield f"- **{run.interpreter}**, {run.date}, {run.machine}, {run.mode} run; {noise(run)}."
    yield ""


def goals(runs: Sequence[Run]) -> Iterator[str]:
    """Yield goal against measured."""
    yield "## Goals against measured\n"
    yield "The worst of the shapes a goal names. **Bold** is missed; `-` was not measured.\n"
    yield from table(["work", "goal", "from 3.14"], runs)
    for goal in GOALS:
        cells = []
        for run in runs:
            verdict = judge(goal, run)
            text = measured(verdict)
            cells.append(f"**{text}**" if word(verdict) == "MISS" else text)
        unit = f" {goal.unit}" if goal.unit not in {"x", ""} else ""
        bounds = (f"<= {limit:g}{unit}" for limit in (goal.limit, goal.limit_new))
        yield row([goal.label, *bounds, *cells])
    yield ""


def shapes(runs: Sequence[Run]) -> Iterator[str]:
    """Yield our successes by shape of call."""
    yield "## Our own successes by shape of call\n"
    yield "Ratio to the empty wrapper called in the same shape.\n"
    yield from table(["kind", "policy", "shape"], runs)
    seen: dict[tuple[str, str, str], None] = {}
    for run in runs:
        for each in run.figures:
            if each.group in {"sync", "async"} and each.subject == OURS:
                seen[each.group, each.case, each.shape] = None
    for place in seen:
        found = (run.find(*place, OURS) for run in runs)
        yield row([*place[:2], f"`{place[2]}`", *(ratio(each) for each in found)])
    yield ""


def section(title: str, group: str, base: str, runs: Sequence[Run]) -> Iterator[str]:
    """Yield one table for each case of a group: nanoseconds and ratio."""
    cases = dict.fromkeys(
        (each.case, each.shape)
        for run in runs
        for each in run.figures
        if each.group == group and each.shape in {"f(1, 2)", ""}
    )
    if not cases:
        return
    yield f"## {title}\n"
    yield f"Nanoseconds · ratio to {base.removeprefix('(ref) ')}.\n"
    for case, shape in cases:
        yield f"### {case} threads\n" if group == "threads" else f"### {case}\n"
        yield from table(["library"], runs)
        for name in by_cost(group, case, shape, runs):
            found = (run.find(group, case, shape, name) for run in runs)
            yield row([bold(name), *(both(each) for each in found)])
        yield ""


def windows(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a window of 10,000 against one of 100."""
    yield "## Window of 10,000 against one of 100\n"
    yield "Nanoseconds with 10,000 · ratio to 100, both full.\n"
    yield from table(["call", "library"], runs)
    for case in ("success", "failure"):
        for name in by_cost("window", case, "10,000 calls", runs):
            found = (run.find("window", case, "10,000 calls", name) for run in runs)
            yield row([case, bold(name), *(both(each) for each in found)])
    yield ""


def options(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what options cost."""
    yield "## What options cost\n"
    yield "Nanoseconds of a success · ratio to the empty wrapper.\n"
    yield from pairs("options", runs, ["policy", "option"], OURS)


def instructions(runs: Sequence[Run]) -> Iterator[str]:
    """Yield instructions per call, where they were counted."""
    if not any(each.group == "instructions" for run in runs for each in run.figures):
        return
    yield "## Instructions per success\n"
    yield "Counted by valgrind · ratio to the baseline of the kind. These repeat.\n"
    yield from table(["kind", "subject"], runs)
    places = dict.fromkeys(
        (each.shape, each.case, each.subject)
        for run in runs
        for each in run.figures
        if each.group == "instructions"
    )
    for shape, case, name in places:
        found = (run.find("instructions", case, shape, name) for run in runs)
        yield row([shape, f"{bold(name)} {case}", *(both(each) for each in found)])
    yield ""


def pairs(
    group: str, runs: Sequence[Run], heads: Sequence[str], name: str
) -> Iterator[str]:
    """Yield a row for each case and shape of one subject."""
    yield from table(heads, runs)
    places = dict.fromkeys(
        (each.case, each.shape)
        for run in runs
        for each in run.figures
        if each.group == group and each.subject == name
    )
    for case, shape in places:
        found = (run.find(group, case, shape, name) for run in runs)
        yield row([case, shape, *(both(each) for each in found)])
    yield ""


def herd(runs: Sequence[Run]) -> Iterator[str]:
    """Yield how many get in at half-open."""
    yield "## Everybody arrives at half-open\n"
    yield (
        "1,000 asyncio tasks, or 50 threads, call at once when the wait is over; one probe "
        "is allowed. Inside before the first came back / most at a time / in all.\n"
    )
    yield from table(["who", "library"], runs)
    for case, who in (("async", "1,000 tasks"), ("sync", "50 threads")):
        for name in by_cost("herd", case, "first wave", runs):
            yield row([who, bold(name), *(counts(run, case, name) for run in runs)])
    yield ""


def facades(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what each facade takes, against the library it stands in for."""
    yield "## Facades against their originals\n"
    yield (
        "`recloser.compat.*`, nanoseconds · ratio to the original doing the same. Limits "
        "are among the goals above.\n"
    )
    yield from pairs("compat", runs, ["library", "work"], OURS)


def counts(run: Run, case: str, name: str) -> str:
    """Return first wave, peak and total."""
    found = [
        run.find("herd", case, part, name) for part in ("first wave", "peak", "total")
    ]
    return " / ".join("-" if each is None else number(each.value) for each in found)


def plain(title: str, group: str, runs: Sequence[Run], note: str) -> Iterator[str]:
    """Yield values without ratios."""
    yield f"## {title}\n"
    yield f"{note}\n"
    yield from table(["what", "subject"], runs)
    places = dict.fromkeys(
        (each.case, each.shape, each.subject)
        for run in runs
        for each in run.figures
        if each.group == group
    )
    for case, shape, name in places:
        found = [run.find(group, case, shape, name) for run in runs]
        values = ("-" if each is None else number(each.value) for each in found)
        yield row([" · ".join(filter(None, (case, shape))), bold(name), *values])
    yield ""


def libraries(runs: Sequence[Run]) -> Iterator[str]:
    """Yield versions, notes, and what was not measured."""
    yield "## Versions\n"
    load_adapters()
    versions = {name: held for run in runs for name, held in run.libraries.items()}
    for name, version in versions.items():
        note = LIBRARIES[name].note if name in LIBRARIES else ""
        yield f"- {name} {version}{': ' if note else ''}{note}"
    for run in runs:
        for name, reason in run.missing.items():
            yield f"- not measured on {short(run)}: {name} ({reason})"
