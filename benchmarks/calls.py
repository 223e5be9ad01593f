"""Successes: by policy, by kind of function, by shape of call, and as blocks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from . import references as ref
from .figures import Figure, from_summaries
from .loops import UNROLLED, Subject
from .rounds import Plan, measure
from .subjects import OURS, POLICIES, Guards, Library, Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FIELDS: Final = {
    "sync": "sync",
    "async": "aio",
    "generator": "generator",
    "async generator": "agenerator",
}
"""Kind of function, and the decorator of `Guards` for it."""
MAIN: Final = "f(1, 2)"
"""The shape on which rivals are measured."""


def decorated(
    kind: str, libraries: Sequence[Library], plan: Plan, shapes: Sequence[str]
) -> Iterator[Figure]:
    """Yield successes of decorated functions of one kind."""
    for policy in POLICIES:
        for shape in shapes:
            subjects = [*reference_subjects(kind, shape)]
            for each in libraries:
                if each.name == OURS or shape == MAIN:
                    subjects += guarded(each, kind, shape, policy)
            yield from from_summaries(kind, policy, shape, measure(subjects, plan))


def guarded(each: Library, kind: str, shape: str, policy: str) -> Iterator[Subject]:
    """Yield the library's subject, if it has the policy and guards such functions."""
    asked = Setup(policy)
    setup = each.plainest(asked) if policy == "streak" else asked
    if setup.policy not in each.policies:
        return
    decorate = getattr(each.guards(setup), FIELDS[kind])
    if decorate is None:
        return
    suffix = "" if setup.policy == policy else f" ({setup.policy})"
    yield subject(f"{each.name}{suffix}", kind, shape, decorate)


def reference_subjects(kind: str, shape: str) -> Iterator[Subject]:
    """Yield the bare function, the empty wrapper, and the floor."""
    yield subject(ref.BARE, kind, shape, lambda function: function)
    yield subject(ref.WRAPPER, kind, shape, ref.empty_wrapper(kind))
    if kind in {"sync", "async"}:
        wrapper = ref.signature_wrapper(kind, shape)
        yield subject(ref.SIGNATURE, kind, shape, wrapper)


def subject(
    name: str, kind: str, shape: str, decorate: Callable[[Any], Any]
) -> Subject:
    """Decorate a new function and return what times a call of it."""
    return Subject(
        name,
        ref.call_of(kind, shape),
        ref.names_of(shape, decorate(ref.function(kind, shape))),
        baseline=ref.WRAPPER,
        aio=kind.startswith("async"),
    )


def blocks(*, aio: bool, libraries: Sequence[Library], plan: Plan) -> Iterator[Figure]:
    """Yield successes of `with` or `async with` blocks."""
    group = "async with" if aio else "with"
    for policy in POLICIES:
        subjects = [
            Subject(ref.MANAGER, f"{group} m: pass", {"m": ref.NoOp()}, aio=aio)
        ]
        for each in libraries:
            setup = (
                each.plainest(Setup(policy)) if policy == "streak" else Setup(policy)
            )
            if setup.policy in each.policies:
                subjects += block(each, setup, aio=aio)
        yield from from_summaries(group, policy, "", measure(subjects, plan))


def block(each: Library, setup: Setup, *, aio: bool) -> Iterator[Subject]:
    """Yield the library's block, if it has one."""
    guards: Guards = each.guards(setup)
    manager = guards.ablock if aio else guards.block
    if manager is None:
        return
    entry = guards.aentry if aio else guards.entry
    statement = f"{'async with' if aio else 'with'} {entry}: pass"
    yield Subject(each.name, statement, {"m": manager}, ref.MANAGER, aio)


def many(libraries: Sequence[Library], plan: Plan) -> Iterator[Figure]:
    """Yield successes of ten breakers called in turn, each with its own function.

    One breaker called again and again flatters a library whose wrappers share a code
    object: what the interpreter learned about one would have to hold for all.
    """
    for policy in ("streak", "count", "time"):
        subjects = [ten(ref.WRAPPER, lambda: ref.empty_wrapper("sync"))]
        subjects += [
            ten(each.name, partial(new_guard, each, policy))
            for each in libraries
            if each.name == OURS
        ]
        figures = measure(subjects, plan)
        yield from from_summaries("ten breakers", policy, MAIN, figures)


def new_guard(each: Library, policy: str) -> Any:
    """Return the decorator of a new breaker."""
    return each.guards(Setup(policy)).sync


def ten(name: str, decorator: Callable[[], Any]) -> Subject:
    """Return ten guarded functions called one after the other."""
    functions = {
        f"f{number}": decorator()(ref.function("sync", MAIN))
        for number in range(UNROLLED)
    }
    return Subject(name, "f{i}(1, 2)", functions, ref.WRAPPER)
