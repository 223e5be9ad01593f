"""The six libraries, and where each of their modules and names leads."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final

HOME: Final = "recloser.compat"
FACADES: Final = {
    "pybreaker": "pybreaker",
    "aiobreaker": "aiobreaker",
    "circuitbreaker": "circuitbreaker",
    "aiocircuitbreaker": "aiocircuitbreaker",
    "dorm.contrib.circuit_breaker": "dorm",
    "escudeiro.ds.circuit": "escudeiro",
}
"""The module that is replaced, and the name of its facade."""
ELSEWHERE: Final = {
    "escudeiro.ds": {"CircuitBreaker", "with_circuit_breaker"},
}
"""Names of a replaced module that can be imported from another one, too."""
DISTRIBUTIONS: Final = (
    "pybreaker",
    "aiobreaker",
    "circuitbreaker",
    "aiocircuitbreaker",
    "djanorm",
    "escudeiro",
)
"""What requirements call them."""
TOP_LEVEL: Final = frozenset(original.split(".")[0] for original in FACADES)

WORDS: Final = re.compile("|".join(sorted(TOP_LEVEL, key=len, reverse=True)))
"""A file in which this is not found is not looked at any further."""


def original_of(module: str) -> str | None:
    """Return the replaced module that `module` is, or is a part of."""
    for original in FACADES:
        if module == original or module.startswith(f"{original}."):
            return original
    return None


def successor(module: str) -> str | None:
    """Return the module of ours that stands for `module`, whether it exists or not."""
    original = original_of(module)
    if original is None:
        return None
    return f"{HOME}.{FACADES[original]}{module.removeprefix(original)}"


def member_of(parent: str, name: str) -> str | None:
    """Return the replaced module that `from parent import name` brings something of."""
    if f"{parent}.{name}" in FACADES:
        return f"{parent}.{name}"
    if name in ELSEWHERE.get(parent, ()):
        return f"{parent}.circuit"
    return None


@cache
def exists(module: str) -> bool:
    """Tell whether this module of ours exists."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent does not
        return False


@cache
def offers(module: str, name: str) -> bool:
    """Tell whether this module of ours has a name, or a module inside it."""
    if not exists(module):
        return False
    return hasattr(import_module(module), name) or exists(f"{module}.{name}")
