"""What a subcommand is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One subcommand of `recloser`.

    Attributes:
        name: What the user types.
        says: One line for the list of commands.
        add_arguments: Declares the command's own arguments.
        run: Does the work and returns the exit code.
    """

    name: str
    says: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]


class CommandError(Exception):
    """The command cannot start; the text tells the user what to change. Exit code 2."""
