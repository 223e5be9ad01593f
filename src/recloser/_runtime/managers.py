"""`with breaker:` and `async with breaker:` at the price of an empty context manager.

Two lookups are at work, and this module lives between them.

- The `with` statement looks up `__enter__` and `__exit__` on the type. There they are
  slots, so each breaker holds its own pair of callables, and both are fetched on entry:
  the `__exit__` of a block belongs to the period that admitted it. While the circuit is
  closed and untimed the pair is a weak reference (C code that returns the breaker) and a
  closure over the period's recorder. A swap of the phase replaces the pair.
- `ExitStack` looks up `type(breaker).__enter__` on entry and `type(breaker).__exit__` on
  exit, maybe periods later. There the metaclass always answers with the general pair.

The general pair is `Blocks`: it keeps what the block was admitted with in a context
variable and finds it again on exit. It serves every phase, timed rules and `ExitStack`.
A block that leaves in another context than it entered finds nothing and reports nothing;
`with breaker.acquire():` is the exact form there.

With the GIL nothing comes between the two fetches of one `with`. Without the GIL a swap
can, and a mixed pair could miscount; there the general pair stays in place for good.
"""

from __future__ import annotations

import weakref

from .._core.hints import TYPE_CHECKING, Any
from . import reentry
from .counters import HAS_GIL
from .entries import Entry
from .recorders import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .flights import Cohort
    from .gate import Gate

    Leave = Callable[
        [type[BaseException] | None, BaseException | None, TracebackType | None], None
    ]

SLOTS = ("__enter__", "__exit__", "__aenter__", "__aexit__", "_blocks")


def _enter(breaker: Any) -> Any:
    return breaker._blocks()


def _leave(breaker: Any, *error: Any) -> Any:
    return breaker._blocks(*error)


def _enter_async(breaker: Any) -> Any:
    return breaker._blocks.run_async()


def _leave_async(breaker: Any, *error: Any) -> Any:
    return breaker._blocks.run_async(*error)


def _always(function: Callable[..., Any]) -> Any:
    def answer(kind: type) -> Callable[..., Any]:
        return function

    return property(answer)


class BlockType(type):
    """Answers `ExitStack` and its async twin with the general pair."""

    __enter__: Any = _always(_enter)
    __exit__: Any = _always(_leave)
    __aenter__: Any = _always(_enter_async)
    __aexit__: Any = _always(_leave_async)


class Blocks:
    """The guarded blocks of one breaker: the general pair, and who installs the fast one."""

    __slots__ = ("__weakref__", "_breaker", "_gate", "_kind", "_swapping")

    def __init__(
        self, breaker: Any, gate: Gate
    ) -> None:  # the breaker's module imports this one
        """Put the general pair in place; the fast one follows the first block."""
        self._kind: Any = type(breaker)
        self._breaker: weakref.ref[Any] = weakref.ref(breaker)
        self._gate = gate
        self._swapping = not HAS_GIL
        breaker._blocks = self
        self._install_general(breaker)

    def __call__(self, *error: Any) -> Any:
        """Enter when called with nothing, leave when called with how the block ended."""
        return (
            self._leave(error[1])
            if error
            else self._enter(self._admitted() or self._gate.admit())
        )

    async def run_async(self, *error: Any) -> Any:
        """Do the same for `async with`."""
        if error:
            return self._leave(error[1])
        return self._enter(self._admitted() or await self._gate.admit_async())

    def swap(self, recorder: Recorder | Cohort | None) -> None:
        """Install the pair for a new ticket; called by the circuit, under its lock."""
        breaker = self._breaker()
        if breaker is None:
            return
        level = self._gate.circuit.level
        if not isinstance(recorder, Recorder) or level > 1:
            self._install_general(breaker)
            return
        leave = (
            _counting(self._gate, recorder)
            if level
            else _stepping(self._gate, recorder)
        )
        breaker.__enter__, breaker.__exit__ = self._breaker, leave
        breaker.__aenter__, breaker.__aexit__ = (
            _entering(self._breaker),
            _leaving(leave),
        )

    def _install_general(self, breaker: Any) -> None:
        breaker.__enter__ = breaker.__exit__ = self
        breaker.__aenter__ = breaker.__aexit__ = self.run_async

    def _admitted(self) -> Entry | None:
        """Admit by the ticket, as wrappers do; None means to ask the circuit."""
        ticket: object = self._gate.circuit.ticket.cell_contents
        return ticket.entry(None) if isinstance(ticket, Recorder) else None

    def _enter(self, entry: Entry) -> Any:
        if not self._swapping:
            self._swapping = True
            self._gate.circuit.watch_swaps(self)
        reentry.enter(self._gate.circuit, entry, block=True)
        return self._breaker() or self._revived()

    def _revived(self) -> Any:
        """Return a breaker again after `with CircuitBreaker(...) as b:` dropped the first."""
        breaker: Any = self._kind.__new__(self._kind)
        breaker._circuit, breaker._gate = self._gate.circuit, self._gate
        self._breaker = weakref.ref(breaker)
        breaker._blocks = self
        self._install_general(breaker)
        return breaker

    def _leave(self, error: BaseException | None) -> None:
        circuit = self._gate.circuit
        inside = reentry.find_block(circuit)
        if inside is None:
            return
        reentry.leave(inside)
        if error is None:
            circuit.succeed(inside.entry, circuit.now())
        else:
            self._gate.raised(inside.entry, error)


def _stepping(gate: Gate, recorder: Recorder) -> Leave:
    def leave(
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            next(recorder.ok)
        else:
            gate.failed(recorder, error)

    return leave


def _counting(gate: Gate, recorder: Recorder) -> Leave:
    circuit = gate.circuit

    def leave(
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            gate.failed(recorder, error)
            return
        now = circuit.clock()
        if now >= recorder.deadline:
            circuit.turn(recorder)
        next(recorder.ok)

    return leave


def _entering(breaker: Callable[[], Any]) -> Any:
    async def enter() -> Any:
        return breaker()

    return enter


def _leaving(leave: Any) -> Any:
    async def leave_async(
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        leave(kind, error, trace)

    return leave_async
