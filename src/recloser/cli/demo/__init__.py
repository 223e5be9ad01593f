"""`recloser demo`: a service dies and comes back, with and without a breaker.

Reading order: `story` (what the service does) → `records` (what is measured) →
`service` and `traffic` (who measures) → `figures` and `lanes` (what it adds up to) →
`report`, `view` and `picture` (how it is shown) → `performance` (all of it together).
"""

from __future__ import annotations

import math
import tempfile
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from importlib.util import find_spec
from pathlib import Path

from ..command import Command, CommandError
from .story import USUAL_SECONDS

SHORTEST = 2.0
LONGEST = 120.0
EXTRA = ("httpx", "matplotlib", "rich")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the demo's arguments."""
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=USUAL_SECONDS,
        help=f"length of the run, {SHORTEST:g} to {LONGEST:g} (default: %(default)g)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="settles pauses and chances; times are real and vary (default: 1)",
    )
    parser.add_argument(
        "--save",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="where picture and figures go; made if missing (default: %(default)s)",
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="lines without colours or moving parts, for logs and CI",
    )


def run(given: Namespace) -> int:
    """Check what the run needs, then run it.

    Raises:
        CommandError: A library of the extra is missing, or DIR cannot be written.
    """
    _require_extra()
    _require_writable(given.save)
    from .performance import perform  # noqa: PLC0415 (needs the extra)

    return perform(given.seconds, given.seed, given.save, plain=given.plain)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not SHORTEST <= seconds <= LONGEST:
        msg = f"must be a number in [{SHORTEST:g}, {LONGEST:g}], got {text!r}"
        raise ArgumentTypeError(msg)
    return seconds


def _require_extra() -> None:
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        msg = f"{', '.join(missing)} not installed: pip install 'recloser[demo]'"
        raise CommandError(msg)


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"--save: cannot write to {str(folder)!r}: {error.strerror}"
        raise CommandError(msg) from error


COMMAND = Command(
    name="demo",
    says="Show a breaker at work: a real service fails, two clients call it.",
    add_arguments=add_arguments,
    run=run,
)
