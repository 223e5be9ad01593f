"""The right to make one call, in the caller's hands."""

from __future__ import annotations

from math import inf

from .._core import ranges
from .._core.errors import PermitError
from .._core.hints import TYPE_CHECKING, Self, cast, final
from .._core.outcomes import FailureInfo, Kind, Outcome
from . import reentry
from .classify import valid_hint
from .mishaps import failure_info

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    from .entries import Entry
    from .gate import Gate


@final
class Permit:
    """The right to make one call. Settle it exactly once, from any thread or task.

    Use it as a context manager for the exact form of a guarded block: the block is
    judged like a guarded call, unless it settled the permit itself. A permit that is
    never settled holds a probe's place until its lease ends, and nothing else.
    """

    __slots__ = (
        "__weakref__",
        "_delivered",
        "_epoch",
        "_gate",
        "_inside",
        "_is_probe",
        "_lease",
        "_unsettled",
    )

    def __init__(self, gate: Gate, entry: Entry) -> None:
        """Hold an entry; callers get permits from `acquire`."""
        self._gate = gate
        self._unsettled = [entry]  # popping it is atomic, so one of two settlers wins
        self._inside: reentry.Inside | None = None
        self._epoch = entry.admission.epoch
        self._is_probe = bool(entry.admission.place)
        self._delivered = False
        circuit = gate.circuit
        self._lease = (
            circuit.now() + circuit.policy.probe_lease if self._is_probe else inf
        )

    @property
    def is_probe(self) -> bool:
        """Whether the call decides if a half-open circuit closes."""
        return self._is_probe

    @property
    def epoch(self) -> int:
        """The breaker's period that admitted the call."""
        return self._epoch

    @property
    def settled(self) -> bool:
        """Whether the outcome was reported or the permit given back."""
        return not self._unsettled

    def success(self, *, duration: float | timedelta | None = None) -> None:
        """Report that the dependency answered.

        Args:
            duration: How long it took, in seconds, where the time since `acquire` is
                not the call's.

        Raises:
            PermitError: The permit was settled before; nothing is counted twice.
        """
        took = None if duration is None else ranges.duration("duration", duration)
        entry = self._take()
        now = self._gate.circuit.now()
        if took is not None and entry.started is not None:
            entry = entry.begun(now - took)
        self._gate.circuit.succeed(entry, now)

    def failure(
        self,
        error: BaseException | None = None,
        *,
        retry_after: float | timedelta | None = None,
    ) -> None:
        """Report that the dependency failed, whatever the breaker's lists say.

        Args:
            error: What was raised, for the reason; its frames are not kept.
            retry_after: The server's hint in seconds. It may lengthen the wait up to
                the recovery policy's ceiling.

        Raises:
            TypeError: The error is no exception; the permit is still yours.
            PermitError: The permit was settled before; nothing is counted twice.
        """
        if error is not None and not isinstance(cast("object", error), BaseException):
            msg = f"error must be an exception, got {error!r}"
            raise TypeError(msg)
        hint = None if retry_after is None else valid_hint(retry_after)
        entry = self._take()
        now = self._gate.circuit.now()
        cause = (
            failure_info(error, now)
            if error is not None
            else FailureInfo(type="failure", message="", at=now)
        )
        slow = self._gate.circuit.is_slow(entry.started, now)
        self._gate.circuit.settle(entry, Outcome(Kind.FAILURE, slow, cause, hint), now)

    def release(self) -> None:
        """Give the permit back unused: neutral.

        Raises:
            PermitError: The permit was settled before.
        """
        entry = self._take()
        self._gate.circuit.settle(
            entry, Outcome(Kind.NEUTRAL), self._gate.circuit.now()
        )

    def settle(self, error: BaseException | None = None) -> None:
        """Report how the call ended: judged like a guarded call, by its lists.

        Args:
            error: What it raised. Default None: it returned. `GeneratorExit` says that
                a stream was left: a success after an item, neutral before one.

        Raises:
            PermitError: The permit was settled before; nothing is counted twice.
        """
        self._end(self._take(), error)

    def item(self) -> None:
        """Say that a stream which the permit guards delivered an item.

        The permit is then judged like a guarded generator: slow means the time to the
        first item, and a probe that still delivers when its lease ends is a success at
        that item. Nothing happens once the permit is settled.
        """
        circuit = self._gate.circuit
        now = circuit.now()
        if not self._delivered:
            self._delivered = True
            self._stop_timing(now)
        if now >= self._lease:
            self._try_to_end(None)

    def __enter__(self) -> Self:
        """Begin the guarded block, once.

        Raises:
            PermitError: The permit was settled, or is already the permit of a block.
        """
        if not self._unsettled or self._inside is not None:
            raise self._used()
        self._inside = self._gate.step_inside(self._unsettled[0])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Judge the block, unless it settled the permit itself."""
        if self._inside is not None:
            reentry.leave(self._inside)
        self._try_to_end(error)

    async def __aenter__(self) -> Self:
        """Begin the guarded block."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Judge the block, unless it settled the permit itself."""
        self.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        """Say whose it is and what became of it."""
        what = "probe" if self._is_probe else "call"
        state = "settled" if self.settled else "unsettled"
        return f"<Permit of {self._gate.circuit.name!r} for a {what}, {state}>"

    def _try_to_end(self, error: BaseException | None) -> None:
        """Settle it, unless somebody has."""
        try:
            entry = self._unsettled.pop()
        except IndexError:
            return
        self._end(entry, error)

    def _end(self, entry: Entry, error: BaseException | None) -> None:
        left = self._delivered and isinstance(error, GeneratorExit)
        if error is None or left:
            self._gate.circuit.succeed(entry, self._gate.circuit.now())
        else:
            self._gate.raised(entry, error)

    def _stop_timing(self, now: float) -> None:
        """Keep whether the first item was slow; what is between items never counts."""
        try:
            entry = self._unsettled[0]
            slow = self._gate.circuit.is_slow(entry.started, now)
            self._unsettled[0] = entry.begun(-inf if slow else None)
        except IndexError:
            return  # it is settled, maybe by another thread in between

    def _take(self) -> Entry:
        try:
            return self._unsettled.pop()
        except IndexError:
            raise self._used() from None

    def _used(self) -> PermitError:
        return PermitError(f"a permit of {self._gate.circuit.name!r} was settled twice")
