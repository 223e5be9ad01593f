from __future__ import annotations

import ast
import importlib
from collections.abc import Callable

import pytest

from recloser.cli.migrate.findings import Findings

Look = Callable[[dict[str, str | bytes]], Findings]

STATEMENTS = {
    "import pybreaker": "from recloser.compat import pybreaker",
    "import pybreaker as pb": "from recloser.compat import pybreaker as pb",
    "from pybreaker import CircuitBreaker": (
        "from recloser.compat.pybreaker import CircuitBreaker"
    ),
    "from pybreaker import CircuitBreaker as B, STATE_OPEN": (
        "from recloser.compat.pybreaker import CircuitBreaker as B, STATE_OPEN"
    ),
    "import aiobreaker.storage.redis": "from recloser.compat import aiobreaker",
    "import aiobreaker.state as s": "import recloser.compat.aiobreaker.state as s",
    "from aiobreaker import storage": "from recloser.compat.aiobreaker import storage",
    "from aiobreaker.storage.base import CircuitBreakerStorage": (
        "from recloser.compat.aiobreaker.storage.base import CircuitBreakerStorage"
    ),
    "from circuitbreaker import circuit": (
        "from recloser.compat.circuitbreaker import circuit"
    ),
    "from aiocircuitbreaker.aiocircuitbreaker import circuit": (
        "from recloser.compat.aiocircuitbreaker.aiocircuitbreaker import circuit"
    ),
    "import dorm.contrib.circuit_breaker as cb": (
        "from recloser.compat import dorm as cb"
    ),
    "from dorm.contrib import circuit_breaker": (
        "from recloser.compat import dorm as circuit_breaker"
    ),
    "from dorm.contrib import circuit_breaker as dorm": (
        "from recloser.compat import dorm"
    ),
    "from dorm.contrib.circuit_breaker import get_state": (
        "from recloser.compat.dorm import get_state"
    ),
    "from escudeiro.ds import circuit": (
        "from recloser.compat import escudeiro as circuit"
    ),
    "from escudeiro.ds import CircuitBreaker as B": (
        "from recloser.compat.escudeiro import CircuitBreaker as B"
    ),
    "from escudeiro.ds.circuit import with_circuit_breaker": (
        "from recloser.compat.escudeiro import with_circuit_breaker"
    ),
    "import os, pybreaker, json": (
        "import os, json\nfrom recloser.compat import pybreaker"
    ),
    "import aiobreaker, aiobreaker.listener": "from recloser.compat import aiobreaker",
    "from dorm.contrib import softdelete, circuit_breaker": (
        "from dorm.contrib import softdelete\n"
        "from recloser.compat import dorm as circuit_breaker"
    ),
    "from escudeiro.ds import factory as f, CircuitBreaker": (
        "from escudeiro.ds import factory as f\n"
        "from recloser.compat.escudeiro import CircuitBreaker"
    ),
}


@pytest.mark.parametrize("old", STATEMENTS)
def test_statement_becomes_the_import_of_ours(old: str, look: Look):
    found = look({"app.py": f"{old}\n"})

    [change] = found.changes
    assert change.text == f"{STATEMENTS[old]}\n"
    assert found.undecided == []


@pytest.mark.parametrize("new", sorted(set(STATEMENTS.values())))
def test_what_is_written_can_be_imported(new: str):
    ours = [line for line in new.splitlines() if "recloser" in line]

    for node in ast.parse("\n".join(ours)).body:
        assert isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names:
            if isinstance(node, ast.Import):
                assert importlib.import_module(name.name)
            else:
                module = importlib.import_module(node.module or "")
                inner = f"{module.__name__}.{name.name}"
                assert hasattr(module, name.name) or importlib.import_module(inner)


@pytest.mark.parametrize("new", sorted(set(STATEMENTS.values())))
def test_what_was_changed_once_is_not_changed_again(new: str, look: Look):
    found = look({"app.py": f"{new}\n"})

    assert found.changes == []
    assert found.undecided == []


def test_submodules_are_there_after_importing_the_package_alone():
    from recloser.compat import aiobreaker, aiocircuitbreaker

    for name in ("circuitbreaker", "listener", "state", "storage", "version"):
        assert hasattr(aiobreaker, name)
    for name in ("base", "memory", "redis"):
        assert hasattr(aiobreaker.storage, name)
    assert hasattr(aiocircuitbreaker, "aiocircuitbreaker")


def test_comments_lines_and_brackets_stay(look: Look):
    found = look(
        {
            "app.py": "from pybreaker import (  # names\n"
            "    CircuitBreaker,  # the breaker\n"
            "    STATE_OPEN,\n"
            ")  # behind\n"
            "import pybreaker  # stays\n"
        }
    )

    assert found.changes[0].text == (
        "from recloser.compat.pybreaker import (  # names\n"
        "    CircuitBreaker,  # the breaker\n"
        "    STATE_OPEN,\n"
        ")  # behind\n"
        "from recloser.compat import pybreaker  # stays\n"
    )


def test_split_statement_keeps_its_indentation(look: Look):
    found = look({"app.py": "try:\n\timport json, pybreaker\nexcept E: pass\n"})

    assert found.changes[0].text == (
        "try:\n\timport json\n\tfrom recloser.compat import pybreaker\nexcept E: pass\n"
    )


def test_split_statement_in_a_line_with_others_stays_in_that_line(look: Look):
    found = look({"app.py": "if True: import json, pybreaker; x = 1\n"})

    assert found.changes[0].text == (
        "if True: import json; from recloser.compat import pybreaker; x = 1\n"
    )


def test_two_statements_in_one_line_are_both_changed(look: Look):
    found = look({"app.py": "x = 'é'; import pybreaker; import circuitbreaker\n"})

    assert found.changes[0].text == (
        "x = 'é'; from recloser.compat import pybreaker;"
        " from recloser.compat import circuitbreaker\n"
    )


def test_continued_line_is_understood(look: Look):
    found = look({"app.py": "from \\\n  pybreaker \\\n  import STATE_OPEN\n"})

    assert found.changes[0].text == (
        "from \\\n  recloser.compat.pybreaker \\\n  import STATE_OPEN\n"
    )


def test_relative_imports_mean_a_neighbour(look: Look):
    found = look({"pkg/__init__.py": "from .pybreaker import x\n"})

    assert found.changes == []
    assert found.undecided == []


def test_names_that_only_begin_alike_are_others(look: Look):
    text = "import pybreaker_extras\nfrom circuitbreakers import x\nimport dorm\n"

    found = look({"app.py": text})

    assert found.changes == []
    assert found.undecided == []


UNDECIDED = {
    "from pybreaker import _utc": "pybreaker._utc is not in recloser.compat.pybreaker",
    "import aiobreaker.nothing": "there is no recloser.compat.aiobreaker.nothing",
    "from aiobreaker.nothing import x": "there is no recloser.compat.aiobreaker.nothing",
    "import dorm.contrib.circuit_breaker": "binds 'dorm', which stays",
    "from escudeiro.ds import (\n  factory,  # why\n  CircuitBreaker,\n)": (
        "has a comment inside"
    ),
}


@pytest.mark.parametrize("statement", UNDECIDED)
def test_statement_that_is_not_understood_is_left_and_listed(
    statement: str, look: Look
):
    found = look({"app.py": f"\n{statement}\n"})

    [place] = found.undecided
    assert found.changes == []
    assert place.line == 2
    assert UNDECIDED[statement] in place.says


def test_module_of_the_tree_may_be_the_one_that_is_meant(look: Look):
    found = look({"circuitbreaker.py": "", "app.py": "import circuitbreaker, os\n"})

    [place] = found.undecided
    assert found.changes == []
    assert place.says == "may mean the module 'circuitbreaker' that is in this tree"


def test_module_inside_a_package_is_not_the_one_that_is_meant(look: Look):
    found = look(
        {"app/__init__.py": "", "app/circuitbreaker.py": "import circuitbreaker\n"}
    )

    assert len(found.changes) == 1
    assert found.undecided == []


def test_star_import_is_changed_with_a_remark(look: Look):
    found = look({"app.py": "from circuitbreaker import *\n"})

    [remark] = found.remarks
    assert found.changes[0].text == "from recloser.compat.circuitbreaker import *\n"
    assert remark.says.startswith("imports * from circuitbreaker")
