"""A policy from plain values, with errors that show the path to the bad one.

The keys are those of `Policy`; a rule or a recovery policy is a mapping that names it:

    {"trip": {"any": [{"consecutive_failures": 5},
                      {"failure_rate": 0.5, "window": {"seconds": 60}},
                      {"false_trips": 1, "per": 2592000, "unacceptable": 0.5},
                      {"slow_call_rate": 0.8, "slower_than": 2, "window": {"calls": 100}}]},
     "recovery": {"backoff": 5, "factor": 2, "maximum": 300},
     "probes": 3,
     "ramp": {"steps": [0.25, 0.5, 1], "round": 1}}

A list of rules means any of them; a bare number means failures in a row, or seconds to
wait. `{"adaptive": 0.1, "maximum": 30}` names the fraction of the time dead, `{"shed": 2}`
its k, and `"ramp": true` the default ramp. Numbers may be strings, as the environment has
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .hints import Any, TypeVar, cast
from .recovery import Adaptive, Backoff, Recovery, Shed, Wait
from .shares import Ramp
from .trips import (
    AllOf,
    AnyOf,
    ConsecutiveFailures,
    FailureRate,
    FalseTripBudget,
    SlowCallRate,
    TripRule,
)
from .windows import CountWindow, TimeWindow, Window

_Table = dict[str, Any]
T = TypeVar("T")


def policy_fields(settings: object) -> _Table:
    """Return the arguments for `Policy` that `settings` describes."""
    table = _table("", settings)
    known = {"trip", "recovery", "probes", "probe_concurrency", "probe_lease", "ramp"}
    _only("", table, known)
    readers: dict[str, Callable[[str, object], object]] = {
        "trip": _trip,
        "recovery": _recovery,
        "ramp": _ramp,
    }
    return {key: readers.get(key, _number)(key, value) for key, value in table.items()}


def _trip(path: str, value: object) -> Any:  # a rule, or whatever `Policy` will refuse
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _made(path, AnyOf, *_each(path, cast("Sequence[object]", value)))
    if not isinstance(value, Mapping):
        return _number(path, value)
    table = _table(path, cast("object", value))
    for key, kind in (("any", AnyOf), ("all", AllOf)):
        if key in table:
            _only(path, table, {key})
            rules = _each(f"{path}.{key}", _list(f"{path}.{key}", table[key]))
            return _made(path, kind, *rules)
    return _rule(path, table)


def _each(path: str, values: Sequence[object]) -> list[TripRule]:
    rules = [_trip(f"{path}[{at}]", value) for at, value in enumerate(values)]
    if not rules:
        msg = f"{path}: must name at least one rule, got {values!r}"
        raise ValueError(msg)
    return [
        rule
        if isinstance(rule, TripRule)
        else _made(f"{path}[{at}]", ConsecutiveFailures, rule)
        for at, rule in enumerate(rules)
    ]


_RULES: dict[str, tuple[Callable[..., TripRule], set[str]]] = {
    "consecutive_failures": (ConsecutiveFailures, {"slower_than", "within"}),
    "failure_rate": (FailureRate, {"window", "minimum_calls"}),
    "slow_call_rate": (SlowCallRate, {"slower_than", "window", "minimum_calls"}),
    "false_trips": (FalseTripBudget, {"per", "unacceptable", "settle", "slower_than"}),
}


def _rule(path: str, table: _Table) -> TripRule:
    key = _one_of(path, table, [*_RULES, "any", "all"])
    kind, options = _RULES[key]
    return _named(path, table, key, kind, options)


def _recovery(path: str, value: object) -> Any:  # as for `_trip`
    if not isinstance(value, Mapping):
        return _number(path, value)
    table = _table(path, cast("object", value))
    key = _one_of(path, table, list(_RECOVERIES))
    kind, options = _RECOVERIES[key]
    return _named(path, table, key, kind, options)


_HINTED = {"jitter", "longest_hint"}
_RECOVERIES: dict[str, tuple[Callable[..., Recovery], set[str]]] = {
    "wait": (Wait, _HINTED),
    "backoff": (Backoff, {*_HINTED, "factor", "maximum", "fade"}),
    "adaptive": (
        Adaptive,
        {*_HINTED, "minimum", "maximum", "rejections", "waiver"},
    ),
    "shed": (Shed, {"memory", "floor"}),
}


def _ramp(path: str, value: object) -> Any:  # as for `_trip`
    if isinstance(value, str):
        words = {"true": True, "1": True, "false": False, "0": False}
        return words.get(value.strip().lower(), value)
    if not isinstance(value, Mapping):
        return value
    table = _table(path, cast("object", value))
    _only(path, table, set(Ramp._fields))  # pyright: ignore[reportPrivateUsage]
    fields = {
        name: [_number(f"{path}.steps", step) for step in _list(f"{path}.steps", given)]
        if name == "steps"
        else _number(f"{path}.{name}", given)
        for name, given in table.items()
    }
    return _made(path, Ramp, **fields)


def _window(path: str, value: object) -> Window:
    table = _table(path, value)
    key = _one_of(path, table, ["seconds", "calls"])
    kind: Callable[..., Window] = TimeWindow if key == "seconds" else CountWindow
    return _named(path, table, key, kind, set())


def _named(
    path: str, table: _Table, key: str, kind: Callable[..., T], options: set[str]
) -> T:
    """Make the value that `key` names: its number first, the options by name."""
    _only(path, table, {key, *options})
    readers: dict[str, Callable[[str, object], object]] = {"window": _window}
    fields = {
        name: readers.get(name, _number)(f"{path}.{name}", value)
        for name, value in table.items()
        if name != key
    }
    return _made(f"{path}.{key}", kind, _number(f"{path}.{key}", table[key]), **fields)


def _made(path: str, kind: Callable[..., T], *args: object, **fields: object) -> T:
    try:
        return kind(*args, **fields)
    except (TypeError, ValueError) as error:
        msg = f"{path}: {error}"
        raise type(error)(msg) from None


def _number(path: str, value: object) -> object:
    """Read a string as a number; what is none otherwise is refused by its range."""
    if not isinstance(value, str):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    msg = f"{path}: must be a number, got {value!r}"
    raise ValueError(msg)


def _table(path: str, value: object) -> _Table:
    if isinstance(value, Mapping):
        table = dict(cast("Mapping[object, Any]", value))
        if all(isinstance(key, str) for key in table):
            return cast("_Table", table)
    msg = f"{path or 'settings'}: must be a mapping with string keys, got {value!r}"
    raise TypeError(msg)


def _list(path: str, value: object) -> Sequence[object]:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return cast("Sequence[object]", value)
    msg = f"{path}: must be a list, got {value!r}"
    raise TypeError(msg)


def _only(path: str, table: _Table, known: set[str]) -> None:
    for key in table:
        if key not in known:
            place = f"{path}.{key}" if path else key
            msg = f"{place}: unknown; known here: {', '.join(sorted(known))}"
            raise ValueError(msg)


def _one_of(path: str, table: _Table, names: list[str]) -> str:
    found = [name for name in names if name in table]
    if len(found) == 1:
        return found[0]
    msg = f"{path}: must have exactly one of {', '.join(names)}, got {table!r}"
    raise ValueError(msg)
