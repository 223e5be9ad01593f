"""The template of guarded functions, and its compiler. Nothing else knows of it.

A wrapper has the guarded function's own parameters, so that the interpreter passes them
without packing and unpacking `*args, **kwargs`: this is what makes a guarded call cost
less than an empty wrapper. The code object is made once for each shape of signature and
shared; a wrapper adds only its closure (gate, callable, first-result check) and runs in
its breaker's namespace, where the ticket is one global read.

Names in the template begin with `_recloser_`, so no parameter can collide. Defaults and
annotations are passed by reference. The source is given to `linecache`, so tracebacks
and debuggers show it.
"""

from __future__ import annotations

import builtins
import functools
from types import CellType, CodeType, FunctionType
from .._core.hints import TYPE_CHECKING, Any, NamedTuple

from .circuit import TICKETS
from .shapes import AnyCallable, Shape, refuse_unstarted, shape_of

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Iterator, Mapping

    from .gate import Gate

_PLAIN = """\
{define} _recloser_guarded({parameters}):
    _recloser_recorder = {ticket}
    if _recloser_recorder is None:
        return {wait}_recloser_gate.{ask}(_recloser_call, {packed})
    {started}
    try:
        _recloser_result = {wait}_recloser_call({arguments})
    except BaseException as _recloser_error:
        _recloser_gate.{failed}(_recloser_recorder, _recloser_error{since})
        raise
    {now}
    {check}
    {count}
    next(_recloser_recorder.ok)
    return _recloser_result
"""
_NOW = "_recloser_now = _recloser_clock()"
_CHECK = """\
try:
        _recloser_failed = _recloser_check(_recloser_result)
    except Exception as _recloser_error:
        _recloser_gate.unjudged(_recloser_recorder, _recloser_error)
        return _recloser_result
    if _recloser_failed:
        _recloser_gate.answered(_recloser_recorder, _recloser_result{since})
        return _recloser_result"""
_TURN = """\
if _recloser_now >= _recloser_recorder.deadline:
        _recloser_gate.circuit.turn(_recloser_recorder, _recloser_now)"""
_SLOW = """\
if (
        _recloser_now - _recloser_started >= _recloser_limit
        or _recloser_now >= _recloser_recorder.deadline
    ) and _recloser_gate.is_counted(_recloser_recorder, _recloser_started, _recloser_now):
        return _recloser_result"""
_STREAM = """\
def _recloser_guarded({parameters}):
    return (yield from _recloser_gate.stream(_recloser_call, {packed}))
"""
_ASYNC_STREAM = """\
async def _recloser_guarded({parameters}):
    _recloser_stream = await _recloser_gate.open_stream_async({packed})
    _recloser_source = _recloser_stream.source(_recloser_call, {packed})
    _recloser_step = _recloser_source.__anext__()
    try:
        while True:
            _recloser_item = await _recloser_stream.step(_recloser_step)
            try:
                _recloser_given = yield _recloser_item
            except GeneratorExit:
                await _recloser_source.aclose()
                raise
            except BaseException as _recloser_error:
                _recloser_step = _recloser_source.athrow(_recloser_error)
            else:
                _recloser_step = _recloser_source.asend(_recloser_given)
    except StopAsyncIteration:
        _recloser_stream.done()
    except BaseException as _recloser_error:
        _recloser_stream.raised(_recloser_error)
        raise
"""


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


def guard_function(gate: Gate, function: AnyCallable) -> Any:  # typed by the breaker's `__call__`
    """Return `function` guarded by `gate`, with its signature, names and colour.

    Raises:
        TypeError: It cannot be guarded.
    """
    shape = shape_of(function)
    signature = _signature(function)
    check = gate.classifier.failure_result
    source = _source(shape, signature, gate.circuit.level(), checked=check is not None)
    code = _code(source, signature.parameters)
    wrapper = FunctionType(
        code,
        _namespace(gate),
        getattr(function, "__name__", "guarded"),
        signature.defaults,
        _closure(code, gate, function, shape),
    )
    wrapper.__kwdefaults__ = signature.keyword_defaults
    functools.update_wrapper(wrapper, function)
    return wrapper


def _namespace(gate: Gate) -> dict[str, Any]:
    names = gate.circuit.namespace
    names.setdefault("__name__", "recloser")
    names.setdefault("__builtins__", builtins.__dict__)
    return names


def _closure(code: CodeType, gate: Gate, function: AnyCallable, shape: Shape) -> tuple[CellType, ...]:
    call = CellType(function)
    if shape is Shape.PLAIN:
        call.cell_contents = _first_result_check(function, call)
    cells = {
        "_recloser_gate": CellType(gate),
        "_recloser_call": call,
        "_recloser_check": CellType(gate.classifier.failure_result),
    }
    return tuple(cells[name] for name in code.co_freevars)


def _first_result_check(function: AnyCallable, call: CellType) -> AnyCallable:
    """Return a stand-in that looks at results until one tells what they are.

    A plain function can still return a coroutine. Looking at each result would cost a
    fifth of a guarded call, so the first that is not None decides, and the stand-in then
    takes itself out of the way.
    """

    def checked(*args: Any, **kwargs: Any) -> Any:  # stands for any function
        result = function(*args, **kwargs)
        if result is not None:
            refuse_unstarted(result, function)
            call.cell_contents = function
        return result

    return checked


def _source(shape: Shape, signature: Signature, level: int, *, checked: bool) -> str:
    parts = {
        "parameters": signature.parameters,
        "arguments": signature.arguments,
        "packed": signature.packed,
    }
    if shape is Shape.GENERATOR:
        return _STREAM.format(**parts)
    if shape is Shape.ASYNC_GENERATOR:
        return _ASYNC_STREAM.format(**parts)
    asynchronous = shape is Shape.ASYNC
    since = ", _recloser_started" if level == 2 else ""  # noqa: PLR2004 - both clock reads
    text = _PLAIN.format(
        **parts,
        define="async def" if asynchronous else "def",
        wait="await " if asynchronous else "",
        ask="ask_async" if asynchronous else "ask",
        failed="failed",
        ticket=TICKETS[level],
        started=_NOW.replace("_now", "_started") if since else "",
        since=since,
        now=_NOW if level else "",
        check=_CHECK.format(since=since) if checked else "",
        count=("", _TURN, _SLOW)[level],
    )
    return "".join(line for line in text.splitlines(keepends=True) if line.strip())


@functools.lru_cache(maxsize=1024)
def _code(source: str, parameters: str) -> CodeType:
    """Compile one shape, once, and let tracebacks show it."""
    import linecache  # here: it brings `tokenize` and `re`, a third of our import time

    name = f"<recloser guard of ({parameters})>"
    body = "".join(f"    {line}" for line in source.splitlines(keepends=True))
    outer = f"def _recloser_make(_recloser_gate, _recloser_call, _recloser_check):\n{body}"
    if name in linecache.cache:
        name = f"{name[:-1]} #{len(linecache.cache)}>"
    linecache.cache[name] = (len(outer), None, outer.splitlines(keepends=True), name)
    module = compile(outer, name, "exec", dont_inherit=True)
    make = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
    return next(constant for constant in make.co_consts if isinstance(constant, CodeType))


def _signature(function: AnyCallable) -> Signature:
    import inspect

    try:
        found = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return _GENERIC
    names = found.parameters
    if any(not name.isidentifier() for name in names):
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
    positional, keywords = [], []
    for name, parameter in names.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            keywords.append(f"{name!r}: {name}")
        elif parameter.kind is parameter.VAR_KEYWORD:
            keywords.append(f"**{name}")
        else:
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
            positional.append(f"{stars}{name},")
    return f"({' '.join(positional)}), {{{', '.join(keywords)}}}"


def _defaults(names: Mapping[str, inspect.Parameter], *, keyword: bool) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in names.items()
        if parameter.default is not parameter.empty
        and (parameter.kind is parameter.KEYWORD_ONLY) is keyword
    }
