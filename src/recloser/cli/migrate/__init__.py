"""`recloser migrate`: finds uses of the six libraries and changes the imports.

Reading order: `libraries` (what leads where) → `sources` (which files, and how they are
written back) → `imports` and `mentions` (what is found in one file) → `findings` (all of
it) → `report` (how it is shown).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..command import Command, CommandError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a folder, which is searched with all below it, or a file",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="make the change; without it, no file is touched",
    )


def run(given: Namespace) -> int:
    """Show the change of the imports, or make it; list what is left to a person.

    Returns:
        0 if nothing is left to decide, 1 if something is, 2 if a file could not be
        written.

    Raises:
        CommandError: A path does not exist, or cannot be read.
    """
    paths: list[Path] = given.paths
    for path in paths:
        _require_readable(path)
    from . import report  # noqa: PLC0415  the list of commands need not wait for it
    from .findings import examine  # noqa: PLC0415

    found = examine(paths)
    return report.written(found) if given.write else report.shown(found)


def _require_readable(path: Path) -> None:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except OSError as error:
        msg = f"cannot read {str(path)!r}: {error.strerror}"
        raise CommandError(msg) from error


COMMAND = Command(
    name="migrate",
    says="Change the imports of six other libraries to recloser.compat.",
    add_arguments=add_arguments,
    run=run,
)
