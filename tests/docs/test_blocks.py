"""Every Python block of README.md and docs/ runs, alone, and prints what it says.

What a block prints is compared with its output comments, if it has any: the comment
behind a `print(...)`, and the whole-line comments directly below it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import tokenize
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from recloser import CircuitBreaker, State

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block: where it is, and its text."""

    page: Path
    line: int
    text: str

    def run(self) -> tuple[dict[str, Any], list[str]]:
        """Run it as a program of its own; return its names and what it printed."""
        padded = "\n" * (self.line - 1) + self.text  # tracebacks show the page's lines
        program = compile(padded, str(self.page), "exec", dont_inherit=True)
        names: dict[str, Any] = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(program, names)  # noqa: S102 - our own pages
        return names, printed.getvalue().splitlines()

    def promised(self) -> list[str]:
        """Return what its comments say that it prints."""
        comments = whole_line_comments(self.text)
        promised: list[str] = []
        for line in prints(self.text):
            behind, below = comments.get(line), line + 1
            if behind is not None:
                promised.append(behind[0])
            while below in comments and comments[below][1]:
                promised.append(comments[below][0])
                below += 1
        return promised


def prints(text: str) -> list[int]:
    """Return the last lines of the calls of `print` that are statements."""
    calls = (
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    )
    return sorted(
        call.end_lineno or 0
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    )


def whole_line_comments(text: str) -> dict[int, tuple[str, bool]]:
    """Return the comments by line, and whether each has its line to itself."""
    return {
        token.start[0]: (
            token.string.removeprefix("#").removeprefix(" "),
            token.line.lstrip().startswith("#"),
        )
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page, text[: found.start(2)].count("\n") + 1, dedented(found))
        for found in FENCE.finditer(text)
    ]


def dedented(found: re.Match[str]) -> str:
    indent = len(found[1])
    return "".join(line[indent:] for line in found[2].splitlines(keepends=True))


def all_blocks() -> list[Any]:
    return [
        pytest.param(block, id=f"{page.relative_to(ROOT)}:{block.line}")
        for page in PAGES
        for block in blocks_of(page)
    ]


@pytest.mark.parametrize("block", all_blocks())
def test_block_runs_and_prints_what_it_says(block: Block):
    _, printed = block.run()

    promised = block.promised()
    assert printed == (promised or printed)


def test_every_python_fence_is_found():
    for page in PAGES:
        fences = page.read_text("utf-8").count("```python")

        assert len(blocks_of(page)) == fences


def test_first_example_trips_and_rejects_within_the_first_thirty_lines():
    first = blocks_of(ROOT / "README.md")[0]

    names, _ = first.run()

    [breaker] = [name for name in names.values() if isinstance(name, CircuitBreaker)]
    assert breaker.state is State.OPEN
    assert breaker.snapshot().rejected >= 1
    assert first.line + first.text.count("\n") <= 30


def test_readme_is_short():
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()

    assert len(lines) <= 150
