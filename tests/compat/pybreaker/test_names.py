"""What `from recloser.compat import pybreaker` brings, with the original not installed."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pybreaker as genuine

import recloser
from recloser.compat import pybreaker


def test_a_star_import_brings_the_eight_names() -> None:
    namespace: dict[str, object] = {}

    exec("from recloser.compat.pybreaker import *", namespace)  # noqa: S102

    brought = set(namespace) - {"__builtins__"}
    assert brought == set(pybreaker.__all__) == set(genuine.__all__)
    assert len(pybreaker.__all__) == 8


def test_the_states_have_the_names_of_the_original() -> None:
    names = (pybreaker.STATE_OPEN, pybreaker.STATE_CLOSED, pybreaker.STATE_HALF_OPEN)

    assert names == ("open", "closed", "half-open")


def test_what_can_be_imported_besides_is_there() -> None:
    names = {
        "CircuitBreakerStorage",
        "CircuitBreakerState",
        "CircuitClosedState",
        "CircuitOpenState",
        "CircuitHalfOpenState",
        "HAS_TORNADO_SUPPORT",
        "HAS_REDIS_SUPPORT",
    }

    assert {name for name in names if not hasattr(pybreaker, name)} == set()
    assert pybreaker.HAS_TORNADO_SUPPORT
    assert pybreaker.HAS_REDIS_SUPPORT


def test_positional_parameters_and_defaults_are_those_of_the_original() -> None:
    def positional(function: object) -> list[tuple[str, object]]:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
        return [(p.name, p.default) for p in parameters if p.kind is not p.KEYWORD_ONLY]

    for name in ("CircuitBreaker", "CircuitMemoryStorage", "CircuitRedisStorage"):
        mine, theirs = getattr(pybreaker, name), getattr(genuine, name)
        assert positional(mine) == positional(theirs)


def test_every_public_attribute_of_the_originals_classes_is_there() -> None:
    missing = [
        f"{name}.{attribute}"
        for name in (*genuine.__all__, "CircuitBreakerStorage")
        if inspect.isclass(theirs := getattr(genuine, name))
        for attribute in dir(theirs)
        if not attribute.startswith("_")
        and not hasattr(getattr(pybreaker, name), attribute)
    ]

    assert missing == []


def test_its_error_is_ours_too() -> None:
    assert issubclass(pybreaker.CircuitBreakerError, recloser.CircuitOpenError)


def test_importing_it_imports_neither_the_original_nor_redis_nor_tornado() -> None:
    program = (
        "import sys, recloser.compat.pybreaker; "
        "print({'pybreaker', 'redis', 'tornado'} & set(sys.modules))"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )

    assert run.stdout.strip() == "set()"
