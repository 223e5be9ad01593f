"""Settings that make breakers, and can change while these run."""

from __future__ import annotations

import os
import threading
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, cast, final

from .. import BreakerGroup, CircuitBreaker, Policy
from ._environment import token_of
from ._tables import POLICY_KEYS, Entry, Section, Tables

_USUAL_SIZE = 10_000  # as for a group that is made by hand
T = TypeVar("T", CircuitBreaker, BreakerGroup)


@final
class Settings:
    """Makes breakers and groups as the settings say, and keeps them as they say.

    What is said of a name comes, strongest first, from: its variables in the environment,
    its table, `RECLOSER_DEFAULTS__…`, the table `defaults`, and `Policy`'s own defaults.
    A name that the settings do not mention gets the defaults.

    Holds what it made strongly, so that settings that change find it again. Safe for
    threads.

    Args:
        table: `{"defaults": {…}, "breakers": {name: {…}}, "groups": {name: {…}}}`, each
            optional. The inner tables have the keys of `Policy.from_mapping`, and
            `initial_state` (any state but half_open); groups have `max_size`, too.
        environ: Variables as `RECLOSER_<NAME>__<SETTING>`; see `from_environment`.
            Default none.

    Raises:
        TypeError, ValueError: A value is bad; the message begins with the path to it,
            `breakers.payments.trip.failure_rate`, or with its variable.
    """

    def __init__(
        self,
        table: Mapping[str, Any] | None = None,  # plain values of any shape
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check everything; make nothing yet."""
        if environ is not None and not isinstance(cast("object", environ), Mapping):
            msg = f"environ must be a mapping of variables, got {environ!r}"
            raise TypeError(msg)
        self._tables = Tables({} if table is None else table, environ or {})
        self._lock = threading.RLock()
        self._breakers: dict[str, tuple[CircuitBreaker, dict[str, Any]]] = {}
        self._groups: dict[str, tuple[BreakerGroup, dict[str, Any]]] = {}
        self._sizes: dict[str, int] = {}
        self._asked: dict[str, str] = {}  # by the name as the environment writes it

    @classmethod
    def from_toml(
        cls,
        path: str | os.PathLike[str],
        *,
        table: str = "recloser",
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Read a table of a TOML file.

        Args:
            path: The file.
            table: Dotted name of the table, such as `tool.recloser`. Default `recloser`.
            environ: As for the class; `os.environ` lets the environment override the file.

        Raises:
            OSError: The file cannot be read.
            TypeError, ValueError: It is no TOML, has no such table, or a value is bad;
                the message begins with the file's name.
        """
        content = Path(path).read_bytes()
        try:
            whole = tomllib.loads(content.decode())
            return cls(_inner(whole, table), environ=environ)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            msg = f"{os.fspath(path)}: {error}"
            raise kind(msg) from None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment alone: `RECLOSER_PAYMENTS__TRIP=5`.

        Parts are joined by two underscores: the name in capitals, with one underscore
        for each run of anything but letters and digits, then the setting and what is
        inside it (`RECLOSER_PAYMENTS__RECOVERY__BACKOFF=5`). A value that begins with a
        brace or a bracket is JSON. `RECLOSER_DEFAULTS__…` is for every name.

        Args:
            environ: Default `os.environ`, read once.
        """
        return cls(environ=os.environ if environ is None else environ)

    def policy(self, name: str) -> Policy:
        """Return what the settings say of a breaker, without making it."""
        return self._tables.entry("breakers", name).policy

    def breaker(
        self, name: str, **options: Any
    ) -> CircuitBreaker:  # those of CircuitBreaker
        """Return the breaker of this name, made when first asked for.

        Args:
            name: Its name, in the settings or not.
            options: What settings cannot hold: `ignore`, `failures`, `listeners`,
                `share` … Give them at one place only; later calls may leave them out.

        Raises:
            ValueError: It was made with other options, or two names are one to the
                environment, which has settings for it.
            TypeError: An option belongs in the settings.
        """

        def make(entry: Entry) -> CircuitBreaker:
            return CircuitBreaker(
                name,
                policy=entry.policy,
                initial_state=entry.initial_state,
                **options,
            )

        return self._made("breakers", self._breakers, name, options, make)

    def group(
        self, name: str, **options: Any
    ) -> BreakerGroup:  # those of CircuitBreaker
        """Return the group of this name, made when first asked for; see `breaker`."""

        def make(entry: Entry) -> BreakerGroup:
            size = _USUAL_SIZE if entry.max_size is None else entry.max_size
            self._sizes[name] = size
            return BreakerGroup(
                name,
                max_size=size,
                policy=entry.policy,
                initial_state=entry.initial_state,
                **options,
            )

        return self._made("groups", self._groups, name, options, make)

    @property
    def breakers(self) -> list[CircuitBreaker]:
        """The breakers made so far, by name."""
        return [made for _, (made, _) in sorted(self._breakers.items())]

    @property
    def groups(self) -> list[BreakerGroup]:
        """The groups made so far, by name."""
        return [made for _, (made, _) in sorted(self._groups.items())]

    @property
    def unused(self) -> list[str]:
        """What the settings name and nobody has asked for yet: often a misspelt name."""
        with self._lock:
            made = {
                *(("breakers", name) for name in self._breakers),
                *(("groups", name) for name in self._groups),
            }
            tables = [f"{s}.{n}" for s, n in self._tables.names if (s, n) not in made]
            named = {token_of(name) for _, name in self._tables.names}
            tokens = set(self._tables.tokens()) - named - self._asked.keys()
        return [*tables, *(f"RECLOSER_{token}" for token in sorted(tokens))]

    def update(self, new: Settings) -> list[str]:
        """Take over other settings while running; state and evidence stay.

        Every breaker and group that was made here gets the policy that `new` says, also
        if code had reconfigured it. `initial_state` is for the making only.

        Args:
            new: Settings that were read, and so checked, anew.

        Returns:
            Names of those that changed, sorted.

        Raises:
            TypeError: `new` is no `Settings`.
            ValueError: `new` has another `max_size` for a group that exists. Nothing was
                changed.
        """
        if not isinstance(cast("object", new), Settings):
            msg = f"new must be Settings, got {new!r}"
            raise TypeError(msg)
        with self._lock:
            changes = [*self._changes(new._tables)]
            self._tables = new._tables
            for made, policy in changes:
                made.reconfigure(policy=policy)
        return sorted(made.name for made, _ in changes)

    def _changes(
        self, tables: Tables
    ) -> list[tuple[CircuitBreaker | BreakerGroup, Policy]]:
        changes: list[tuple[CircuitBreaker | BreakerGroup, Policy]] = []
        for name, (breaker, _) in self._breakers.items():
            changes.append((breaker, tables.entry("breakers", name).policy))
        for name, (group, _) in self._groups.items():
            after, size = tables.entry("groups", name), self._sizes[name]
            if after.max_size not in {None, size}:
                msg = (
                    f"groups.{name}.max_size: cannot change while it runs ({size}), "
                    f"got {after.max_size}"
                )
                raise ValueError(msg)
            changes.append((group, after.policy))
        return [(made, policy) for made, policy in changes if made.policy != policy]

    def _made(
        self,
        section: Section,
        shelf: dict[str, tuple[T, dict[str, Any]]],
        name: str,
        options: dict[str, Any],
        make: Callable[[Entry], T],
    ) -> T:
        if not isinstance(cast("object", name), str):
            msg = f"name must be a string, got {name!r}"
            raise TypeError(msg)
        _refuse_settings(section, name, options)
        with self._lock:
            if name not in shelf:
                entry = self._tables.entry(section, name)
                self._refuse_namesake(name)
                shelf[name] = (make(entry), options)
            made, before = shelf[name]
        if options and options != before:
            msg = (
                f"{name!r} was made with other options: give them at one place, "
                "and elsewhere only the name"
            )
            raise ValueError(msg)
        return made

    def _refuse_namesake(self, name: str) -> None:
        token = token_of(name)
        other = self._asked.setdefault(token, name)
        if other != name and token in self._tables.tokens():
            msg = f"RECLOSER_{token}__… is meant for both {other!r} and {name!r}"
            raise ValueError(msg)


def _inner(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the table of a dotted name; what is no mapping is refused by its reader."""
    found: Any = whole
    for key in name.split("."):
        if not isinstance(found, dict) or key not in found:
            msg = f"has no table [{name}]"
            raise ValueError(msg)
        found = cast("dict[str, Any]", found)[key]
    return cast("Mapping[str, Any]", found)


def _refuse_settings(section: str, name: str, options: Mapping[str, object]) -> None:
    for option in (POLICY_KEYS | {"policy", "initial_state", "max_size"}) & set(
        options
    ):
        msg = f"{option} belongs in the settings: {section}.{name}.{option}"
        raise TypeError(msg)
