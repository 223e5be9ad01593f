"""The `recloser` command. Each subcommand is a package or module beside this one."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, cast

from . import demo, migrate
from .command import Command, CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: tuple[Command, ...] = (demo.COMMAND, migrate.COMMAND)
"""Every subcommand, in the order of the help. Importing one must cost next to nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code.

    Args:
        arguments: What the user typed after `recloser`; default `sys.argv[1:]`.

    Returns:
        0 if it worked, 2 if it could not start, 130 after Ctrl-C.

    Raises:
        SystemExit: With code 2, for arguments that are wrong.
    """
    given = _parser().parse_args(arguments)
    command = cast("Command", given.command)  # Namespace is untyped
    return _run(command, given)


def _parser() -> ArgumentParser:
    parser = ArgumentParser("recloser", description="A circuit breaker for Python.")
    rows = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        row = rows.add_parser(command.name, help=command.says, description=command.says)
        command.add_arguments(row)
        row.set_defaults(command=command)
    return parser


def _run(command: Command, given: Namespace) -> int:
    try:
        return command.run(given)
    except CommandError as error:
        sys.stderr.write(f"recloser {command.name}: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"recloser {command.name}: interrupted\n")
        return 130
