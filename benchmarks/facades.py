"""Each facade of `recloser.compat` against the library it stands in for."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from . import rare
from . import references as ref
from .calls import FIELDS, MAIN, subject
from .figures import Figure, from_summaries
from .rounds import Plan, measure
from .subjects import LIBRARIES, OURS, Guards, Setup, load_adapters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .loops import Subject

GROUP: Final = "compat"
FACADES: Final = {
    "pybreaker": "pybreaker",
    "aiobreaker": "aiobreaker",
    "circuitbreaker": "circuitbreaker",
    "aiocircuitbreaker": "aiocircuitbreaker",
    "djanorm": "dorm",
    "escudeiro": "escudeiro",
}
"""Name of the distribution, and of the facade."""
KINDS: Final = {
    "pybreaker": ("sync",),
    "aiobreaker": ("sync", "async"),
    "circuitbreaker": ("sync", "async"),
    "aiocircuitbreaker": ("async",),
    "djanorm": ("sync", "async"),
    "escudeiro": ("async",),
}
"""The kinds of function the original guards. What only ours guards has no rival."""
WORKS: Final = ("success", "failure", "rejection")
ORIGINAL: Final = "the original"


def facades(plan: Plan) -> Iterator[Figure]:
    """Yield successes, counted failures and rejections, ours beside the original.

    The same adapter sets both up. An original that is not installed is left out, and
    said on stderr.
    """
    load_adapters()
    for name, facade in FACADES.items():
        library = LIBRARIES[name]
        try:
            genuine = importlib.import_module(library.module)
        except Exception as error:  # noqa: BLE001 - a rival may fail in any way
            sys.stderr.write(f"NOT MEASURED: {name}: {type(error).__name__}: {error}\n")
            continue
        ours = importlib.import_module(f"recloser.compat.{facade}")
        makers = {
            ORIGINAL: partial(library.make, genuine),
            OURS: partial(library.make, ours),
        }
        for kind in KINDS[name]:
            yield from compared(name, kind, makers, plan)


def compared(
    name: str, kind: str, makers: dict[str, Callable[[Setup], Guards]], plan: Plan
) -> Iterator[Figure]:
    """Yield the three works of one library for one kind of function."""
    for work in WORKS:
        subjects = [
            made
            for label, make in makers.items()
            if (made := _subject(label, work, kind, make)) is not None
        ]
        found = measure(subjects, plan)
        yield from from_summaries(GROUP, name, f"{kind} {work}", found)


def _subject(
    label: str, work: str, kind: str, make: Callable[[Setup], Guards]
) -> Subject | None:
    if work == "success":
        decorate = _decorator(make(Setup()), kind)
        made = subject(label, kind, MAIN, decorate)
    elif work == "failure":
        guards = make(Setup())
        if guards.rejection is None:  # escudeiro's calls sit the wait out
            guards = make(Setup(wait=0.0))
        made = rare.failing(label, kind, _decorator(guards, kind))
    else:
        guards = make(Setup(threshold=rare.TRIPS_AT))
        if guards.rejection is None:
            return None
        function = ref.function(kind, MAIN, rare.FAILS, Boom=ref.Boom)
        opened = _decorator(guards, kind)(function)
        rare.trip(label, partial(rare.ending, kind, opened), guards.rejection)
        made = rare.rejected(label, kind, opened, guards.rejection)
    return replace_baseline(made)


def replace_baseline(made: Subject) -> Subject:
    """Divide by the original instead of by a wrapper."""
    return type(made)(made.name, made.statement, made.names, ORIGINAL, made.aio)


def _decorator(guards: Guards, kind: str) -> Any:
    return getattr(guards, FIELDS[kind])
