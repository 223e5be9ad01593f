"""The blocks of dorm's circuit breaker: which ones were entered, and when.

`__exit__` is not told which of a breaker's blocks ends. A chain of notes in the context,
so one for each task and each thread, tells it.
"""

from __future__ import annotations

from contextlib import AsyncContextDecorator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ._trial import Trial

Admission = tuple[int, "Trial | None"]
"""The period a block was let in, and the place it holds, if any."""

Note = list[Any]
"""Breaker (None once the block was left), period, the note around, and the place.

Marked when the block is left, instead of being taken off: setting a context variable
costs more than the whole of a success.
"""

BreakerT = TypeVar("BreakerT")

_entered: ContextVar[Note | None] = ContextVar("entered", default=None)

# Bound once: looking a method of a context variable up costs more than calling it.
innermost = _entered.get
"""Return the note of the block last entered in this context, or None."""
set_innermost = _entered.set
"""Make a note the innermost one."""


def note_of(breaker: object, note: Note | None, period: int) -> Note:
    """Return the innermost note of `breaker`, from `note` outwards.

    A block left in another context than it was entered in has none: it counts as entered
    just now, in `period`, as with the original.
    """
    while note is not None and note[0] is not breaker:
        note = note[2]
    return [breaker, period, None, None] if note is None else note


class Protection(AsyncContextDecorator, Generic[BreakerT]):
    """What `aprotect` returns; also a decorator for coroutine functions."""

    def __init__(
        self,
        breaker: BreakerT,
        admit: Callable[[], Admission],
        count: Callable[..., None],
    ) -> None:
        self._breaker = breaker
        self._admit = admit
        self._count = count

    def _recreate_cm(self) -> Self:  # called by the decorator, for each call
        return type(self)(self._breaker, self._admit, self._count)

    async def __aenter__(self) -> BreakerT:
        self._admission = self._admit()
        return self._breaker

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._count(self._admission, exc_type, exc)
