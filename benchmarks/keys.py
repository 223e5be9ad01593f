"""Many keys in one bounded group: does it stay within its bound, and at what price?

Every key is new, as hosts in a crawl or tenants under attack are; each makes one call.
"""

from __future__ import annotations

import gc
import importlib
import sys
from time import process_time
from typing import TYPE_CHECKING, Any, Final

from .figures import Figure
from .subjects import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND: Final = 10_000


def keys(number: int) -> Iterator[Figure]:
    """Yield breakers alive, growth of the process, and time per new key."""
    lib: Any = importlib.import_module("recloser")
    group = lib.BreakerGroup("keys", max_size=BOUND)
    call_each(group, 0, 2 * BOUND)
    before, began = peak_megabytes(), process_time()
    call_each(group, 2 * BOUND, number)
    taken = process_time() - began
    grown = peak_megabytes() - before
    gc.collect()
    alive = sum(type(each) is lib.CircuitBreaker for each in gc.get_objects())
    case = f"{number:,} keys, at most {BOUND:,}"
    yield Figure("keys", case, "in the group", OURS, len(group), "breakers")
    yield Figure("keys", case, "alive", OURS, alive, "breakers")
    yield Figure("keys", case, "growth after 20,000 keys", OURS, grown, "MB")
    each = taken / (number - 2 * BOUND)
    yield Figure("keys", case, "new key and one call", OURS, each * 1e9, "ns")


def call_each(group: Any, first: int, beyond: int) -> None:
    """Make one good call through the breaker of every key."""
    for key in range(first, beyond):
        with group[key]:
            pass


def peak_megabytes() -> float:
    """Return the most memory this process has had; 0 where nobody says."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
