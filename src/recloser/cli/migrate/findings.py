"""Everything that is found below some paths."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import mentions
from .edits import Lines
from .imports import changed_imports
from .libraries import TOP_LEVEL, WORDS
from .sources import Source, UnreadableError, files_below, is_python, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Something said of one line of a file."""

    path: Path
    line: int
    says: str


@dataclass(frozen=True, slots=True)
class Change:
    """A file, and the text that is to be in it."""

    source: Source
    text: str


@dataclass(slots=True)
class Findings:
    """What to change, what a person has to decide, and what is good to know."""

    changes: list[Change] = field(default_factory=list[Change])
    undecided: list[Place] = field(default_factory=list[Place])
    remarks: list[Place] = field(default_factory=list[Place])


def examine(paths: Sequence[Path]) -> Findings:
    """Look at every file below these paths. Changes nothing."""
    files = list(files_below(paths))
    own = frozenset(_modules(files) & TOP_LEVEL)
    found = Findings()
    for path in files:
        if mentions.REQUIREMENTS.match(path.name) or path.parent.name == "requirements":
            _add(found.remarks, path, mentions.requirements(path))
        if path.suffix == ".ipynb":
            _examine_notebook(path, found)
        elif is_python(path):
            _examine_file(path, own, found)
    return found


def _modules(files: Sequence[Path]) -> set[str]:
    """Return the names under which files and packages can be imported from the top.

    A file in a folder that is a package itself has a longer name.
    """
    packages = {path.parent for path in files if path.name == "__init__.py"}
    tops = (folder for folder in packages if folder.parent not in packages)
    modules = (
        path for path in files if path.suffix == ".py" and path.parent not in packages
    )
    return {folder.name for folder in tops} | {path.stem for path in modules}


def _examine_file(path: Path, own: frozenset[str], found: Findings) -> None:
    try:
        source = read(path)
    except UnreadableError as error:
        if _mentions(path):
            found.undecided.append(Place(path, 1, str(error)))
        return
    if WORDS.search(source.text) is None:
        return
    tree = parsed(source.text)
    if isinstance(tree, str):
        found.undecided.append(Place(path, 1, tree))
        return
    lines = Lines(source.text)
    imports = changed_imports(tree, lines, own)
    text = lines.edited(imports.edits)
    broken = parsed(text)
    if isinstance(broken, str):  # rather leave a file alone than break it
        found.undecided.append(Place(path, 1, f"changed, it {broken}"))
        return
    if text != source.text:
        found.changes.append(Change(source, text))
    strings, attributes = mentions.strings(tree), mentions.attributes(tree, imports)
    _add(found.undecided, path, [*imports.undecided, *strings, *attributes])
    _add(found.remarks, path, imports.remarks)


def parsed(text: str) -> ast.Module | str:
    """Parse a file; return what keeps it from being parsed instead."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file that is not ours
            return ast.parse(text)
    except SyntaxError as error:
        return f"cannot be parsed: line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"cannot be parsed: {type(error).__name__}: {error}"


def _examine_notebook(path: Path, found: Findings) -> None:
    if _mentions(path):
        says = "a notebook is not changed: change its imports by hand"
        found.undecided.append(Place(path, 1, says))


def _mentions(path: Path) -> bool:
    try:
        text = path.read_bytes().decode("ascii", "replace")
    except OSError:
        return True  # for all we know
    return WORDS.search(text) is not None


def _add(places: list[Place], path: Path, notes: Iterable[mentions.Note]) -> None:
    places += sorted(Place(path, line, says) for line, says in dict.fromkeys(notes))
