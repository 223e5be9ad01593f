"""What `from recloser.compat import aiobreaker` brings, and its submodules."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import aiobreaker as genuine
import pytest

import recloser
from recloser.compat import aiobreaker

MODULES = {
    "circuitbreaker": {"CircuitBreaker"},
    "listener": {"CircuitBreakerListener"},
    "state": {
        "CircuitBreakerError",
        "CircuitBreakerState",
        "CircuitBreakerBaseState",
        "CircuitClosedState",
        "CircuitOpenState",
        "CircuitHalfOpenState",
    },
    "storage": {"CircuitMemoryStorage", "CircuitRedisStorage"},
    "storage.base": {"CircuitBreakerStorage"},
    "storage.memory": {"CircuitMemoryStorage"},
    "storage.redis": {"CircuitRedisStorage"},
    "version": {"__version__", "short_version"},
}


def submodule(package: str, name: str) -> Any:
    return importlib.import_module(f"{package}.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_every_submodule_has_its_names(name: str) -> None:
    mine = submodule("recloser.compat.aiobreaker", name)

    assert {wanted for wanted in MODULES[name] if not hasattr(mine, wanted)} == set()


def test_the_package_has_its_names_and_its_submodules() -> None:
    names = {
        "CircuitBreaker",
        "CircuitBreakerError",
        "CircuitBreakerListener",
        "CircuitBreakerState",
        "circuitbreaker",
        "listener",
        "state",
        "storage",
    }

    assert names <= set(dir(genuine))
    assert {name for name in names if not hasattr(aiobreaker, name)} == set()


def test_every_public_attribute_of_the_originals_classes_is_there() -> None:
    missing = [
        f"{module}.{name}.{attribute}"
        for module, names in MODULES.items()
        for name in names
        if inspect.isclass(theirs := getattr(submodule("aiobreaker", module), name))
        and "State" not in name
        for attribute in dir(theirs)
        if not attribute.startswith("_")
        and not hasattr(
            getattr(submodule("recloser.compat.aiobreaker", module), name), attribute
        )
    ]

    assert missing == []


def test_positional_parameters_are_those_of_the_original() -> None:
    def positional(function: Any) -> list[str]:
        parameters = inspect.signature(function).parameters.values()
        return [str(p.name) for p in parameters if p.kind is not p.KEYWORD_ONLY]

    for module, name in (
        ("circuitbreaker", "CircuitBreaker"),
        ("storage", "CircuitMemoryStorage"),
        ("storage", "CircuitRedisStorage"),
        ("state", "CircuitBreakerError"),
        ("state", "CircuitOpenState"),
    ):
        mine = getattr(submodule("recloser.compat.aiobreaker", module), name)
        theirs = getattr(submodule("aiobreaker", module), name)
        assert positional(mine) == positional(theirs)


def test_the_version_is_that_of_the_interface() -> None:
    mine = submodule("recloser.compat.aiobreaker", "version")
    theirs = submodule("aiobreaker", "version")

    assert (mine.__version__, mine.short_version) == (
        theirs.__version__,
        theirs.short_version,
    )


def test_its_error_is_ours_too() -> None:
    assert issubclass(aiobreaker.CircuitBreakerError, recloser.CircuitOpenError)


def test_importing_it_imports_neither_the_original_nor_redis() -> None:
    program = (
        "import sys, recloser.compat.aiobreaker; "
        "print({'aiobreaker', 'redis'} & set(sys.modules))"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )

    assert run.stdout.strip() == "set()"
