"""Changes of a text by line and column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .sources import lines_of

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable

Place = tuple[int, int]
"""Line, from 1, and column in characters, from 0."""


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Put `text` in the place of what stands from `start` to `end`."""

    start: Place
    end: Place
    text: str


class Lines:
    """A text whose places can be found, as Python's parser tells them."""

    def __init__(self, text: str) -> None:
        """Split it."""
        self.all: list[str] = lines_of(text)

    def start(self, node: ast.stmt) -> Place:
        """Return where a statement begins."""
        return self._place(node.lineno, node.col_offset)

    def end(self, node: ast.stmt) -> Place:
        """Return where it ends; a comment behind it is outside."""
        return self._place(node.end_lineno or 0, node.end_col_offset or 0)

    def _place(self, line: int, octets: int) -> Place:
        return line, len(self.all[line - 1].encode()[:octets].decode())

    def between(self, start: Place, end: Place) -> str:
        """Return the text from one place to another."""
        if start[0] == end[0]:
            return self.all[start[0] - 1][start[1] : end[1]]
        first = self.all[start[0] - 1][start[1] :]
        last = self.all[end[0] - 1][: end[1]]
        return "".join((first, *self.all[start[0] : end[0] - 1], last))

    def joint(self, start: Place, end: Place) -> str:
        """Return what has to stand between two statements in the place of this one."""
        line = self.all[start[0] - 1]
        indent = line[: start[1]]
        behind = self.all[end[0] - 1][end[1] :].strip()
        if indent.strip() or (behind and not behind.startswith("#")):
            return "; "
        ending = line[len(line.rstrip("\r\n")) :] or "\n"
        return f"{ending}{indent}"

    def edited(self, edits: Iterable[Edit]) -> str:
        """Return the text with every edit made; none may overlap another."""
        lines = list(self.all)
        for edit in sorted(edits, reverse=True):
            (first, column), (last, end) = edit.start, edit.end
            before, behind = lines[first - 1][:column], lines[last - 1][end:]
            lines[first - 1 : last] = [f"{before}{edit.text}{behind}"]
        return "".join(lines)
