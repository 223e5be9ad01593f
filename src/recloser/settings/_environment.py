"""The environment as tables: `RECLOSER_<NAME>__<SETTING>`, two underscores between parts.

    RECLOSER_PAYMENTS__TRIP=5
    RECLOSER_PAYMENTS__RECOVERY__BACKOFF=5
    RECLOSER_PAYMENTS__RECOVERY__MAXIMUM=300
    RECLOSER_PAYMENTS__INITIAL_STATE=disabled
    RECLOSER_HOSTS__TRIP={"failure_rate": 0.5, "window": {"calls": 100}}
    RECLOSER_DEFAULTS__PROBES=2

A name is written in capitals, with one underscore for each run of anything but letters
and digits: `payments-eu` is `PAYMENTS_EU`. A value that begins with a brace or a bracket
is JSON. A variable without two underscores, such as RECLOSER_DISABLED, is no setting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

_PREFIX = "RECLOSER_"
_BETWEEN = "__"
DEFAULTS = "DEFAULTS"

Table = dict[str, Any]  # plain values of any shape, until `Policy` has read them
Path = tuple[str, ...]


class Environment:
    """What the environment says of each name, and which variable said it.

    Frozen once made; safe to share.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read every variable that is a setting.

        Raises:
            ValueError: A variable is no JSON, or contradicts another.
        """
        self._tables: dict[str, Table] = {}
        self._sources: dict[Path, str] = {}
        for variable in sorted(environ):
            if variable.startswith(_PREFIX) and _BETWEEN in variable:
                self._add(variable, environ[variable])

    def _add(self, variable: str, text: str) -> None:
        name, *path = variable.removeprefix(_PREFIX).split(_BETWEEN)
        if not name or not all(path):
            msg = f"{variable}: must be {_PREFIX}<NAME>{_BETWEEN}<SETTING>"
            raise ValueError(msg)
        table = self._tables.setdefault(name, {})
        *above, last = (part.lower() for part in path)
        for depth, key in enumerate(above, 1):
            table = table.setdefault(key, {})
            self._refuse_overlap(variable, (name, *above[:depth]))
        table[last] = _value(variable, text)
        self._sources[name, *above, last] = variable

    def _refuse_overlap(self, variable: str, path: Path) -> None:
        other = self._sources.get(path)  # a shorter one sorts, and is read, before it
        if other is not None:
            msg = f"{variable}: {other} is set and says it all; set one of them"
            raise ValueError(msg)

    @property
    def tokens(self) -> list[str]:
        """Names that have settings, as the environment writes them, sorted."""
        return sorted(self._tables.keys() - {DEFAULTS})

    def over(self, token: str, table: Mapping[str, Any]) -> Table:
        """Return `table` with what the environment says of `token` laid over it."""
        return _merged(table, self._tables.get(token, {}))

    def source(self, token: str, path: Path) -> str | None:
        """Return the variable that set the value at `path`, or what holds it."""
        for depth in range(len(path), 0, -1):
            variable = self._sources.get((token, *path[:depth]))
            if variable is not None:
                return variable
        return None


def token_of(name: str) -> str:
    """Return a name as the environment writes it: `payments-eu` is `PAYMENTS_EU`."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


def _value(variable: str, text: str) -> object:
    if not text.lstrip().startswith(("{", "[")):
        return text.strip()
    try:
        return cast("object", json.loads(text))
    except ValueError as error:
        msg = f"{variable}: must be JSON, got {text!r} ({error})"
        raise ValueError(msg) from None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    """Lay `above` over `below`, going into the tables that both have."""
    merged = dict(below)
    for key, value in above.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(cast("Table", before), cast("Table", value))
        else:
            merged[key] = value
    return merged
