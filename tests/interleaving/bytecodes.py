"""A call for each bytecode of the modules under test that a thread is about to run.

Python 3.11 traces frames. Later ones emulate that, and skip bytecodes of functions that
run for the first time; there the events are asked for by code object instead.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import CodeType, FrameType
from typing import Any, Final

from recloser._runtime.counters import HAS_GIL

MODULES: Final = (
    "circuit",
    "gate",
    "managers",
    "permits",
    "publishing",
    "recorders",
    "reentry",
    "taps",
)
COMPILED: Final = "<recloser guard of"
ATOMIC: Final = {"swap"} if HAS_GIL else set()
"""Functions that the interpreter does not leave in the middle. The slots of a breaker's
blocks are set by two stores with nothing between them at which it could; without the GIL
they are never set. A test looks at the bytecode to see that this is so."""

Step = Callable[[], None]


def files_of(modules: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of modules of the runtime."""
    found = (import_module(f"recloser._runtime.{name}").__file__ for name in modules)
    return tuple(filter(None, found))


FILES: Final = files_of(MODULES)


def is_under_test(code: CodeType, files: tuple[str, ...] = FILES) -> bool:
    """Tell whether the bytecodes of a function are steps."""
    name = code.co_filename
    if code.co_name in ATOMIC:
        return False
    return name in files or name.startswith(COMPILED)


@contextmanager
def traced(step: Step, files: tuple[str, ...] = FILES) -> Iterator[None]:
    """Call `step` before each bytecode of this thread, by tracing its frames."""

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        if not is_under_test(frame.f_code, files):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return trace

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            step()
        return trace

    before = sys.gettrace()  # that of a measurement of coverage, say
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


_steps: dict[int, Step] = {}
_TOOL: Final = 4


@contextmanager
def monitored(step: Step, files: tuple[str, ...] = FILES) -> Iterator[None]:
    """Call `step` before each bytecode of this thread, by events that `watching` asked for."""
    _steps[threading.get_ident()] = step
    try:
        yield
    finally:
        del _steps[threading.get_ident()]


def _at(code: CodeType, offset: int) -> None:
    step = _steps.get(threading.get_ident())
    if step is not None:
        step()


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@contextmanager
def watching(*compiled: CodeType, modules: tuple[str, ...] = MODULES) -> Iterator[None]:
    """Have the events come while the block runs, of our modules and what is given."""
    if sys.version_info < (3, 12):
        yield
        return
    monitoring = sys.monitoring
    monitoring.use_tool_id(_TOOL, "interleaving")
    monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, _at)
    files = files_of(modules)
    codes = [
        code for code in (*_living(modules), *compiled) if is_under_test(code, files)
    ]
    for code in codes:
        monitoring.set_local_events(_TOOL, code, monitoring.events.INSTRUCTION)
    try:
        yield
    finally:
        for code in codes:
            monitoring.set_local_events(_TOOL, code, 0)
        monitoring.free_tool_id(_TOOL)


def _living(modules: tuple[str, ...]) -> Iterator[CodeType]:
    """Return the code of every function of our modules, and of what they nest."""
    for name in modules:
        module = import_module(f"recloser._runtime.{name}")
        for value in vars(module).values():
            for found in (
                (value, *vars(value).values()) if isinstance(value, type) else (value,)
            ):
                inner = getattr(found, "fget", None) or getattr(
                    found, "__func__", found
                )
                code = getattr(inner, "__code__", None)
                if isinstance(code, CodeType):
                    yield from _codes(code)


stepping: Final = monitored if sys.version_info >= (3, 12) else traced
