from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from recloser.integrations._extras import extra

ROOT = Path(__file__).parents[2]
MODULES = [
    module
    for package in ("integrations", "listeners")
    for module in sorted((ROOT / "src/recloser" / package).glob("[!_]*.py"))
]


def lowest_in_pyproject(name: str) -> dict[str, str]:
    """Return the distributions of an extra with their lower bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, str] = {}
    for requirement in project["optional-dependencies"][name]:
        parts = re.match(r"([\w-]+)(?:\[[\w,-]+\])?>=([\d.]+)", requirement)
        assert parts is not None, requirement
        found[parts[1].replace("-", "_")] = parts[2]
    return found


def calls_of_extra(module: Path) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "extra"
    ]


def test_missing_library_names_the_extra():
    with (
        pytest.raises(ModuleNotFoundError) as caught,
        extra("httpx", not_there="1.2"),
    ):
        import not_there  # noqa: F401

    assert str(caught.value) == (
        "needs not-there >= 1.2 (No module named 'not_there'): "
        "pip install 'recloser[httpx]'"
    )
    assert caught.value.name == "not_there"


def test_old_library_names_the_extra_and_what_was_found():
    with (
        pytest.raises(ImportError, match=r"needs pytest >= 9999\.1 \(found \d.*\)"),
        extra("httpx", pytest="9999.1"),
    ):
        raise AssertionError


@pytest.mark.parametrize("lowest", ["1", "1.0", "8.2.0"])
def test_new_enough_library_is_imported(lowest: str):
    with extra("httpx", pytest=lowest):
        imported = importlib.import_module("pytest")

    assert imported is pytest


def test_other_errors_pass_through():
    with pytest.raises(KeyError), extra("httpx", pytest="8"):
        raise KeyError


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_bounds_in_the_code_are_those_of_the_extra(module: Path):
    for call in calls_of_extra(module):
        name = ast.literal_eval(call.args[0])
        bounds = {word.arg: ast.literal_eval(word.value) for word in call.keywords}

        assert bounds.items() <= lowest_in_pyproject(name).items()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_integration_without_its_library_names_its_extra(module: Path):
    calls = calls_of_extra(module)
    program = f"import recloser.{module.parent.name}.{module.stem}"

    run = subprocess.run(
        [sys.executable, "-S", "-c", program],  # no site-packages
        cwd=ROOT / "src",
        capture_output=True,
        check=False,
        text=True,
    )

    for call in calls[:1]:
        assert f"pip install 'recloser[{ast.literal_eval(call.args[0])}]'" in run.stderr
    assert (run.returncode == 0) == (not calls)
