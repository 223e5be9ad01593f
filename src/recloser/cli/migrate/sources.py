"""Files: which ones are looked at, and how text goes in and out unchanged."""

from __future__ import annotations

import io
import os
import re
import tempfile
import tokenize
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUFFIXES: Final = frozenset({".py", ".pyi", ".pyw"})
SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Folders that hold nobody's own source; hidden ones and environments are skipped too."""
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_SHEBANG: Final = re.compile(rb"#!.*\bpython")


class UnreadableError(Exception):
    """A file cannot be taken as Python source; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The text of one file, with its own line ends.

    Attributes:
        path: Where it was read.
        raw: Its bytes.
        text: The same, decoded. A byte order mark is left out.
        encoding: What it was decoded by.
    """

    path: Path
    raw: bytes
    text: str
    encoding: str


def files_below(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield each file once: those named, and those in the folders named, in order."""
    seen: set[Path] = set()
    for path in paths:
        for file in _walk(path) if path.is_dir() else (path,):
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                yield file


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        here = Path(where)
        folders[:] = sorted(name for name in folders if not _skipped(here / name))
        for name in sorted(names):
            if (here / name).is_file():  # a dangling link is none, nor is a socket
                yield here / name


def _skipped(folder: Path) -> bool:
    name = folder.name
    hidden = name.startswith(".")
    return hidden or name in SKIPPED or (folder / "pyvenv.cfg").exists()


def is_python(path: Path) -> bool:
    """Tell whether a file is Python source, by its name or by its first line."""
    if path.suffix:
        return path.suffix in SUFFIXES
    try:
        with path.open("rb") as file:
            return _SHEBANG.match(file.readline(200)) is not None
    except OSError:
        return False


def read(path: Path) -> Source:
    """Read a file as Python would.

    Raises:
        UnreadableError: It cannot be read, or is not in the encoding it claims.
    """
    try:
        raw = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        text = raw.decode(encoding)
        same = text.encode(encoding) == raw
    except OSError as error:
        msg = f"cannot be read: {error.strerror}"
        raise UnreadableError(msg) from error
    except (SyntaxError, ValueError, LookupError) as error:
        msg = f"cannot be decoded: {error}"
        raise UnreadableError(msg) from error
    if not same:
        msg = f"would not stay as it is when written as {encoding}"
        raise UnreadableError(msg)
    return Source(path=path, raw=raw, text=text, encoding=encoding)


def lines_of(text: str) -> list[str]:
    """Split at what Python takes for line ends, and keep them."""
    return [line for line in _LINE.findall(text) if line]


def replace(source: Source, text: str) -> None:
    """Put another text in a file's place, whole or not at all.

    Permissions, and the owner where that is allowed, stay. A link's target is replaced,
    not the link.

    Raises:
        OSError: It could not be written, or is no longer what was read. It is then what
            it was.
    """
    target = source.path.resolve()
    if not os.access(target, os.W_OK):
        msg = "is read-only"
        raise OSError(msg)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode(source.encoding))
            file.flush()
            os.fsync(file.fileno())
        _keep_owner_and_mode(Path(name), target)
        if target.read_bytes() != source.raw:
            msg = "was changed meanwhile"
            raise OSError(msg)  # noqa: TRY301  the temporary file has to go
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _keep_owner_and_mode(new: Path, old: Path) -> None:
    kept = old.stat()
    made = new.stat()
    if hasattr(os, "chown") and (made.st_uid, made.st_gid) != (
        kept.st_uid,
        kept.st_gid,
    ):
        with suppress(PermissionError):  # only root may give files away
            os.chown(new, kept.st_uid, kept.st_gid)
    new.chmod(kept.st_mode & 0o7777)
