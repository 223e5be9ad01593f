"""Mentions of the six libraries that are no import statement."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from .libraries import DISTRIBUTIONS, ELSEWHERE, FACADES, offers, original_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .imports import Imports

Note = tuple[int, str]
"""Line and text."""

REQUIREMENTS: Final = re.compile(
    r"(?:.*(?:requirements|constraints|dependencies).*\.(?:txt|in)"
    r"|pyproject\.toml|setup\.cfg|setup\.py|Pipfile|tox\.ini|environment\.ya?ml)\Z"
)
"""Names of files that say what is to be installed."""
_DOTTED: Final = re.compile(r"[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*\Z")
_DISTRIBUTION: Final = re.compile(
    rf"(?<![\w./-])(?:{'|'.join(DISTRIBUTIONS)})(?![\w/-])", re.IGNORECASE
)
_IMPORTERS: Final = {"import_module", "__import__", "find_spec", "importorskip"}


def strings(tree: ast.Module) -> Iterator[Note]:
    """Yield each string that is the name of a replaced module, or of something in it.

    Names of loggers are left out: the facades log under the originals' names.
    """
    callers: dict[ast.expr, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for argument in (*node.args, *(word.value for word in node.keywords)):
                callers[argument] = _last_name(node.func)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            caller = callers.get(node, "")
            if names_a_module(node.value) and caller != "getLogger":
                yield node.lineno, _reason(node.value, caller)


def names_a_module(text: str) -> bool:
    """Tell whether a text is the dotted name of a replaced module, or inside one."""
    return _DOTTED.match(text) is not None and original_of(text) is not None


def _reason(text: str, caller: str) -> str:
    if caller in _IMPORTERS:
        return f"imports {text!r} by its name, with {caller}"
    return f"the string {text!r} names it" + (f", for {caller}" if caller else "")


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def attributes(tree: ast.Module, found: Imports) -> Iterator[Note]:
    """Yield what is used through a module: what ours lacks, and what was not imported.

    That is `breaker_module.something` where our module has no such name, and
    `dorm.contrib.circuit_breaker.something` after `import dorm`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            top, path = _chain(node)
            if top in found.modules and len(path) == 1:
                module = found.modules[top]
                if not offers(module, path[0]):
                    yield node.lineno, f"{module} has no {path[0]}"
            elif top in found.parents:
                used = ".".join((found.parents[top], *path))
                if used in FACADES or _is_elsewhere(used):
                    yield node.lineno, f"uses {used} through {found.parents[top]}"


def _is_elsewhere(used: str) -> bool:
    parent, _, name = used.rpartition(".")
    return name in ELSEWHERE.get(parent, ())


def _chain(node: ast.Attribute) -> tuple[str, list[str]]:
    """Return `a` and `["b", "c"]` for `a.b.c`; an empty name for anything else."""
    path: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        path.append(inner.attr)
        inner = inner.value
    return (inner.id if isinstance(inner, ast.Name) else ""), path[::-1]


def requirements(path: Path) -> Iterator[Note]:
    """Yield each line of a file of requirements that names one of the libraries."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("import ") or line.lstrip().startswith("from "):
            continue  # of setup.py: that is an import
        name = _DISTRIBUTION.search(line.partition("#")[0])
        if name is not None:
            yield (
                number,
                f"requires {name[0]}: add recloser; it can go when nothing else needs it",
            )
