"""Every file in examples/ runs and prints what the comment at its end says."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def promised(example: Path) -> list[str]:
    """Return the comment at the end of the file, line by line."""
    lines = example.read_text("utf-8").rstrip().splitlines()
    last: list[str] = []
    while lines and lines[-1].startswith("#"):
        last.append(lines.pop().removeprefix("#").removeprefix(" "))
    return last[::-1]


def test_there_are_examples():
    assert EXAMPLES != []


@each
def test_example_prints_what_it_says(example: Path, tmp_path: Path):
    paths = os.pathsep.join(map(os.path.abspath, sys.path))

    run = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert run.stderr == ""
    assert run.stdout.splitlines() == promised(example)
    assert run.stdout != ""


@each
def test_example_is_small_and_says_what_it_teaches(example: Path):
    text = example.read_text("utf-8")

    assert len(text.splitlines()) <= 40
    assert ast.get_docstring(ast.parse(text))
