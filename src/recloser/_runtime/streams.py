"""Generators and async generators: admitted at the first item, judged by how they end.

`send`, `throw`, `close`, return values and their async twins reach the guarded generator.
Leaving after an item is a success; before one, neutral. Slow means the time to the first
item: what the consumer does between items is never counted. A stream that is a probe and
still delivers when its lease ends is a success at that item; no timer watches it.
"""

from __future__ import annotations

from math import inf

from .._core.errors import CircuitOpenError
from .._core.hints import TYPE_CHECKING, Any
from .._core.outcomes import Kind, Outcome
from . import reentry
from .entries import Entry
from .flights import arrived, watched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from .gate import Gate
    from .recorders import Recorder


class Stream:
    """One running stream. Used by one thread or task at a time, like its generator."""

    __slots__ = ("_delivered", "_entry", "_gate", "_instead", "_lease", "_slow")

    def __init__(self, gate: Gate, entry: Entry | None, instead: Any = None) -> None:
        """Begin, or stand aside for the fallback's stream `instead`."""
        self._gate = gate
        self._entry = entry
        self._instead = instead
        self._delivered = self._slow = False
        circuit = gate.circuit
        is_probe = entry is not None and bool(entry.admission.place)
        self._lease = circuit.now() + circuit.policy.probe_lease if is_probe else None

    @property
    def is_plain(self) -> bool:
        """Whether nothing has to be noticed at each item."""
        entry = self._entry
        return entry is None or (entry.recorder is not None and entry.started is None)

    def source(
        self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the generator to run: the guarded one, or the fallback's."""
        return call(*args, **kwargs) if self._instead is None else self._instead

    def item(self) -> None:
        """Notice that an item came."""
        if self._entry is None:
            return
        circuit = self._gate.circuit
        if not self._delivered:
            self._delivered = True
            self._slow = circuit.is_slow(self._entry.started, circuit.now())
            self._entry = arrived(circuit, self._entry)
        if self._lease is not None and circuit.now() >= self._lease:
            self.done()

    def done(self) -> None:
        """Settle a stream that ended well, once; without an item, its end is its first."""
        if self._entry is not None and not self._delivered:
            circuit = self._gate.circuit
            self._slow = circuit.is_slow(self._entry.started, circuit.now())
        self._settle(Outcome(Kind.SUCCESS, self._slow))

    def raised(self, error: BaseException) -> None:
        """Settle a stream that was left, interrupted or broke."""
        if isinstance(error, GeneratorExit) and self._delivered:
            self.done()
            return
        if self._entry is None:
            return
        entry, self._entry = self._entry, None
        if not self._delivered:
            self._gate.raised(entry, error)
        else:
            since = -inf if self._slow else None  # what is between items is not counted
            self._gate.raised(entry.begun(since), error)

    def _settle(self, outcome: Outcome) -> None:
        entry, self._entry = self._entry, None
        if entry is None:
            return
        circuit = self._gate.circuit
        if outcome.slow:
            circuit.settle(entry, outcome, circuit.now())
        else:
            circuit.succeed(entry.begun(None), circuit.now())

    def step_inside(self) -> reentry.Inside | None:
        """Mark the task as inside the probe for one step."""
        return None if self._entry is None else self._gate.step_inside(self._entry)

    async def step(self, step: Awaitable[Any]) -> Any:  # the item of the user's stream
        """Take one step of an async stream."""
        inside = self.step_inside()
        try:
            item = await step
        finally:
            if inside is not None:
                reentry.leave(inside)
        self.item()
        return item


def run_stream(
    gate: Gate, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[Any, Any, Any]:
    """Run a guarded generator."""
    stream = _open(gate, args, kwargs)
    source: Generator[Any, Any, Any] = stream.source(call, args, kwargs)
    try:
        value: Any = yield from (
            source if stream.is_plain else _watched(stream, source)
        )
    except GeneratorExit as error:
        stream.item()  # a generator can only be left at an item
        stream.raised(error)
        raise
    except BaseException as error:
        stream.raised(error)
        raise
    stream.done()
    return value


def left(gate: Gate, recorder: Recorder) -> None:
    """Count a closed stream that was left: a generator can only be left at an item."""
    circuit = gate.circuit
    circuit.succeed(Entry(recorder, recorder.admission, None), circuit.now())


async def open_stream(
    gate: Gate, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Stream:
    """Admit an async stream, or take its fallback's."""
    try:
        entry = await gate.admit_async(gate.key_of(args, kwargs))
        return Stream(gate, watched(entry))
    except CircuitOpenError as rejection:
        if gate.fallback is None:
            raise
        return Stream(gate, None, gate.fall_back(rejection, args, kwargs))


def _open(gate: Gate, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Stream:
    try:
        return Stream(gate, watched(gate.admit(gate.key_of(args, kwargs))))
    except CircuitOpenError as rejection:
        if gate.fallback is None:
            raise
        return Stream(gate, None, gate.fall_back(rejection, args, kwargs))


def _watched(
    stream: Stream, source: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """Drive a generator item by item, as `yield from` would."""
    step: Callable[[Any], Any] = source.send
    given: Any = None
    while True:
        inside = stream.step_inside()
        try:
            item = step(given)
        except StopIteration as end:
            return end.value
        finally:
            if inside is not None:
                reentry.leave(inside)
        stream.item()
        given = None  # an error thrown in must not keep its own frame alive
        try:
            given, step = (yield item), source.send
        except GeneratorExit:
            source.close()
            raise
        except BaseException as error:  # noqa: BLE001 - passed into the guarded generator
            given, step = error, source.throw
