"""The template of guarded functions, and its compiler. Nothing else knows of it.

A wrapper has the guarded function's own parameters, so that the interpreter passes them
without packing and unpacking `*args, **kwargs`: this is what makes a guarded call cost
less than an empty wrapper. The code object is made once for each shape of signature and
shared; a wrapper adds only its closure, in which the ticket is one read of a cell that
belongs to the breaker. (Globals would be as fast alone, but their inline caches live in
the shared code: breakers called in turn would pay up to three times as much.)

Names in the template, builtins too, begin with `_recloser_`, so no parameter can collide. Defaults and
annotations are passed by reference. The source is given to `linecache`, so tracebacks
and debuggers show it.
"""

from __future__ import annotations

import builtins
import functools
import sys
from types import CellType, CodeType, FunctionType, MethodType

from .._core.hints import TYPE_CHECKING, Any, NamedTuple
from .rejecting import knock
from .shapes import AnyCallable, Shape, refuse_unstarted, shape_of
from .streams import left, open_stream, run_stream

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterator, Mapping

    from .gate import Gate

_PLAIN = """\
{define} _recloser_guarded({parameters}):
    _recloser_recorder = _recloser_ticket
    if _recloser_recorder is None:
        {knock}
        return {wait}_recloser_gate.{ask}(_recloser_call, {packed})
    {started}
    try:
        _recloser_result = {wait}_recloser_call({arguments})
    except _recloser_BaseException as _recloser_error:
        _recloser_gate.failed(_recloser_recorder, _recloser_error{since})
        raise
    {now}
    {check}
    {count}
    {step}
    return _recloser_result
"""
_STEP = "_recloser_next(_recloser_recorder.ok)"
_ENTER = "_recloser_started = _recloser_next(_recloser_recorder.entries)"
if sys.version_info >= (
    3,
    14,
):  # there the loop is inlined, and saves a twentieth of a call
    _STEP = "for _recloser_none in _recloser_recorder.ok: break"
    _ENTER = "for _recloser_started in _recloser_recorder.entries: break"
_NOW = "_recloser_now = _recloser_clock()"
_STARTED = """\
{enter}
    if not _recloser_recorder.began <= _recloser_started < _recloser_recorder.deadline:
        _recloser_recorder = _recloser_gate.renewed(_recloser_recorder, _recloser_started)
        if _recloser_recorder is None:
            {knock}
            return {wait}_recloser_gate.{ask}(_recloser_call, {packed})"""
_CHECK = """\
try:
        _recloser_failed = not not _recloser_check(_recloser_result)
    except _recloser_Exception as _recloser_error:
        _recloser_gate.unjudged(_recloser_recorder, _recloser_error)
        return _recloser_result
    if _recloser_failed:
        _recloser_gate.answered(_recloser_recorder, _recloser_result{since})
        return _recloser_result"""
_TURN = """\
if _recloser_now >= _recloser_recorder.deadline:
        _recloser_gate.circuit.turn(_recloser_recorder)"""
_SLOW = """\
if _recloser_now >= _recloser_recorder.deadline and _recloser_gate.is_counted(
        _recloser_recorder, _recloser_started, _recloser_now
    ):
        return _recloser_result"""
_STREAM = """\
def _recloser_guarded({parameters}):
    _recloser_recorder = _recloser_ticket
    if _recloser_recorder is None:
        return (yield from _recloser_run_stream(_recloser_gate, _recloser_call, {packed}))
    try:
        _recloser_result = yield from _recloser_call({arguments})
    except _recloser_GeneratorExit:
        _recloser_left(_recloser_gate, _recloser_recorder)
        raise
    except _recloser_BaseException as _recloser_error:
        _recloser_gate.failed(_recloser_recorder, _recloser_error)
        raise
    {now}
    {count}
    {step}
    return _recloser_result
"""
_TIMED_STREAM = """\
def _recloser_guarded({parameters}):
    return (yield from _recloser_run_stream(_recloser_gate, _recloser_call, {packed}))
"""
_ASYNC_STREAM = """\
async def _recloser_guarded({parameters}):
    _recloser_stream = await _recloser_open_stream(_recloser_gate, {packed})
    _recloser_source = _recloser_stream.source(_recloser_call, {packed})
    _recloser_step = _recloser_source.__anext__()
    try:
        while True:
            _recloser_item = await _recloser_stream.step(_recloser_step)
            try:
                _recloser_given = yield _recloser_item
            except _recloser_GeneratorExit:
                await _recloser_source.aclose()
                raise
            except _recloser_BaseException as _recloser_error:
                _recloser_step = _recloser_source.athrow(_recloser_error)
            else:
                _recloser_step = _recloser_source.asend(_recloser_given)
    except _recloser_StopAsyncIteration:
        _recloser_stream.done()
    except _recloser_BaseException as _recloser_error:
        _recloser_stream.raised(_recloser_error)
        raise
"""
_GLOBALS: dict[str, Any] = {
    "__name__": "recloser",
    "__builtins__": builtins.__dict__,
    "_recloser_run_stream": run_stream,
    "_recloser_open_stream": open_stream,
    "_recloser_left": left,
    "_recloser_knock": knock,
    "_recloser_next": next,
    "_recloser_BaseException": BaseException,
    "_recloser_Exception": Exception,
    "_recloser_GeneratorExit": GeneratorExit,
    "_recloser_StopAsyncIteration": StopAsyncIteration,
}
_CELLS = (
    "_recloser_ticket",
    "_recloser_gate",
    "_recloser_call",
    "_recloser_clock",
    "_recloser_check",
)
_PATIENCE = 100  # results that are None before a function is believed to be plain


class Signature(NamedTuple):
    """How a function is called, as source text."""

    parameters: str
    arguments: str
    packed: str
    defaults: tuple[Any, ...] | None
    keyword_defaults: dict[str, Any] | None


_GENERIC = Signature(
    "*_recloser_args, **_recloser_kwargs",
    "*_recloser_args, **_recloser_kwargs",
    "_recloser_args, _recloser_kwargs",
    None,
    None,
)


def guard_function(
    gate: Gate, function: AnyCallable
) -> Any:  # typed by the breaker's `__call__`
    """Return `function` guarded by `gate`, with its signature, names and colour.

    Raises:
        TypeError: It cannot be guarded.
    """
    shape = shape_of(function)
    signature = _signature(function)
    with gate.circuit._lock:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a part of the circuit
        level, ticket = gate.circuit.level, gate.circuit.ticket
    source = _source(shape, signature, gate, level)
    code = _code(source, signature.parameters)
    name = getattr(function, "__name__", None)
    name = name if isinstance(name, str) else "guarded"
    closure = _closure(code, gate, function, shape, ticket)
    wrapper = FunctionType(code, _GLOBALS, name, signature.defaults, closure)
    wrapper.__kwdefaults__ = signature.keyword_defaults
    functools.update_wrapper(wrapper, function)
    return wrapper


def _closure(
    code: CodeType,
    gate: Gate,
    function: AnyCallable,
    shape: Shape,
    ticket: CellType,
) -> tuple[CellType, ...]:
    cells = {
        "_recloser_ticket": lambda: ticket,
        "_recloser_gate": lambda: CellType(gate),
        "_recloser_call": lambda: _call_cell(function, shape),
        "_recloser_clock": lambda: CellType(gate.circuit.clock),
        "_recloser_check": lambda: CellType(gate.classifier.failure_result),
    }
    return tuple(cells[name]() for name in code.co_freevars)


def _call_cell(function: AnyCallable, shape: Shape) -> CellType:
    cell = CellType(function)
    if shape is Shape.PLAIN:
        cell.cell_contents = FirstResults(function, cell)
    return cell


class FirstResults:
    """Stands in for a plain function until a result tells that it is one.

    A plain function can still return a coroutine. Looking at every result would cost a
    fifth of a guarded call, so the first that is not None decides (or a hundred that
    are), and the stand-in then takes itself out of the way.
    """

    __slots__ = ("_cell", "_function", "_left")

    def __init__(self, function: AnyCallable, cell: CellType) -> None:
        """Stand in the cell that the wrapper calls."""
        self._function = function
        self._cell = cell
        self._left = _PATIENCE

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:  # stands for any function
        """Call the function and look at what it returns."""
        result = self._function(*args, **kwargs)
        refuse_unstarted(result, self._function)
        self._left -= 1
        if result is not None or self._left <= 0:
            self._cell.cell_contents = self._function
        return result


def _source(shape: Shape, signature: Signature, gate: Gate, level: int) -> str:
    asynchronous = shape is Shape.ASYNC
    timed = level > 1
    template = {
        Shape.GENERATOR: _TIMED_STREAM if timed else _STREAM,
        Shape.ASYNC_GENERATOR: _ASYNC_STREAM,
    }.get(shape, _PLAIN)
    since = ", _recloser_started" if timed else ""
    check = (
        _CHECK.format(since=since) if gate.classifier.failure_result is not None else ""
    )
    asking = {
        "packed": signature.packed,
        "wait": "await " if asynchronous else "",
        "knock": "_recloser_knock(_recloser_gate.circuit)" * gate.rejects_at_once,
        "ask": "ask_async" if asynchronous else "ask",
    }
    text = template.format(
        parameters=signature.parameters,
        arguments=signature.arguments,
        define="async def" if asynchronous else "def",
        started=_STARTED.format(enter=_ENTER, **asking) if timed else "",
        since=since,
        now=_NOW if level else "",
        check=check,
        count=("", _TURN, _SLOW)[level],
        step=_STEP,
        **asking,
    )
    return "".join(line for line in text.splitlines(keepends=True) if line.strip())


@functools.cache  # for good, as `linecache` keeps what it was given
def _code(source: str, parameters: str) -> CodeType:
    """Compile one shape, once, and let tracebacks show it."""
    import linecache  # here: it brings `tokenize` and `re`, a third of our import time

    name = f"<recloser guard of ({parameters}) #{len(_shapes)}>"
    _shapes.append(name)
    body = "".join(f"    {line}" for line in source.splitlines(keepends=True))
    outer = f"def _recloser_make({', '.join(_CELLS)}):\n{body}"
    linecache.cache[name] = (len(outer), None, outer.splitlines(keepends=True), name)
    module = compile(outer, name, "exec", dont_inherit=True)
    make = next(
        constant for constant in module.co_consts if isinstance(constant, CodeType)
    )
    return next(
        constant for constant in make.co_consts if isinstance(constant, CodeType)
    )


_shapes: list[str] = []


def _signature(function: AnyCallable) -> Signature:
    import inspect

    written = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(written, FunctionType) or "__signature__" in written.__dict__:
        return _GENERIC  # what it says of itself need not be how it has to be called
    names = inspect.signature(function, follow_wrapped=False).parameters
    if any(name.startswith("_recloser_") for name in names):
        return _GENERIC
    return Signature(
        ", ".join(_parameters(names)),
        ", ".join(_arguments(names)),
        _packed(names),
        tuple(_defaults(names, keyword=False).values()) or None,
        _defaults(names, keyword=True) or None,
    )


_Parameters = "Mapping[str, inspect.Parameter]"


def _parameters(names: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    """Write the parameters; defaults are placeholders, set on the function by reference."""
    previous = None
    starred = False
    for name, parameter in names.items():
        kind = parameter.kind
        if previous is not None and previous is parameter.POSITIONAL_ONLY is not kind:
            yield "/"
        starred = starred or kind is parameter.VAR_POSITIONAL
        if kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        stars = "*" if kind is parameter.VAR_POSITIONAL else ""
        stars = "**" if kind is parameter.VAR_KEYWORD else stars
        default = "" if parameter.default is parameter.empty else "=None"
        yield f"{stars}{name}{default}"
        previous = kind
    if previous is not None and previous.name == "POSITIONAL_ONLY":
        yield "/"


def _arguments(names: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    for name, parameter in names.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield f"*{name}"
        elif parameter.kind is parameter.VAR_KEYWORD:
            yield f"**{name}"
        else:
            yield f"{name}={name}" if parameter.kind is parameter.KEYWORD_ONLY else name


def _packed(names: Mapping[str, inspect.Parameter]) -> str:
    """Write the arguments as a tuple and a dict, for the calls that are not fast."""
    positional: list[str] = []
    keywords: list[str] = []
    for name, parameter in names.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            keywords.append(f"{name!r}: {name}")
        elif parameter.kind is parameter.VAR_KEYWORD:
            keywords.append(f"**{name}")
        else:
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
            positional.append(f"{stars}{name},")
    return f"({' '.join(positional)}), {{{', '.join(keywords)}}}"


def _defaults(
    names: Mapping[str, inspect.Parameter], *, keyword: bool
) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in names.items()
        if parameter.default is not parameter.empty
        and (parameter.kind is parameter.KEYWORD_ONLY) is keyword
    }
