"""How the findings are shown, and written."""

from __future__ import annotations

import sys
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from .sources import lines_of, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .findings import Change, Findings, Place

UNDECIDED = 1
FAILED = 2


def shown(found: Findings) -> int:
    """Print the change as a diff that `patch` and `git apply` take, and the rest."""
    for change in found.changes:
        say("".join(diff(change)))
    number = len(found.changes)
    if number:
        say(f"\n{files(number)} would change; --write makes the change.\n")
    return _end(found, changed=number)


def written(found: Findings) -> int:
    """Make the change, and print what was changed, and the rest."""
    failed = 0
    for change in found.changes:
        path = change.source.path
        try:
            replace(change.source, change.text)
        except (OSError, ValueError) as error:
            failed += 1
            reason = getattr(error, "strerror", None) or error
            sys.stderr.write(f"recloser migrate: not changed: {path}: {reason}\n")
        else:
            say(f"changed: {path}\n")
    rest = _end(found, changed=len(found.changes))
    return FAILED if failed else rest


def _end(found: Findings, *, changed: int) -> int:
    _list("Could not decide:", found.undecided)
    _list("To know:", found.remarks)
    if not changed and not found.undecided:
        say("No import to change.\n")
    return UNDECIDED if found.undecided else 0


def _list(title: str, places: Iterable[Place]) -> None:
    rows = [f"  {place.path}:{place.line}: {place.says}\n" for place in places]
    if rows:
        say("".join((f"\n{title}\n", *rows)))


def diff(change: Change) -> Iterator[str]:
    """Yield the lines of a unified diff, each with an end."""
    name = _relative(change.source.path)
    old, new = lines_of(change.source.text), lines_of(change.text)
    for line in unified_diff(old, new, f"a/{name}", f"b/{name}"):
        yield (
            line
            if line.endswith(("\n", "\r"))
            else (f"{line}\n\\ No newline at end of file\n")
        )


def _relative(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix().lstrip("/")


def files(number: int) -> str:
    """Return how many files, in words."""
    return "1 file" if number == 1 else f"{number} files"


def say(text: str) -> None:
    """Print a text, also where the terminal's encoding has not all of its letters."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
