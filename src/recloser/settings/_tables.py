"""Plain tables in, checked values out; every error begins with the path to the bad one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from .. import Policy, State
from .._core import ranges
from ._environment import DEFAULTS, Environment, Table, token_of

Section = Literal["breakers", "groups"]

POLICY_KEYS = frozenset(
    {"trip", "recovery", "probes", "probe_concurrency", "probe_lease", "ramp"}
)
_KNOWN = {
    "defaults": POLICY_KEYS | {"initial_state"},
    "breakers": POLICY_KEYS | {"initial_state"},
    "groups": POLICY_KEYS | {"initial_state", "max_size"},
}
_STATES = [state.value for state in State if state is not State.HALF_OPEN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the settings say of one breaker or group."""

    policy: Policy
    initial_state: State
    max_size: int | None
    """Of a group; None where nothing is said."""


class Tables:
    """The settings of all names, checked. Frozen once made; safe to share."""

    def __init__(self, table: object, environ: Mapping[str, str]) -> None:
        """Read and check everything that is named.

        Raises:
            TypeError, ValueError: A value is bad; the message begins with its path or
                its variable.
        """
        sections = _mapping("settings", table)
        _only("", sections, frozenset(_KNOWN))
        self._environment = Environment(environ)
        self._defaults = self._environment.over(
            DEFAULTS, _mapping("defaults", sections.get("defaults", {}))
        )
        self._sections: dict[Section, dict[str, Table]] = {
            "breakers": _section("breakers", sections),
            "groups": _section("groups", sections),
        }
        self._read("defaults", "defaults", DEFAULTS, self._defaults)
        for section, name in self.names:
            self.entry(section, name)
        for token in self._strangers():
            table = {**self._defaults, **self._environment.over(token, {})}
            self._read(f"RECLOSER_{token}", "groups", token, table)

    @property
    def names(self) -> list[tuple[Section, str]]:
        """Section and name of what has a table of its own."""
        return [
            (section, name)
            for section, tables in self._sections.items()
            for name in tables
        ]

    def tokens(self) -> list[str]:
        """Names that the environment has settings for, as it writes them."""
        return self._environment.tokens

    def entry(self, section: Section, name: str) -> Entry:
        """Return what is said of a name; the defaults, where nothing is."""
        own = self._sections[section].get(name, {})
        token = token_of(name)
        table = {**self._defaults, **self._environment.over(token, own)}
        return self._read(f"{section}.{name}", section, token, table)

    def _strangers(self) -> list[str]:
        """Return what only the environment names, breaker or group."""
        known = {token_of(name) for _, name in self.names}
        return [token for token in self._environment.tokens if token not in known]

    def _read(self, path: str, section: str, token: str, table: Table) -> Entry:
        try:
            return _entry(section, table)
        except (TypeError, ValueError) as error:
            text = str(error)
            where = _place(text)
            variable = self._environment.source(token, where)
            msg = f"{path}.{text}"
            if variable is not None:
                rest = text.removeprefix(".".join(where) + ": ")
                msg = f"{variable}: {rest}"
            raise type(error)(msg) from None


def _place(text: str) -> tuple[str, ...]:
    """Return the path that an error of `Policy.from_mapping` begins with."""
    found = re.match(r"[\w.]+", text)
    return tuple(found[0].split(".")) if found else ()


def _entry(section: str, table: Table) -> Entry:
    _only("", table, _KNOWN[section])
    policy = {key: value for key, value in table.items() if key in POLICY_KEYS}
    return Entry(
        policy=Policy.from_mapping(policy),
        initial_state=_state(table.get("initial_state", State.CLOSED)),
        max_size=_size(table["max_size"]) if "max_size" in table else None,
    )


def _state(value: object) -> State:
    if isinstance(value, str) and value in _STATES:
        return State(value)
    msg = f"initial_state: must be one of {', '.join(_STATES)}, got {value!r}"
    raise ValueError(msg)


def _size(value: object) -> int:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return ranges.whole("max_size", value)


def _section(name: Section, sections: Table) -> dict[str, Table]:
    tables = _mapping(name, sections.get(name, {}))
    return {key: _mapping(f"{name}.{key}", table) for key, table in tables.items()}


def _mapping(path: str, value: object) -> Table:
    if isinstance(value, Mapping):
        table = dict(cast("Mapping[object, Any]", value))
        if all(isinstance(key, str) for key in table):
            return cast("Table", table)
    msg = f"{path}: must be a mapping with string keys, got {value!r}"
    raise TypeError(msg)


def _only(path: str, table: Table, known: frozenset[str]) -> None:
    for key in table:
        if key not in known:
            place = f"{path}.{key}" if path else key
            msg = f"{place}: unknown; known here: {', '.join(sorted(known))}"
            raise ValueError(msg)
