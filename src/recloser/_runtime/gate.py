"""One gate in front of a circuit: admission, running, judging, fallback, waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .._core.errors import CircuitOpenError
from .._core.hints import TYPE_CHECKING, Any, TypeVar, cast
from .._core.outcomes import Kind, Outcome
from . import reentry
from .classify import NEUTRAL, Classifier
from .entries import INSIDE, Entry, Refusal
from .flights import renewed, watched
from .keys import checked
from .rejecting import knock, reject
from .shapes import refuse_async, refuse_unstarted
from .waiting import Alarm, ThreadSpot, async_spot

if TYPE_CHECKING:
    from .circuit import Circuit
    from .fallbacks import Fallback
    from .flights import Cohort
    from .keys import Key
    from .recorders import Recorder

    Ticket = Recorder | Cohort

R = TypeVar("R")


class Gate:
    """One circuit with one way of judging calls. Wrappers, blocks and permits use it.

    Immutable; used by any thread or task. Everything here runs without the lock.
    """

    __slots__ = ("circuit", "classifier", "fallback", "key", "wait")

    def __init__(
        self,
        circuit: Circuit,
        classifier: Classifier,
        fallback: Fallback | None = None,
        wait: float | None = None,
        key: Callable[..., Any] | None = None,
    ) -> None:
        """Judge calls of `circuit` with `classifier`."""
        self.circuit: Circuit = circuit
        self.classifier: Classifier = classifier
        self.fallback: Fallback | None = fallback
        self.wait: float | None = wait
        self.key: Callable[..., Any] | None = key

    # -- admission -------------------------------------------------------------------

    def key_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the key of a call, which says of which share it is, or None."""
        try:
            return checked(self.key and self.key(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the user's; the call is drawn by chance
            self.circuit.mishap("key", error)
            return None

    def admit(self, key: Key | None = None) -> Entry:
        """Admit one call, waiting for a place as long as the guard allows.

        Raises:
            CircuitOpenError: There is none.
        """
        if self.wait is not None:
            return self.wait_for_entry(self.wait, key)
        verdict = self.circuit.attempt(key)
        if isinstance(verdict, Refusal):
            raise reject(self.circuit, verdict)
        return verdict

    async def admit_async(self, key: Key | None = None) -> Entry:
        """Admit one call from a task; see `admit`."""
        return (
            self.admit(key)
            if self.wait is None
            else await self.wait_for_entry_async(self.wait, key)
        )

    def wait_for_entry(self, timeout: float, key: Key | None = None) -> Entry:
        """Block this thread until a call is admitted, at most `timeout` seconds."""
        circuit, spot = self.circuit, ThreadSpot()
        until = circuit.now() + timeout
        try:
            circuit.queue.join(spot)
            while isinstance(verdict := circuit.attempt(key), Refusal):
                with Alarm(
                    circuit.clock, self._sleep(verdict, until, spot), spot
                ) as seconds:
                    spot.sleep(seconds)
            return verdict
        finally:
            circuit.queue.leave(spot, circuit.policy.probe_concurrency)

    async def wait_for_entry_async(
        self, timeout: float, key: Key | None = None
    ) -> Entry:
        """Suspend this task until a call is admitted, at most `timeout` seconds."""
        circuit, spot = self.circuit, async_spot()
        until = circuit.now() + timeout
        try:
            circuit.queue.join(spot)
            while isinstance(verdict := circuit.attempt(key), Refusal):
                with Alarm(
                    circuit.clock, self._sleep(verdict, until, spot), spot
                ) as seconds:
                    await spot.sleep(seconds)
            return verdict
        finally:
            circuit.queue.leave(spot, circuit.policy.probe_concurrency)

    def _sleep(
        self, refusal: Refusal, until: float, spot: Any
    ) -> float:  # either kind of spot
        """Return how long to sleep before asking again, or raise when time is up."""
        circuit = self.circuit
        left = until - circuit.now()
        if left <= 0:
            raise reject(circuit, refusal)
        front = circuit.queue.is_in_front(spot, circuit.policy.probe_concurrency)
        if refusal.retry_after is None or not front:
            return left
        return min(left, refusal.retry_after)

    # -- running: the path of wrappers that found no ticket, of call and acall ---------

    @property
    def rejects_at_once(self) -> bool:
        """Whether a call that is refused neither waits nor has a fallback."""
        return self.fallback is None and self.wait is None

    def ask(
        self, call: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> R:
        """Run one plain call if the circuit admits it, else its fallback."""
        try:
            entry = self.admit(self.key and self.key_of(args, kwargs))
        except CircuitOpenError as rejection:
            if self.fallback is None:
                raise
            return cast("R", self.fall_back(rejection, args, kwargs))
        return self._run(entry, call, args, kwargs)

    def _run(
        self,
        entry: Entry,
        call: Callable[..., R],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> R:
        entry = watched(entry)
        inside = self.step_inside(entry)
        try:
            result = call(*args, **kwargs)
            refuse_unstarted(result, call)
        except BaseException as error:
            self.raised(entry, error)
            raise
        finally:
            if inside is not None:
                reentry.leave(inside)
        self.returned(entry, result)
        return result

    async def ask_async(
        self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # what the user's function returns
        """Run one call in a task if the circuit admits it, else its fallback."""
        try:
            entry = await self.admit_async(self.key and self.key_of(args, kwargs))
        except CircuitOpenError as rejection:
            if self.fallback is None:
                raise
            return await _settled(self.fall_back(rejection, args, kwargs))
        entry = watched(entry)
        inside = self.step_inside(entry)
        try:
            result = await _settled(call(*args, **kwargs))
        except BaseException as error:
            self.raised(entry, error)
            raise
        finally:
            if inside is not None:
                reentry.leave(inside)
        self.returned(entry, result)
        return result

    def call(
        self, function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> R:
        """Run a plain callable; refuse a coroutine function before calling it."""
        refuse_async(function)
        if self.fallback is not None:
            self.fallback.refuse_for_plain(function)
        if self.rejects_at_once:
            knock(self.circuit)
        return self.ask(function, args, kwargs)

    def step_inside(self, entry: Entry) -> reentry.Inside | None:
        """Mark the task as inside a half-open call; closed calls need no mark."""
        marked = entry.recorder is None and entry.admission.place != INSIDE
        return reentry.enter(self.circuit, entry) if marked else None

    def fall_back(
        self, rejection: CircuitOpenError, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # what the user's fallback returns
        """Run the fallback instead of a rejected call; there is one."""
        self.circuit.note(fallbacks=1)
        return cast("Fallback", self.fallback)(rejection, args, kwargs)

    # -- judging ---------------------------------------------------------------------

    def returned(self, entry: Entry, result: object) -> None:
        """Settle a call that returned; whatever happens, its place goes back."""
        circuit = self.circuit
        now = circuit.now()
        if self.classifier.failure_result is None:
            circuit.succeed(entry, now)
            return
        outcome = NEUTRAL
        try:
            outcome = self.classifier.result(result, now, circuit.mishap)
        finally:
            self.settle(entry, outcome, now)

    def raised(self, entry: Entry, error: BaseException) -> None:
        """Settle a call that raised; whatever happens, its place goes back."""
        circuit = self.circuit
        now, outcome = circuit.now(), NEUTRAL
        try:
            outcome = self.classifier.error(error, now, circuit.mishap)
        finally:
            self.settle(entry, outcome, now)

    def settle(self, entry: Entry, outcome: Outcome, now: float) -> None:
        """Report an outcome, with its slowness: an ignored call is not slow, a cancelled one is."""
        circuit = self.circuit
        if circuit.is_slow(entry.started, now):
            if outcome.kind is not Kind.NEUTRAL or outcome.cancelled:
                outcome = outcome.slowed()
        elif outcome.kind is Kind.SUCCESS:
            circuit.succeed(entry, now)
            return
        circuit.settle(entry, outcome, now)

    # -- what compiled wrappers call -------------------------------------------------

    def failed(
        self, ticket: Ticket, error: BaseException, started: float | None = None
    ) -> None:
        """Settle a closed call that raised."""
        self.raised(ticket.entry(self.circuit.since(started)), error)

    def answered(
        self, ticket: Ticket, result: object, started: float | None = None
    ) -> None:
        """Settle a closed call whose result is a failure."""
        circuit = self.circuit
        now = circuit.now()
        outcome = self.classifier.failing(result, now, circuit.mishap)
        self.settle(ticket.entry(self.circuit.since(started)), outcome, now)

    def unjudged(self, ticket: Ticket, mistake: Exception) -> None:
        """Settle a closed call whose result could not be judged: it says nothing."""
        circuit = self.circuit
        circuit.mishap("failure_result", mistake)
        circuit.settle(ticket.entry(None), NEUTRAL, circuit.now())

    def is_counted(self, cohort: Cohort, started: float, now: float) -> bool:
        """Count a slow success, or move the windows on for a fast one if it is time."""
        circuit = self.circuit
        if circuit.is_slow(started, now):
            entry = cohort.entry(started)
            circuit.settle(entry, Outcome(Kind.SUCCESS, slow=True), circuit.now())
            return True
        if now >= cohort.recorder.deadline:
            circuit.turn(cohort.recorder)
        return False

    def renewed(self, cohort: Cohort, started: float) -> Cohort | None:
        """Return the present cohort for a call of an old one, or None to ask."""
        return renewed(self.circuit, cohort, started)


async def _settled(result: object) -> Any:  # the user's value, awaited if it can be
    """Await what is awaitable, and refuse what has yet to run in another way."""
    if hasattr(type(result), "__await__"):
        return await cast("Awaitable[Any]", result)
    refuse_unstarted(result, result)
    return result
