"""The page about correctness is what was measured, and names only what exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from .model.exploration import Explorer
from .model.scopes import SCOPES

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "correctness.md"
TOOL = ROOT / "tools" / "write-proof"


def test_page_is_what_was_measured() -> None:
    checked = subprocess.run([sys.executable, TOOL, "--check"], check=False)

    assert checked.returncode == 0, "run tools/write-proof"


def test_every_file_that_the_page_names_exists() -> None:
    named = re.findall(r"`((?:tests|tools|benchmarks)/[\w./*-]+)`", PAGE.read_text())

    assert len(named) > 20
    assert [name for name in named if not list(ROOT.glob(name))] == []


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert named
    assert {name for name in named if f"def {name}(" not in sources} == set()


def test_every_invariant_is_cited_by_a_test() -> None:
    numbers = re.findall(r"^- \*\*(I\d+)\*\*", PAGE.read_text(), re.MULTILINE)
    tests = [ROOT / "tests" / folder for folder in ("model", "_core")]
    sources = [path.read_text() for folder in tests for path in folder.rglob("*.py")]
    cited = set(re.findall(r"\bI\d+\b", "".join(sources)))

    assert numbers == [f"I{number}" for number in range(1, len(numbers) + 1)]
    assert len(numbers) >= 10
    assert set(numbers) - cited == set()


def test_figures_of_the_smallest_scope_are_current() -> None:
    """The others are, too, if this one is: they are measured together."""
    measured = json.loads((ROOT / "docs" / "correctness.json").read_text())
    found = Explorer(SCOPES[0]).explore()

    expected = measured["exploration"]["scopes"][SCOPES[0].name]
    assert [found.worlds, found.moves, found.refused, found.illegal] == expected, (
        "run tools/write-proof --measure exploration"
    )
