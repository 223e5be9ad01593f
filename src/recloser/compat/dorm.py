"""The API of dorm.contrib.circuit_breaker (djanorm 4.5) on a small machine of its own.

    from recloser.compat.dorm import circuit_breaker, CircuitOpenError

Not the core's machine, because its rules cannot express the original: `allow` reserves
nothing, `record_success` closes from any state, `record_failure` counts in any state and
pushes an open circuit's window out.

Better by the switch:

1. Late results change nothing. A block entered before the circuit changed its state
   neither opens nor closes it when it is left. Off with `late_results=True`; what you
   report yourself, by `record_success` and `record_failure`, always counts.
2. A success costs no lock, a rejection none either.
3. `CircuitOpenError` is a `recloser.CircuitOpenError` too: `name`, `state`,
   `retry_after`, `reason`, `last_failure`; it can be pickled. And a rejection of any
   recloser breaker inside a block is no failure of this one.

On offer, off because the original does otherwise: `single_probe=True` (half-open lets one
block in at a time, as the original's documentation says; `allow` still reserves nothing)
and `neutral_cancellation=True` (a `with` block that ends by what is no `Exception` changes
nothing, as with `aprotect`). All are keyword-only options of `CircuitBreaker`.

Kept although surprising: failures reported while open push its window out; `get_state`
says "open" although the window is over, until somebody asks the breaker; `circuit_breaker`
ignores the settings of a name it knows; `with` takes a cancellation for a failure.

`CircuitOpenError` is a `dorm.exceptions.DatabaseError` where dorm is installed (it is then
imported), so that `except DatabaseError` goes on working; else a class of that name stands
in.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from .. import CircuitOpenError as _Rejected
from .. import State
from ._dorm_blocks import Protection, innermost, note_of, set_innermost
from ._dorm_names import CircuitOpenError, CircuitState
from ._locks import ModuleLock, give_lock
from ._rejections import described
from ._trial import TrialPlace

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from types import TracebackType

    from .. import FailureInfo
    from ._trial import Trial

__all__ = [
    "CircuitBreaker",
    "CircuitOpenError",
    "CircuitState",
    "circuit_breaker",
    "get_state",
    "reset_circuit_breakers",
]

# Names of their own: looking a member up costs more than comparing it.
_CLOSED = CircuitState.CLOSED
_OPEN = CircuitState.OPEN
_HALF_OPEN = CircuitState.HALF_OPEN
_SHOWN_OPEN = "OPEN", State.OPEN
_SHOWN_HALF_OPEN = "HALF_OPEN", State.HALF_OPEN


class CircuitBreaker:
    """Failures in a row, for blocks and for results you report yourself.

    Share one between threads and between tasks. The lock is held for a few assignments,
    never while a block runs.

    Args:
        name: For messages.
        failure_threshold: Failures in a row that open the circuit, >= 1. Default 5.
            A change of the attribute acts at once; so does one of `open_window_s`.
        open_window_s: Seconds open before blocks are let in again, > 0. Default 30.
        clock: Gives seconds and never goes back. Default `time.monotonic`.
        late_results: Let a block count although the state changed while it ran, as the
            original does. Default False.
        single_probe: In half-open, let one block in at a time. Default False.
        probe_lease: With `single_probe`: seconds until a probe that has not come back
            loses its place to another block, > 0. Default 30.
        neutral_cancellation: Let a `with` block that ends by what is no `Exception`
            change nothing. Default False: it is a failure.

    Raises:
        ValueError: A number is out of range.
    """

    _lock: threading.RLock

    def __init__(
        self,
        name: str,
        *,
        failure_threshold: int = 5,
        open_window_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        late_results: bool = False,
        single_probe: bool = False,
        probe_lease: float = 30.0,
        neutral_cancellation: bool = False,
    ) -> None:
        if failure_threshold < 1:
            msg = "failure_threshold must be >= 1"
            raise ValueError(msg)
        if open_window_s <= 0:
            msg = "open_window_s must be > 0"
            raise ValueError(msg)
        self.name = name
        self.failure_threshold = failure_threshold
        self.open_window_s = open_window_s
        self.late_results = late_results
        self.single_probe = single_probe
        self.probe_lease = probe_lease
        self.neutral_cancellation = neutral_cancellation
        self._clock = clock
        give_lock(self)
        self._state = _CLOSED
        self._failures = 0
        self._opened_at: float | None = None
        self._period = 0
        self._place = TrialPlace(clock)
        self._culprit: FailureInfo | None = None

    @property
    def state(self) -> CircuitState:
        """The state; an opening whose window is over becomes half-open by this."""
        self._maybe_promote_to_half_open()
        return self._state

    @property
    def failures(self) -> int:
        """Failures in a row, those reported while open included."""
        return self._failures

    def allow(self) -> bool:
        """Tell whether a call may be made; True unless open. Reserves nothing."""
        if self._state is _CLOSED:
            return True
        self._maybe_promote_to_half_open()
        return self._state is not _OPEN

    def _maybe_promote_to_half_open(self) -> None:
        if self._state is _OPEN:
            since, left = self._opened_at, self._cooldown()  # without the lock
            if left <= 0:
                with self._lock:
                    if self._state is _OPEN and since == self._opened_at:
                        self._become(_HALF_OPEN)

    def _cooldown(self) -> float:
        opened_at = self._opened_at
        if opened_at is None:  # closed meanwhile, by another thread
            return 0.0
        return self.open_window_s - (self._clock() - opened_at)

    def _become(self, state: CircuitState) -> None:
        self._state = state
        self._period += 1
        self._place.clear()

    def record_success(self) -> None:
        """Close the circuit and forget the failures, whatever the state."""
        if self._failures or self._state is not _CLOSED:
            self.reset()

    def record_failure(self) -> None:
        """Count a failure; open, or open afresh, if there are enough in a row."""
        lock = self._lock
        lock.acquire()  # `with` on a lock costs twice as much
        try:
            self._failures = failures = self._failures + 1
            opens = failures >= self.failure_threshold or self._state is _HALF_OPEN
            period = self._period
        finally:
            lock.release()
        if opens:
            self._open(period)

    def _open(self, period: int) -> None:
        """Open by a failure of `period`, unless another thread closed it meanwhile."""
        now = self._clock()  # the user's: asked without the lock
        with self._lock:
            if period == self._period or self._state is _OPEN:
                self._opened_at = now
                self._culprit = None
                if self._state is not _OPEN:
                    self._become(_OPEN)

    def reset(self) -> None:
        """Close the circuit and forget the failures."""
        with self._lock:
            self._failures = 0
            self._opened_at = None
            self._culprit = None
            if self._state is not _CLOSED:
                self._become(_CLOSED)

    def __enter__(self) -> Self:
        """Enter a block.

        Raises:
            CircuitOpenError: The circuit is open.
        """
        if not self.allow():
            failures, left = self._failures, self._cooldown()
            if left < 0:
                left = 0.0
            text = (  # not by `_rejection`: a call less
                f"Circuit {self.name!r} is OPEN — {failures} consecutive failures,"
                f" cooldown ends in {left:.1f}s"
            )
            facts = (self.name, State.OPEN, left, failures, self._culprit)
            raise CircuitOpenError(text, facts=facts)
        trial = self._take_place() if self.single_probe else None
        outer = innermost()
        while outer is not None and outer[0] is None:  # that block was left
            outer = outer[2]
        set_innermost([self, self._period, outer, trial])
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Count the block. Its error goes on."""
        note = innermost()
        if note is None or note[0] is not self:
            note = note_of(self, note, self._period)
        note[0] = None
        if note[1] == self._period or self.late_results:
            if exc_type is None:
                self.record_success()
            elif not isinstance(exc, _Rejected) and (
                not self.neutral_cancellation or isinstance(exc, Exception)
            ):
                self.record_failure()
                if self._state is _OPEN:
                    self._blame(exc)
        if note[3] is not None:
            self._free_place(note[3])
            note[3] = None

    def aprotect(self) -> Protection[CircuitBreaker]:
        """Return the block for `async with`: a cancelled one changes nothing.

        Entering it raises `CircuitOpenError` while the circuit is open, and gives the
        breaker otherwise.
        """
        return Protection(self, self._admit, self._count)

    def _admit(self) -> tuple[int, Trial | None]:
        if not self.allow():
            raise self._rejection(_OPEN, self._cooldown(), ".")
        trial = self._take_place() if self.single_probe else None
        return self._period, trial

    def _count(
        self,
        admission: tuple[int, Trial | None],
        kind: type[BaseException] | None,
        error: BaseException | None,
    ) -> None:
        period, trial = admission
        if period == self._period or self.late_results:
            if kind is None:
                self.record_success()
            elif isinstance(error, Exception) and not isinstance(error, _Rejected):
                self.record_failure()
                if self._state is _OPEN:
                    self._blame(error)
        if trial is not None:
            self._free_place(trial)

    def _blame(self, error: BaseException | None) -> None:
        if error is not None:
            self._culprit = described(error, self._clock())

    def _free_place(self, trial: Trial) -> None:
        with self._lock:
            self._place.free(trial)

    def _take_place(self) -> Trial | None:
        """Return the one probe of this half-open period; None while closed."""
        now = self._clock()  # the user's: asked without the lock
        with self._lock:
            if self._state is not _HALF_OPEN:
                return None
            trial = self._place.take(self._period, self.probe_lease, now)
            left = self._place.seconds_left(now)
        if trial is None:
            raise self._rejection(_HALF_OPEN, left, f", probe out for {left:.1f}s")
        return trial

    def _rejection(
        self, state: CircuitState, left: float, rest: str
    ) -> CircuitOpenError:
        failures = self._failures
        word, ours = _SHOWN_OPEN if state is _OPEN else _SHOWN_HALF_OPEN
        return CircuitOpenError(
            f"Circuit {self.name!r} is {word} — {failures} consecutive failures{rest}",
            facts=(self.name, ours, left, failures, self._culprit),
        )

    def _stored(self) -> dict[str, Any]:
        with self._lock:
            return {
                "state": self._state.value,
                "failures": self._failures,
                "opened_at": self._opened_at,
            }


_registry: dict[str, CircuitBreaker] = {}
_names = ModuleLock()


def circuit_breaker(
    name: str, *, failure_threshold: int = 5, open_window_s: float = 30.0
) -> CircuitBreaker:
    """Return the process's breaker of this name, made at the first call.

    The settings are those of the first call; later ones are not looked at.

    Raises:
        ValueError: A number is out of range, at the first call.
    """
    with _names.lock:
        breaker = _registry.get(name)
        if breaker is None:
            breaker = _registry[name] = CircuitBreaker(
                name, failure_threshold=failure_threshold, open_window_s=open_window_s
            )
        return breaker


def reset_circuit_breakers() -> None:
    """Forget every name. The breakers themselves stay as they are."""
    with _names.lock:
        _registry.clear()


def get_state(name: str) -> dict[str, Any]:
    """Return `state`, `failures` and `opened_at` of the breaker of this name.

    The state is the stored one: "open" although the window is over, until somebody asks
    the breaker; "unknown" if there is none. `opened_at` is in seconds of its clock.
    """
    with _names.lock:
        breaker = _registry.get(name)
    if breaker is None:
        return {"state": "unknown", "failures": 0, "opened_at": None}
    return breaker._stored()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
