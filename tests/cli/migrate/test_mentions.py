from __future__ import annotations

from collections.abc import Callable

import pytest

from recloser.cli.migrate.findings import Findings

Look = Callable[[dict[str, str | bytes]], Findings]

CODE = {
    "importlib.import_module('pybreaker')": (
        "imports 'pybreaker' by its name, with import_module"
    ),
    "__import__('aiobreaker.state')": "imports 'aiobreaker.state' by its name",
    "mock.patch('circuitbreaker.monotonic')": (
        "the string 'circuitbreaker.monotonic' names it, for patch"
    ),
    "names = ['escudeiro.ds.circuit']": "the string 'escudeiro.ds.circuit' names it",
    "sys.modules['pybreaker']": "the string 'pybreaker' names it",
    "import dorm\ndorm.contrib.circuit_breaker.get_state('x')": (
        "uses dorm.contrib.circuit_breaker through dorm"
    ),
    "from dorm import contrib as c\nc.circuit_breaker.get_state('x')": (
        "uses dorm.contrib.circuit_breaker through dorm.contrib"
    ),
    "import escudeiro.ds as e\ne.CircuitBreaker()": (
        "uses escudeiro.ds.CircuitBreaker through escudeiro.ds"
    ),
    "from escudeiro import ds\nds.circuit.DEFAULT_DELAY": (
        "uses escudeiro.ds.circuit through escudeiro.ds"
    ),
    "import pybreaker as pb\npb.nonsense": "recloser.compat.pybreaker has no nonsense",
    "import aiobreaker.state\naiobreaker.nonsense": (
        "recloser.compat.aiobreaker has no nonsense"
    ),
    "from dorm.contrib import circuit_breaker\ncircuit_breaker.nonsense": (
        "recloser.compat.dorm has no nonsense"
    ),
}


@pytest.mark.parametrize("code", CODE)
def test_use_that_is_no_import_is_listed_with_its_line_and_left(code: str, look: Look):
    found = look({"app.py": f"{code}\n"})

    [place] = found.undecided
    assert place.line == len(code.splitlines())
    assert CODE[code] in place.says


INNOCENT = (
    "logging.getLogger('pybreaker').setLevel(50)",
    "help = 'pybreaker is a library'",
    "'dorm'",
    "import dorm\ndorm.contrib.softdelete()",
    "from .pybreaker import x",
    "import pybreaker\npybreaker.CircuitBreaker.call",
)


@pytest.mark.parametrize("code", INNOCENT)
def test_what_is_no_use_is_not_listed(code: str, look: Look):
    assert look({"app/__init__.py": f"{code}\n"}).undecided == []


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("requirements.txt", "# pybreaker\npybreaker>=1.0\n", 2),
        ("requirements-dev.in", "circuitbreaker\n", 1),
        ("requirements/base.txt", "\n\ndjanorm[pg]==4.5\n", 3),
        ("pyproject.toml", '[project]\ndependencies = ["aiobreaker>=1"]\n', 2),
        ("setup.cfg", "[options]\ninstall_requires =\n  Escudeiro\n", 3),
    ],
)
def test_requirement_is_a_remark(name: str, text: str, line: int, look: Look):
    found = look({name: text})

    [remark] = found.remarks
    assert remark.line == line
    assert "add recloser" in remark.says
    assert found.undecided == []


def test_requirement_of_something_else_is_none(look: Look):
    text = "circuitbreaker-extras\nmy-pybreaker\nhttps://example.org/pybreaker/x\n"

    assert look({"requirements.txt": text}).remarks == []


def test_notebook_is_listed_and_left(look: Look):
    found = look({"a.ipynb": '{"source": ["import pybreaker"]}', "b.ipynb": "{}"})

    [place] = found.undecided
    assert place.path.name == "a.ipynb"
    assert found.changes == []
