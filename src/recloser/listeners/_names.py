"""Names that come from outside must not grow label sets without bound.

The first so many names have series of their own, all later ones share `other`. Workers
that write to one folder agree on which came first: each appends the names it meets to a
file, and the first so many lines of it are the ones. Appending a line is atomic and the
file only grows, so nobody waits for a lock, and no answer changes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

OTHER = "other"
_FILE = "recloser_names"


class Names:
    """The names that have series of their own. Used under its owner's lock.

    Args:
        most: How many, at least 1.
        folder: Where the workers agree, or None for this process alone.
    """

    def __init__(self, most: int, folder: str | None = None) -> None:
        """Begin with none."""
        self._most = most
        self._path = Path(folder, _FILE) if folder else None
        self._known: dict[str, None] = {}

    def admitted(self, name: str) -> str:
        """Return the name, or `other` if there is no room for it."""
        if name in self._known:
            return name
        if len(self._known) < self._most:
            self._claim(name)
        return name if name in self._known else OTHER

    def _claim(self, name: str) -> None:
        if self._path is None:
            self._known[name] = None
            return
        self._read()
        if name in self._known or len(self._known) >= self._most:
            return
        line = json.dumps(name).encode() + b"\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, line)
        finally:
            os.close(file)
        self._read()

    def _read(self) -> None:
        """Take the first so many names of the file, which never change."""
        try:
            lines = self._path.read_bytes().splitlines() if self._path else []
        except FileNotFoundError:
            return
        for line in lines:
            if len(self._known) >= self._most:
                return
            try:
                self._known.setdefault(str(json.loads(line)))
            except ValueError:  # half a line, of a worker that died or a full disk
                continue
