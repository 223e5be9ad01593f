"""Bytes per breaker with one guarded function, by tracemalloc over many of them."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from . import references as ref
from .figures import Figure
from .subjects import OURS, Library, Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

USED_PART: Final = 10
"""One in so many breakers is enough for those whose calls are counted under tracing."""
NEW: Final = "new"
USED: Final = "100 successes"
FAILED: Final = "90 of 100 failed"
_FAILS: Final = "if a:\n    raise Boom"


def memory(libraries: Sequence[Library], number: int) -> Iterator[Figure]:
    """Yield bytes per breaker: new, and for ours after use as well."""
    wrapper = Crowd("", ref.WRAPPER, partial(ref.empty_wrapper, "sync"))
    yield from sizes(wrapper, number)
    for each in libraries:
        for policy in each.policies if each.name == OURS else each.policies[:1]:
            kind = "sync" if each.guards(Setup(policy)).sync else "async"
            decorator = partial(new_guard, each, policy)
            yield from sizes(Crowd(policy, each.name, decorator, kind), number)
            if each.name == OURS:
                used = Crowd(policy, each.name, decorator, used=True)
                yield from sizes(used, number // USED_PART)


def new_guard(each: Library, policy: str) -> Any:
    """Return the decorator of a new breaker."""
    guards = each.guards(Setup(policy))
    return guards.sync or guards.aio


@dataclass(frozen=True)
class Crowd:
    """Many breakers of one kind, weighed when new, or, if `used`, after calls."""

    policy: str
    name: str
    decorator: Callable[[], Any]
    kind: str = "sync"
    used: bool = False


def sizes(crowd: Crowd, number: int) -> Iterator[Figure]:
    """Yield bytes per guarded function, its own function and the list not counted."""
    functions = [
        ref.function(crowd.kind, "f(1, 2)", _FAILS, Boom=ref.Boom)
        for _ in range(number)
    ]
    kept: list[Any] = [crowd.decorator()(functions[0])] * number
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for place, function in enumerate(functions):
        kept[place] = crowd.decorator()(function)

    def figure(state: str) -> Figure:
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        return Figure("memory", crowd.policy, state, crowd.name, held / number, "B")

    try:
        if not crowd.used:
            yield figure(NEW)
        else:
            use(kept, ok=100, failing=0)
            yield figure(USED)
            use(kept, ok=10, failing=90)
            yield figure(FAILED)
    finally:
        tracemalloc.stop()


def use(kept: list[Any], ok: int, failing: int) -> None:
    """Call every function, first with success, then failing."""
    for function in kept:
        for _ in range(ok):
            function(0, 2)
        for _ in range(failing):
            with suppress(ref.Boom):
                function(1, 2)
