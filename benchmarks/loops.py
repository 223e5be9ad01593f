"""Timing loops: one function per subject, its calls written out ten times."""

from __future__ import annotations

import asyncio
import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from textwrap import indent
from time import process_time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNROLLED: Final = 10
"""Calls written out per step of a loop, so that the loop itself weighs little."""

_PLAIN = """\
def loop(steps, now, {names}):
    start = now()
    for _ in steps:
{body}
    return now() - start
"""


@dataclass(frozen=True)
class Subject:
    """One thing to be timed.

    Attributes:
        name: Of the library, or "(ref) ..." for what Python itself charges.
        statement: One call, as source. `{i}` in it is the call's number, 0 to 9.
        names: What the statement refers to, handed to the loop as locals.
        baseline: Name of the subject it is divided by; "" for none.
        aio: The statement awaits.
    """

    name: str
    statement: str
    names: dict[str, Any] = field(default_factory=dict[str, Any])
    baseline: str = ""
    aio: bool = False


class Loop:
    """A compiled timing loop for one subject. Not for several threads at once."""

    def __init__(self, subject: Subject, runner: asyncio.Runner) -> None:
        """Compile the source."""
        self.subject = subject
        self._runner = runner
        self._run = compile_loop(subject)

    def seconds(self, steps: int) -> float:
        """Run `UNROLLED * steps` calls and return the processor time they took.

        It leaves out the turns of other programs; all threads of ours are in it.
        """
        started = self._run(repeat(None, steps), process_time, **self.subject.names)
        taken: float = self._runner.run(started) if self.subject.aio else started
        return taken


def compile_loop(subject: Subject) -> Callable[..., Any]:
    """Return `loop(steps, now, **names)`, a coroutine function where it awaits."""
    source = ("async " if subject.aio else "") + _PLAIN.format(
        names=", ".join(subject.names), body=indent(_body(subject), " " * 8)
    )
    space: dict[str, Any] = {}
    code = compile(source, f"<timing loop of {subject.name}>", "exec")
    exec(code, space)  # noqa: S102 - the source is ours: see `_PLAIN`
    return space["loop"]  # type: ignore[no-any-return] # made by exec


def _body(subject: Subject) -> str:
    return "\n".join(
        subject.statement.replace("{i}", str(number)) for number in range(UNROLLED)
    )


@contextmanager
def quiet() -> Iterator[asyncio.Runner]:
    """Collect garbage now and not again inside; hand out one event loop."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        with asyncio.Runner() as runner:
            yield runner
    finally:
        gc.enable()
        gc.unfreeze()
