"""Counts that one C operation steps, so that nothing can come in its middle."""

from __future__ import annotations

import sys
from itertools import count, repeat
from operator import length_hint

from .._core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What it was built for, not how it is now: where it was built without the GIL, that is on
# for a moment whenever another thread imports an extension module.
HAS_GIL: bool = "free-threading" not in sys.version


def counter() -> Iterator[object]:
    """Return a count that one C operation steps: `next(...)`. Exact in every build."""
    return repeat(None, sys.maxsize) if HAS_GIL else count()


def steps_of(step: Iterator[object]) -> int:
    """Return how often a counter's iterator was stepped, changing nothing."""
    if HAS_GIL:
        return sys.maxsize - length_hint(step)
    return int(repr(step)[6:-1])  # count(123): its only non-destructive reading
