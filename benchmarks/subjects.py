"""Who is measured: a library, what it is told, and the guards it hands out."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER: Final = 10**9
"""A threshold that no benchmark reaches."""
POLICIES: Final = ("streak", "count", "time", "slow", "combined")
OURS: Final = "recloser"


@dataclass(frozen=True)
class Setup:
    """What a breaker is told, in terms that every library can be asked for.

    Attributes:
        policy: One of `POLICIES`: consecutive failures; a failure rate over the last
            `size` calls; over 60 seconds; that and slow calls; or all of them.
        size: Length of a count window, in calls.
        threshold: Failures that trip: in a row, or, for a rate, when every call fails.
        wait: Seconds to stay open.
    """

    policy: str = "streak"
    size: int = 100
    threshold: int = NEVER
    wait: float = 3600.0

    @property
    def minimum(self) -> int:
        """Calls a rate needs before it is judged."""
        return 10 if self.threshold == NEVER else self.threshold


@dataclass(frozen=True)
class Guards:
    """What one breaker of a library offers. What it does not offer is None.

    Attributes:
        sync: Decorator for functions.
        aio: Decorator for coroutine functions.
        generator: Decorator for generator functions.
        agenerator: Decorator for async generator functions.
        block: What `entry` needs; called `m` there.
        entry: What is written between `with` and the colon.
        ablock: What `aentry` needs; called `m` there.
        aentry: What is written between `async with` and the colon.
        rejection: What a rejected call raises; None if calls are never rejected.
    """

    sync: Callable[..., Any] | None = None
    aio: Callable[..., Any] | None = None
    generator: Callable[..., Any] | None = None
    agenerator: Callable[..., Any] | None = None
    block: Any = None
    entry: str = "m"
    ablock: Any = None
    aentry: str = "m"
    rejection: type[BaseException] | None = None


@dataclass(frozen=True)
class Library:
    """A library that can be measured.

    Attributes:
        name: Name of the distribution.
        module: Module to import.
        policies: Those of `POLICIES` it has; the first is its plainest.
        make: Builds the guards of one new breaker from the imported module.
        note: What to know when reading its figures.
    """

    name: str
    module: str
    policies: tuple[str, ...]
    make: Callable[[Any, Setup], Guards]
    note: str = ""

    @property
    def version(self) -> str:
        """Version that is installed, or "source" where there is no distribution."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return "source"

    def guards(self, setup: Setup) -> Guards:
        """Return the guards of a new breaker."""
        return self.make(importlib.import_module(self.module), setup)

    def plainest(self, setup: Setup) -> Setup:
        """Return the setup, with the nearest policy the library has."""
        if setup.policy in self.policies:
            return setup
        return Setup(self.policies[0], setup.size, setup.threshold, setup.wait)


LIBRARIES: Final[dict[str, Library]] = {}


def member(module: str, name: str) -> Any:
    """Return a name of a module that only some adapter needs."""
    return getattr(importlib.import_module(module), name)


def library(
    name: str, module: str, *policies: str, note: str = ""
) -> Callable[[Callable[[Any, Setup], Guards]], Callable[[Any, Setup], Guards]]:
    """Enter the decorated adapter in the table of libraries."""

    def enter(make: Callable[[Any, Setup], Guards]) -> Callable[[Any, Setup], Guards]:
        LIBRARIES[name] = Library(name, module, policies, make, note)
        return make

    return enter


def load_adapters() -> None:
    """Fill the table of libraries."""
    for table in ("ours", "rivals_streaks", "rivals_windows", "rivals_async"):
        importlib.import_module(f"{__package__}.{table}")


def installed(wanted: frozenset[str] | None) -> tuple[list[Library], dict[str, str]]:
    """Import what can be imported.

    Args:
        wanted: Names of the rivals to measure; None for all. Ours is always measured.

    Returns:
        The libraries, ours first, and for each that is missing the reason.
    """
    load_adapters()
    present: list[Library] = []
    missing: dict[str, str] = {}
    for each in LIBRARIES.values():
        if wanted is not None and each.name not in wanted | {OURS}:
            continue
        try:
            importlib.import_module(each.module)
        except Exception as error:  # noqa: BLE001 - a rival may fail in any way
            missing[each.name] = f"{type(error).__name__}: {error}"
            sys.stderr.write(f"NOT MEASURED: {each.name}: {missing[each.name]}\n")
        else:
            present.append(each)
    return present, missing
