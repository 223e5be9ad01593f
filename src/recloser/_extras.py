"""What a module about a library says when that is missing or too old."""

from __future__ import annotations

import re
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def extra(name: str, **at_least: str) -> Generator[None]:
    """Import a library inside this block, at the top of the module that is about it.

        with extra("httpx", httpx="0.27"):
            import httpx

    A distribution that is absent, too old, or that fails to import raises an
    `ImportError` that names the extra; the original error is its cause. One without
    metadata (vendored, or a stub in a test) is left to the import.

    Args:
        name: The extra of `recloser` that installs what is needed.
        at_least: Distributions and their lowest versions, underscores for dashes. A
            test compares them with the extra in pyproject.toml.

    Raises:
        ImportError: What is needed is not there; `ModuleNotFoundError` if nothing is.
    """
    for distribution, lowest in at_least.items():
        found = _version(distribution)
        if found is not None and _numbers(found) < _numbers(lowest):
            raise ImportError(_advice(name, at_least, f"found {found}"))
    try:
        yield
    except ImportError as error:
        text = _advice(name, at_least, str(error))
        raise type(error)(text, name=error.name, path=error.path) from error


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release as numbers: enough to compare with a plain lower bound."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _advice(name: str, at_least: dict[str, str], what: str) -> str:
    needed = " and ".join(
        f"{distribution.replace('_', '-')} >= {lowest}"
        for distribution, lowest in at_least.items()
    )
    return f"needs {needed} ({what}): pip install 'recloser[{name}]'"
