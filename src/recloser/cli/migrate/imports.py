"""Import statements: how each is to be written, or why a person has to say."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .edits import Edit
from .libraries import (
    FACADES,
    HOME,
    exists,
    member_of,
    offers,
    original_of,
    successor,
)

if TYPE_CHECKING:
    from .edits import Lines, Place


class UndecidedError(Exception):
    """A statement that is not changed; the text says why."""


@dataclass(slots=True)
class Imports:
    """What the import statements of one file come to.

    Attributes:
        edits: The changes.
        undecided: Line and reason of each statement that is left as it is.
        remarks: Line and text of what is changed but should be looked at.
        modules: Names bound to a module of ours by a changed statement, and that module.
        parents: Names bound to a package that a replaced module is in, and that package.
    """

    edits: list[Edit] = field(default_factory=list[Edit])
    undecided: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    remarks: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    modules: dict[str, str] = field(default_factory=dict[str, str])
    parents: dict[str, str] = field(default_factory=dict[str, str])


def changed_imports(tree: ast.Module, lines: Lines, own: frozenset[str]) -> Imports:
    """Return what becomes of the import statements of one file.

    Args:
        tree: The file, parsed.
        lines: Its text.
        own: Top-level names that are also modules of the tree that is searched: what
            imports them may mean those.
    """
    found = Imports()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        try:
            if isinstance(node, ast.Import):
                _plain(node, lines, own, found)
            elif not node.level and node.module:  # else it means a neighbour
                _from(node, node.module, lines, own, found)
        except UndecidedError as reason:
            found.undecided.append((node.lineno, str(reason)))
    return found


def _plain(node: ast.Import, lines: Lines, own: frozenset[str], found: Imports) -> None:
    news = [_imported(name, own) for name in node.names]
    if not any(news):
        for name in node.names:
            _note_parent(name, found)
        return
    start, end = lines.start(node), lines.end(node)
    kept = [name for name, new in zip(node.names, news, strict=True) if new is None]
    parts = [ast.unparse(ast.Import(kept))] if kept else []
    parts += dict.fromkeys(new for new in news if new)  # each once, in their order
    joint = lines.joint(start, end)
    found.edits.append(Edit(start, end, joint.join(parts)))
    for name in node.names:
        module = successor(name.name)
        if module is not None:
            whole = name.asname is not None or "." not in name.name
            bound = name.asname or name.name.partition(".")[0]
            found.modules[bound] = module if whole else f"{HOME}.{bound}"


def _imported(name: ast.alias, own: frozenset[str]) -> str | None:
    """Return the statement for one name of an `import`, None if it can stay."""
    module, original = successor(name.name), original_of(name.name)
    if module is None or original is None:
        return None
    _require_foreign(original, own)
    _require_module(name.name, module)
    facade = FACADES[original]
    if name.asname is None:
        if "." in original:
            top = original.partition(".")[0]
            msg = (
                f"binds {top!r}, which stays: import {module} under a name of its own,"
                f" and use that instead of {original}"
            )
            raise UndecidedError(msg)
        return f"from {HOME} import {facade}"
    if name.name != original:
        return f"import {module} as {name.asname}"
    return f"from {HOME} import {_renamed(facade, name.asname)}"


def _note_parent(name: ast.alias, found: Imports) -> None:
    """Note `import dorm`, `import escudeiro.ds` and the like."""
    top = name.name.partition(".")[0]
    if any(original.startswith(f"{top}.") for original in FACADES):
        found.parents[name.asname or top] = name.name if name.asname else top


def _from(
    node: ast.ImportFrom,
    module: str,
    lines: Lines,
    own: frozenset[str],
    found: Imports,
) -> None:
    original = original_of(module)
    if original is None:
        _from_parent(node, module, lines, own, found)
        return
    new = successor(module) or module
    _require_foreign(original, own)
    _require_module(module, new)
    for name in node.names:
        if name.name == "*":
            remark = f"imports * from {module}: check that no other name was meant"
            found.remarks.append((node.lineno, remark))
        elif not offers(new, name.name):
            msg = f"{module}.{name.name} is not in {new}"
            raise UndecidedError(msg)
        elif exists(f"{new}.{name.name}"):
            found.modules[name.asname or name.name] = f"{new}.{name.name}"
    start, end = _module_name(node, lines)
    found.edits.append(Edit(start, end, new))


def _from_parent(
    node: ast.ImportFrom,
    module: str,
    lines: Lines,
    own: frozenset[str],
    found: Imports,
) -> None:
    """Change `from dorm.contrib import circuit_breaker, ...` and the like."""
    news = [_from_elsewhere(module, name, own) for name in node.names]
    if not any(news):
        for name in node.names:
            inner = f"{module}.{name.name}"
            if any(original.startswith(f"{inner}.") for original in FACADES):
                found.parents[name.asname or name.name] = inner
        return
    start, end = lines.start(node), lines.end(node)
    if "#" in lines.between(start, end):
        msg = "has to be split, and has a comment inside: split it by hand"
        raise UndecidedError(msg)
    kept = [name for name, new in zip(node.names, news, strict=True) if new is None]
    parts = [ast.unparse(ast.ImportFrom(module, kept, 0))] if kept else []
    parts += [new for new in news if new]
    found.edits.append(Edit(start, end, lines.joint(start, end).join(parts)))
    for name in node.names:
        inner_module = successor(f"{module}.{name.name}")
        if inner_module is not None:
            found.modules[name.asname or name.name] = inner_module


def _from_elsewhere(parent: str, name: ast.alias, own: frozenset[str]) -> str | None:
    """Return the statement for one name of `from parent import ...`, None if it stays."""
    original = member_of(parent, name.name)
    if original is None:
        return None
    _require_foreign(original, own)
    facade = FACADES[original]
    bound = name.asname or name.name
    if f"{parent}.{name.name}" == original:
        return f"from {HOME} import {_renamed(facade, bound)}"
    return f"from {HOME}.{facade} import {_renamed(name.name, bound)}"


def _renamed(name: str, bound: str) -> str:
    return name if name == bound else f"{name} as {bound}"


def _require_foreign(original: str, own: frozenset[str]) -> None:
    top = original.partition(".")[0]
    if top in own:
        msg = f"may mean the module {top!r} that is in this tree"
        raise UndecidedError(msg)


def _require_module(old: str, new: str) -> None:
    if not exists(new):
        msg = f"{old} has no counterpart: there is no {new}"
        raise UndecidedError(msg)


def _module_name(node: ast.ImportFrom, lines: Lines) -> tuple[Place, Place]:
    """Return where the module's name begins and ends in `from NAME import ...`."""
    first, column = lines.start(node)
    text = lines.between((first, column), lines.end(node))
    places: list[tuple[Place, Place]] = []
    for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
        if token.string == "import":
            break
        if token.string != "from":
            places.append((token.start, token.end))

    def absolute(place: Place) -> Place:
        line, at = place
        return first + line - 1, at + (column if line == 1 else 0)

    return absolute(places[0][0]), absolute(places[-1][1])
