"""The project keeps its own rules: what a reviewer would otherwise have to look for."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = ROOT / "src" / "recloser"

PURE: Final = {
    "__future__",
    "annotationlib",
    "collections",
    "dataclasses",
    "datetime.timedelta",
    "enum",
    "math",
    "numbers",
    "typing",
}
"""What modules of the core may import: values and types, nothing that acts."""

NEWS_KINDS: Final = {
    "added",
    "changed",
    "deprecated",
    "removed",
    "fixed",
    "security",
    "performance",
}

# None of these patterns matches its own text, so this file passes its own check.
PRIVATE: Final = {
    "somebody's folder": re.compile(
        r"(?<![\w.)}\]])/(?:root|work|home/\w+|Users/\w+|tmp/dev)/"
    ),
    "a package index": re.compile(r"https?://[^\s/]+(?:/[^\s/]+)*/simple\b"),
    "an index setting": re.compile(r"--(?:(?:extra-)?index-url|find-links)\b"),
    "a package's file": re.compile(r"https?://files\.pythonhosted\.org"),
}
BINARY: Final = {".png", ".gif", ".ico", ".woff2"}


def project_files() -> list[Path]:
    """Return what is committed or about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix not in BINARY]


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def documents() -> list[Path]:
    return [path for path in project_files() if path.suffix in {".md", ".rst"}]


def modules() -> list[Path]:
    return sorted(SOURCES.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def lines_of_code(path: Path) -> int:
    """Count what is neither blank, comment nor docstring."""
    text = path.read_text("utf-8")
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(ast.Constant(str())):
                prose.update(range(node.lineno, (node.end_lineno or 0) + 1))
    numbered = enumerate(map(str.strip, text.splitlines()), 1)
    return sum(
        number not in prose and line != "" and not line.startswith("#")
        for number, line in numbered
    )


def is_pure(name: str) -> bool:
    return name in PURE or name.partition(".")[0] in PURE


def test_no_file_names_a_machine_or_a_package_index() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {what}"
        for path in project_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for what, pattern in PRIVATE.items()
        if pattern.search(line)
    ]

    assert found == []


def test_there_is_no_lock_file() -> None:
    locks = [
        path.name
        for path in project_files()
        if path.name.endswith((".lock", "-lock.json")) or "requirements" in path.name
    ]

    assert locks == []


def test_every_lint_rule_that_is_off_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    linted = text.partition("[tool.ruff.lint]")[2]
    linted = linted.partition("[tool.ruff.lint.pydocstyle]")[0]
    lines = [line.strip() for line in linted.splitlines()]
    codes = [line for line in lines if re.match(r'"[A-Z]+\d*"', line)]

    without_reason = [line for line in codes if not re.search(r'",  # .*\w+ \w+', line)]

    assert len(codes) > len(settings()["tool"]["ruff"]["lint"]["ignore"])
    assert without_reason == []


def test_every_line_that_coverage_leaves_out_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    excluding = text.partition("exclude_also = [\n")[2].partition("\n]")[0]
    marks = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in modules()
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"pragma: no (cover|branch)", line)
    ]

    patterns = excluding.splitlines()
    assert len(patterns) == len(
        settings()["tool"]["coverage"]["report"]["exclude_also"]
    )
    assert [line for line in patterns if not re.search(r'",  # .*\w+ \w+', line)] == []
    assert [m for m in marks if not re.search(r"no (cover|branch) - \w+ \w+", m)] == []


def test_every_suppression_in_the_code_names_its_rule() -> None:
    bare = re.compile(r"#\s*(noqa(?!:)|type: ignore(?!\[)|pyright: ignore(?!\[))")

    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in project_files()
        if path.suffix == ".py" and path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if bare.search(line)
    ]

    assert found == []


def test_every_extra_that_a_document_or_an_error_names_exists() -> None:
    extras = set(settings()["project"]["optional-dependencies"])
    naming = re.compile(r"recloser\[([\w, -]+)\]")
    texts = [*documents(), *modules(), ROOT / "pyproject.toml"]

    named = {
        extra.strip()
        for path in texts
        for inside in naming.findall(path.read_text("utf-8"))
        for extra in inside.split(",")
    }

    assert named - extras == set()
    assert "test" in named


def test_every_make_target_that_a_document_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][\w%-]*):", makefile, re.MULTILINE))

    named = {
        target
        for path in documents()
        for target in re.findall(r"`make ([a-z][\w-]*)", path.read_text("utf-8"))
    }

    assert named - targets == set()
    assert "test" in named


def test_installing_the_package_installs_nothing_else() -> None:
    assert settings()["project"]["dependencies"] == []


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCES / "py.typed").read_bytes() == b""


def test_every_news_fragment_has_a_kind_that_the_changelog_knows() -> None:
    kinds = {kind["directory"] for kind in settings()["tool"]["towncrier"]["type"]}
    fragments = [
        path.name for path in (ROOT / "news").iterdir() if path.name != "README.md"
    ]
    shape = re.compile(rf"[\w+-]+\.({'|'.join(NEWS_KINDS)})(\.\d+)?\.md")

    assert kinds == NEWS_KINDS
    assert [name for name in fragments if not shape.fullmatch(name)] == []


@pytest.mark.parametrize(
    "path",
    sorted((SOURCES / "_core").rglob("*.py")),
    ids=lambda path: path.stem,
)
def test_the_core_imports_only_what_cannot_do_anything(path: Path) -> None:
    assert {name for name in imports_of(path) if not is_pure(name)} == set()


@pytest.mark.parametrize(
    "path", modules(), ids=lambda path: path.relative_to(SOURCES).as_posix()
)
def test_a_module_has_at_most_400_lines_of_code(path: Path) -> None:
    assert lines_of_code(path) <= 400


def test_no_module_is_named_for_having_no_subject() -> None:
    vague = {"utils", "util", "helpers", "common", "misc"}

    found = [path for path in modules() if path.stem.strip("_") in vague]

    assert found == []


def test_every_public_name_is_listed_once_and_can_be_imported() -> None:
    recloser = importlib.import_module("recloser")

    names = list(recloser.__all__)

    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(recloser, name)] == []


def test_importing_the_package_brings_no_loop_no_log_and_no_third_party() -> None:
    program = (
        "import sys; before = set(sys.modules); import recloser; "
        "print(*{n.partition('.')[0] for n in set(sys.modules) - before})"
    )

    run = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=SOURCES.parent,
        capture_output=True,
        check=True,
        text=True,
    )
    brought = set(run.stdout.split()) - {"recloser"}

    assert brought & {"asyncio", "logging", "dataclasses", "inspect"} == set()
    assert {name for name in brought if name not in sys.stdlib_module_names} == set()
