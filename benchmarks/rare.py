"""Failures that are counted, rejections while open, and windows of two sizes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from . import references as ref
from .calls import FIELDS, MAIN
from .figures import Figure, from_summaries
from .loops import Subject
from .rounds import Plan, measure
from .subjects import POLICIES, Library, Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TRIPS_AT: Final = 5
ATTEMPTS: Final = 200
"""Failing calls after which a breaker that still admits is not going to open."""
SIZES: Final = (100, 10_000)
FAILS: Final = "if a:\n    raise Boom\nreturn 7"
_GUARDED: Final = "try:\n    {call}\nexcept E:\n    pass"


class NotOpenedError(Exception):
    """An adapter did not open its breaker, so there is no rejection to time."""


def failures(kind: str, libraries: Sequence[Library], plan: Plan) -> Iterator[Figure]:
    """Yield counted failures that never trip: nine of ten calls fail, one succeeds.

    The one keeps every failure rate below 1, which is where all breakers trip here.
    """
    for policy in POLICIES:
        subjects = [
            failing(ref.BARE, kind, lambda function: function),
            failing(ref.WRAPPER, kind, ref.empty_wrapper(kind)),
        ]
        for each in libraries:
            setup = (
                each.plainest(Setup(policy)) if policy == "streak" else Setup(policy)
            )
            decorate = decorator(each, kind, setup)
            if decorate is not None:
                subjects.append(failing(each.name, kind, decorate))
        found = measure(subjects, plan)
        yield from from_summaries(f"{kind} failure", policy, MAIN, found)


def decorator(each: Library, kind: str, setup: Setup) -> Any:
    """Return the library's decorator, or None if it cannot do this work.

    A library that never rejects makes callers wait for its dependency to come back.
    """
    if setup.policy not in each.policies:
        return None
    guards = each.guards(setup)
    return getattr(guards, FIELDS[kind]) if guards.rejection else None


def failing(
    name: str, kind: str, decorate: Any, baseline: str = ref.WRAPPER
) -> Subject:
    """Return calls of which nine in ten raise."""
    function = decorate(ref.function(kind, MAIN, FAILS, Boom=ref.Boom))
    call = "await f({i}, 2)" if kind == "async" else "f({i}, 2)"
    names = {"f": function, "E": ref.Boom}
    statement = _GUARDED.replace("{call}", call)
    return Subject(name, statement, names, baseline, kind == "async")


def rejections(kind: str, libraries: Sequence[Library], plan: Plan) -> Iterator[Figure]:
    """Yield rejections by an open breaker."""
    raising = "raise E('b', 'open', 3600.0, 'a reason', None)"
    function = ref.function(kind, MAIN, raising, E=ref.SameFields)
    subjects = [rejected(ref.RAISING, kind, function, ref.SameFields)]
    for each in libraries:
        policy = "streak" if "streak" in each.policies else each.policies[0]
        guards = each.guards(Setup(policy, threshold=TRIPS_AT))
        decorate = getattr(guards, FIELDS[kind])
        if decorate is not None and guards.rejection is not None:
            opened = decorate(ref.function(kind, MAIN, FAILS, Boom=ref.Boom))
            trip(each.name, partial(ending, kind, opened), guards.rejection)
            subjects.append(rejected(each.name, kind, opened, guards.rejection))
    found = measure(subjects, plan)
    yield from from_summaries(f"{kind} rejection", "open", MAIN, found)


def rejected(name: str, kind: str, function: Any, error: type) -> Subject:
    """Return calls that are all rejected."""
    statement = _GUARDED.replace("{call}", ref.call_of(kind, MAIN))
    names = {"f": function, "E": error}
    return Subject(name, statement, names, ref.RAISING, kind == "async")


def trip(
    name: str, call: Callable[[int], object], rejection: type[BaseException]
) -> None:
    """Fail until the breaker rejects a call that would have succeeded.

    Args:
        name: Of the library, for the error.
        call: Makes a call that fails if its argument is 1, and returns how it ended.
        rejection: What a rejected call raises.

    Raises:
        NotOpenedError: It never does.
    """
    for _ in range(ATTEMPTS):
        if isinstance(call(1), rejection) and isinstance(call(0), rejection):
            return
    raise NotOpenedError(name)


def ending(kind: str, function: Any, argument: int) -> object:
    """Make one call and return its result or its error."""
    try:
        if kind == "async":
            return asyncio.run(function(argument, 2))
        return function(argument, 2)
    except Exception as error:  # noqa: BLE001 - the error is the result
        return error


def windows(libraries: Sequence[Library], plan: Plan) -> Iterator[Figure]:
    """Yield successes and failures with a full window of 100 and of 10,000 calls."""
    for each in libraries:
        if "count" not in each.policies:
            continue
        for case in ("success", "failure"):
            found = measure([*of_two_sizes(each, case)], plan)
            for size in SIZES:
                part = {each.name: found[str(size)]} if str(size) in found else {}
                yield from from_summaries("window", case, f"{size:,} calls", part)


def of_two_sizes(each: Library, case: str) -> Iterator[Subject]:
    """Yield the same work for two sizes, with full windows; the small is the baseline."""
    for size in SIZES:
        decorate = decorator(each, "sync", Setup("count", size))
        subject = failing(str(size), "sync", decorate, str(SIZES[0]))
        function = subject.names["f"]
        for number in range(max(SIZES)):
            ending("sync", function, number % 10 if case == "failure" else 0)
        if case == "success":
            names = {"f": function}
            subject = Subject(str(size), "f(0, 2)", names, str(SIZES[0]))
        yield subject
