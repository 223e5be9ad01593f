"""The machine under the pybreaker and aiobreaker facades; not recloser's own.

Their state lives in a storage that users write, other processes share and operators
overwrite; settings act at once; state objects are notified before they are in force.
The rules of recloser know none of that, so the two facades have this machine instead.

1. The lock is for the books: held while a call is let in and while its result is
   counted, with the listeners of that moment inside, never while the call runs.
2. A period is one stay in one state. A call carries the period it was let in; a result
   from an earlier period tells the listeners and changes nothing else.
3. In half-open one trial at a time holds the place (`_trial.py`). Before a trial opens
   or closes the circuit, and before failures open it, the storage is read again, so
   that a result does not overwrite what another process has decided meanwhile.
4. A period ends when the state's name changes; closing a closed circuit ends nothing.
5. An error of a listener or a storage reaches the caller, as with the originals. It
   leaves the machine where it happened; the next read brings state and storage together.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Protocol, TypeVar

from .. import FailureInfo
from .._core.durations import counted
from ._locks import give_lock
from ._settings import Settings
from ._trial import Trial, TrialPlace

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from ._settings import Exclusion

BY_HAND = "opened by hand"
ELSEWHERE = "opened elsewhere, says its storage"
TRIAL_FAILED = "the trial call failed"


class Listening(Protocol):
    """What the machine tells its listeners. State changes are told by the states."""

    def before_call(
        self, breaker: Any, func: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> object: ...

    def success(self, breaker: Any, /) -> object: ...

    def failure(self, breaker: Any, error: Any, /) -> object: ...


class Books(Protocol):
    """What the machine needs of a storage."""

    state: Any

    @property
    def counter(self) -> int: ...

    def increment_counter(self) -> None: ...

    def reset_counter(self) -> None: ...


KeyT = TypeVar("KeyT")
StateT = TypeVar("StateT")
BooksT = TypeVar("BooksT", bound=Books)
ListenerT = TypeVar("ListenerT", bound=Listening)


class Machine(Settings[ListenerT], Generic[KeyT, StateT, BooksT, ListenerT]):
    """States, permits and counts of one breaker. Shared by threads and by tasks."""

    _lock: threading.RLock

    _closed: ClassVar[Any]
    _open: ClassVar[Any]
    _half_open: ClassVar[Any]
    _tripped_message: ClassVar[str]
    _trial_failed_message: ClassVar[str]

    def __init__(
        self,
        storage: BooksT,
        fail_max: int,
        exclude: Iterable[Exclusion] | None,
        listeners: Iterable[ListenerT] | None,
        trial_lease: float,
    ) -> None:
        """Start in the storage's state, telling nobody."""
        super().__init__(exclude, listeners)
        give_lock(self)
        self._state_storage = storage
        self._fail_max = fail_max
        self.trial_lease = trial_lease
        self._place = TrialPlace()
        self._period = object()
        self._reason = ELSEWHERE
        self._last_failure: FailureInfo | None = None
        self._key: KeyT = storage.state
        self._is_closed: bool = self._key == self._closed
        self._state = self._create_new_state(self._key)

    @abstractmethod
    def _create_new_state(
        self,
        new_state: KeyT,
        prev_state: StateT | None = None,
        notify: bool = False,  # noqa: FBT001, FBT002  the originals' signature
    ) -> StateT:
        """Make the object for a state; with `notify`, tell the listeners about it."""

    @abstractmethod
    def open(self) -> object:
        """Reject calls from now on; the wait starts afresh."""

    @abstractmethod
    def _leave_open(self) -> None:
        """Go to half-open if the wait is over, else raise the rejection."""

    @abstractmethod
    def _reject_trial(self) -> BaseException:
        """Return the error for a call that found the trial's place taken."""

    @abstractmethod
    def _trial_succeeded(self) -> None:
        """Count a trial that went well; close when there were enough."""

    def _raise_tripped(
        self,
        error: BaseException,
        opened: Any,
        message: str,
    ) -> NoReturn:
        """Raise what the call gets that opened the circuit; `opened` is from `open`."""
        raise NotImplementedError

    @property
    def fail_max(self) -> int:
        """Failures in a row that open the circuit; 0 acts like 1."""
        return self._fail_max

    @fail_max.setter
    def fail_max(self, number: int) -> None:
        self._fail_max = number

    @property
    def fail_counter(self) -> int:
        """Failures in a row so far, as the storage has it."""
        return self._state_storage.counter

    @property
    def current_state(self) -> KeyT:
        """The state as the storage has it."""
        key: KeyT = self._state_storage.state
        return key

    @property
    def state(self) -> StateT:
        """The state object.

        Where the storage says otherwise, the object is replaced first, and the listeners
        are told. Setting it replaces and tells too, but leaves the storage alone: the
        next read swings back.
        """
        with self._lock:
            self._refresh()
            return self._state

    @state.setter
    def state(self, new_state: KeyT) -> None:
        with self._lock:
            self._become(new_state, BY_HAND)

    def half_open(self) -> None:
        """Let the next call through as a trial."""
        with self._lock:
            self._move(self._half_open)

    def close(self) -> None:
        """Let calls through; start counting afresh."""
        with self._lock:
            self._move(self._closed)

    def _move(self, key: KeyT) -> None:
        self._become(key, BY_HAND)
        self._state_storage.state = key

    def _become(self, key: KeyT, reason: str) -> None:
        self._state = self._create_new_state(key, prev_state=self._state, notify=True)
        self._reason = reason
        self._last_failure = None
        if key != self._key:
            self._key = key
            self._is_closed = key == self._closed
            self._period = object()
            self._place.clear()

    def _refresh(self) -> bool:
        """Follow the storage; tell whether its state had changed behind our back."""
        key: KeyT = self._state_storage.state
        if key == self._key:
            return False
        self._become(key, ELSEWHERE)
        return True

    def _inc_counter(self) -> None:
        self._state_storage.increment_counter()

    def _admit(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> object:
        """Return the permit of a call that may run, else raise the rejection."""
        with self._lock:
            key: KeyT = self._state_storage.state
            if key is not self._key and key != self._key:
                self._become(key, ELSEWHERE)
            if self._is_closed:
                permit = self._period
            else:
                if self._key == self._open:
                    self._leave_open()
                permit = self._trial()
            if self._listeners:
                try:
                    for listener in self._listeners:
                        listener.before_call(self, func, *args, **kwargs)
                except BaseException:
                    self._released(permit)
                    raise
            return permit

    def _trial(self) -> Trial:
        trial = self._place.take(self._period, self.trial_lease)
        if trial is None:
            raise self._reject_trial()
        return trial

    def _released(self, permit: object) -> None:
        """End a call that says nothing about the dependency."""
        if isinstance(permit, Trial):
            with self._lock:
                self._place.free(permit)

    def _succeeded(self, permit: object) -> None:
        with self._lock:
            if permit is self._period:
                self._state_storage.reset_counter()
            elif isinstance(permit, Trial):
                self._settle_trial(permit)
            if self._listeners:
                for listener in self._listeners:
                    listener.success(self)

    def _settle_trial(self, trial: Trial) -> None:
        try:
            if self._is_current(trial):
                self._state_storage.reset_counter()
                self._trial_succeeded()
        finally:
            self._place.free(trial)

    def _failed(self, permit: object, error: BaseException) -> None:
        """Count a call that raised. Raises what its caller gets instead of `error`."""
        try:
            excluded = not self.is_system_error(error)
        except BaseException:
            self._released(permit)
            raise
        if excluded:
            self._succeeded(permit)
            return
        with self._lock:
            if permit is self._period:
                self._count(error)
                self._judge(error)
            elif isinstance(permit, Trial):
                self._fail_trial(permit, error)
            else:
                self._tell_failure(error)

    def _count(self, error: BaseException) -> None:
        self._inc_counter()
        self._tell_failure(error)

    def _judge(self, error: BaseException) -> None:
        failures = self._state_storage.counter
        if failures >= self._fail_max and not self._refresh():
            reason = f"{counted(failures, 'failure')} in a row"
            self._trip(error, reason, self._tripped_message)

    def _fail_trial(self, trial: Trial, error: BaseException) -> None:
        try:
            if self._is_current(trial):
                self._count(error)
                self._trip(error, TRIAL_FAILED, self._trial_failed_message)
            else:
                self._tell_failure(error)
        finally:
            self._place.free(trial)

    def _trip(self, error: BaseException, reason: str, message: str) -> NoReturn:
        opened = self.open()
        self._reason = reason
        self._last_failure = _remembered(error)
        self._raise_tripped(error, opened, message)

    def _is_current(self, trial: Trial) -> bool:
        self._refresh()
        return trial.period is self._period

    def _tell_failure(self, error: BaseException) -> None:
        for listener in self.listeners:
            listener.failure(self, error)


def _remembered(error: BaseException) -> FailureInfo:
    try:
        message = str(error)[:200]
    except Exception:  # noqa: BLE001  a broken __str__ must not hide the trip
        message = ""
    return FailureInfo(type=type(error).__name__, message=message, at=time.monotonic())
