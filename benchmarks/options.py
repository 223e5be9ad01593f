"""What options cost those who use them, against the same breaker without."""

from __future__ import annotations

import importlib
import tempfile
from typing import TYPE_CHECKING, Any

from . import references as ref
from .calls import MAIN, subject
from .figures import Figure, from_summaries
from .ours import breaker_guards
from .rounds import Plan, measure
from .subjects import OURS, Setup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .loops import Subject


def options(plan: Plan) -> Iterator[Figure]:
    """Yield a success with each option: a result predicate, listeners, held states,
    and a breaker shared on the host."""
    lib = importlib.import_module("recloser")
    with tempfile.TemporaryDirectory() as folder:
        for policy in ("streak", "count", "time"):
            subjects = [
                subject(ref.WRAPPER, "sync", MAIN, ref.empty_wrapper("sync")),
                with_options("plain", lib, policy),
                with_options("failure_result", lib, policy, failure_result=is_failure),
                with_options("on_transition", lib, policy, listeners=[Openings()]),
                with_options("on_call", lib, policy, listeners=[Calls()]),
                *held(lib, policy),
                *shared(lib, policy, folder),
            ]
            for name, found in measure(subjects, plan).items():
                yield from from_summaries("options", policy, name, {OURS: found})


def with_options(name: str, lib: Any, policy: str, **more: Any) -> Subject:
    """Return a call guarded by our breaker with some options."""
    decorate = breaker_guards(lib, Setup(policy), **more).sync
    return subject(name, "sync", MAIN, decorate or ref.empty_wrapper("sync"))


def held(lib: Any, policy: str) -> Iterator[Subject]:
    """Yield a call in each state that is held and admits calls."""
    for state in (lib.State.METRICS_ONLY, lib.State.DISABLED):
        yield with_options(str(state), lib, policy, initial_state=state)


class Openings:
    """A listener that is told of transitions, and so of no success."""

    def on_transition(self, event: object) -> None:
        """Do nothing."""


class Calls:
    """A listener that is told of every call."""

    def on_call(self, event: object) -> None:
        """Do nothing."""


def shared(lib: Any, policy: str, folder: str) -> Iterator[Subject]:
    """Yield a call guarded by a breaker shared through memory, where there is one."""
    try:
        host = importlib.import_module("recloser.sharing").Host(directory=folder)
    except (ImportError, AttributeError, TypeError, OSError):
        return
    yield with_options("share=Host", lib, policy, share=host)


def is_failure(result: object) -> bool:
    """Take a result for a failure: never."""
    return result is False
