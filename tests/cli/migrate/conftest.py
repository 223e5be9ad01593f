from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recloser.cli.migrate.findings import Findings, examine

Tree = Callable[..., Findings]


@pytest.fixture
def look(tmp_path: Path) -> Tree:
    """Return what writes some files and examines the folder they are in."""

    def look(files: dict[str, str | bytes]) -> Findings:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            path.write_bytes(data)
        return examine([tmp_path])

    return look
