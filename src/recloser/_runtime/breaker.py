"""How you hold it: options in, delegates out."""

from __future__ import annotations

import functools
import time

from .._core import ranges
from .._core.hints import (
    TYPE_CHECKING,
    Any,
    Literal,
    NoReturn,
    TypeVar,
    cast,
    final,
    overload,
)
from .._core.phases import Command
from .._core.policy import Policy
from .._core.states import State
from .attending import greet, join, part
from .circuit import Circuit
from .classify import USUAL, classifier_for
from .entries import Refusal
from .gate import Gate
from .guards import Guard, decorate
from .insight import describe, explain, snapshot
from .keys import checked
from .links import attach
from .managers import SLOTS, Blocks, BlockType
from .permits import Permit
from .publishing import each_listener
from .registry import Registry, default_registry
from .rejecting import reject
from .shapes import refuse_uncallable, runs_later
from .switch import is_disabled
from .taps import listen
from .vocabulary import unknown_guard_option, unknown_option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import timedelta
    from types import TracebackType

    from .._core.hints import Never, ParamSpec, Self
    from .._core.recovery import Recovery
    from .._core.shares import Ramp
    from .._core.trips import TripRule
    from .baselines import Baselines
    from .classify import ErrorTests
    from .guards import FallbackGuard
    from .insight import Snapshot
    from .links import LinkProtocol
    from .publishing import Listener
    from .watching import Watch

    P = ParamSpec("P")

F = TypeVar("F", bound="Callable[..., Any]")
R = TypeVar("R")
R2 = TypeVar("R2")
_NOT_GIVEN = object()  # None is no function: it is refused, like anything that is none


@final
class CircuitBreaker(metaclass=BlockType):
    """Guards calls to one thing that can fail.

    One object for every shape of call: decorate functions, coroutine functions,
    generators, async generators and methods with it, or use `call`, `acall`, `with`,
    `async with`, `acquire`. Threads, asyncio tasks, trio tasks and free-threaded
    interpreters share it at will; your code never runs under its lock. More than ten
    public methods, because all of these are one idea held in different ways.

    Args:
        name: Shown in errors, events and logs; any non-empty string.
        policy: The settings to begin with; the six below replace single ones.
        trip, recovery, probes, probe_concurrency, probe_lease, ramp: See `Policy`.
        ignore: Exceptions that say nothing about the dependency (neutral): types,
            predicates, or an iterable of both. Default none.
        successes: Exceptions by which the dependency answered. Default none.
        failures: Exceptions that count. Default every `Exception`. Asked in this order:
            `ignore`, `successes`, `failures`; what is left is a success. Cancellation,
            `KeyboardInterrupt` and this library's own errors are neutral without asking.
        failure_result: Predicate: is this returned value a failure? Default none.
        retry_after: Function of a failing exception or result that returns the server's
            hint in seconds (Retry-After), or None. It may lengthen the wait up to the
            recovery policy's `longest_hint`. Default none.
        listeners: Callables that take an event, or objects with `on_...` methods. They
            run on the thread that made the call, without a lock: keep them short. One
            with `on_attached` is handed the breaker, to be held weakly, and may return
            a function that is given the last snapshot, when the breaker is gone.
        clock: Returns seconds and never goes back. Default `time.monotonic`.
        chance: Returns numbers in [0, 1), for jitter and for the share of a ramp; a test
            gives `random.Random(7).random`. Default that of the `random` module.
        share: A link that brings words from other processes. Default none.
        registry: Where the breaker can be found by name. Default the process's own;
            "none" for nowhere.
        initial_state: Any state but half_open; open begins a wait. Default closed.
        baseline: What a breaker before this one had learned: its `snapshot().baseline`,
            or the same from JSON. Only a `FalseTripBudget` learns. Default nothing.

    Raises:
        TypeError, ValueError: An option is of the wrong type or out of range; the
            message shows the value and the rule.
    """

    if TYPE_CHECKING:

        def __enter__(self) -> Self:
            """Begin a guarded block.

            Raises:
                CircuitOpenError: The block was rejected.
            """
            ...

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            """Judge the block by how it ended."""

        async def __aenter__(self) -> Self:
            """Begin a guarded block in a task."""
            ...

        async def __aexit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            """Judge the block by how it ended."""

    else:
        __slots__ = (*SLOTS, "__weakref__", "_circuit", "_gate")

    def __init__(
        self,
        name: str,
        *,
        policy: Policy | None = None,
        trip: TripRule | int | None = None,
        recovery: Recovery | float | timedelta | None = None,
        probes: int | None = None,
        probe_concurrency: int | None = None,
        probe_lease: float | timedelta | None = None,
        ramp: Ramp | bool | None = None,
        ignore: ErrorTests | None = None,
        successes: ErrorTests | None = None,
        failures: ErrorTests | None = None,
        failure_result: Callable[[Any], object] | None = None,
        retry_after: Callable[[Any], float | None] | None = None,
        listeners: Iterable[Listener] = (),
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] | None = None,
        share: LinkProtocol | None = None,
        registry: Registry | Literal["none"] = default_registry,
        initial_state: State = State.CLOSED,
        baseline: Baselines | None = None,
        **unknown: Never,
    ) -> None:
        """Check everything, then begin in `initial_state`."""
        for option in unknown:
            raise unknown_option(option)
        changes = {
            "trip": trip,
            "recovery": recovery,
            "probes": probes,
            "probe_concurrency": probe_concurrency,
            "probe_lease": probe_lease,
            "ramp": ramp,
        }
        _check_name(name)
        state = _initial(initial_state)
        _check_registry(registry)
        settings = _changed(policy, changes)
        dice = _chance(chance)
        circuit = Circuit(name, settings, _clock(clock), state, baseline, chance=dice)
        given = each_listener(listeners)
        circuit.publisher.change(lambda _: given)
        classifier = classifier_for(
            USUAL,
            ignore=ignore,
            successes=successes,
            failures=failures,
            failure_result=failure_result,
            retry_after=retry_after,
        )
        self._circuit = circuit
        self._gate = Gate(circuit, classifier)
        Blocks(self, self._gate)
        listen(circuit)
        if share is not None:
            attach(circuit, share)
        greet(self, circuit, given)
        if not isinstance(registry, str):
            registry.add(self)

    # -- around functions ------------------------------------------------------------

    @overload
    def __call__(self, function: F, /) -> F: ...
    @overload
    def __call__(
        self,
        /,
        *,
        fallback: Callable[..., R2],
        ignore: ErrorTests = ...,
        successes: ErrorTests = ...,
        failures: ErrorTests = ...,
        failure_result: Callable[[Any], object] | None = ...,
        retry_after: Callable[[Any], float | None] | None = ...,
        wait: float | timedelta | None = ...,
        key: Callable[..., str | bytes | int | None] | None = ...,
    ) -> FallbackGuard[R2]: ...
    @overload
    def __call__(
        self,
        /,
        *,
        ignore: ErrorTests = ...,
        successes: ErrorTests = ...,
        failures: ErrorTests = ...,
        failure_result: Callable[[Any], object] | None = ...,
        retry_after: Callable[[Any], float | None] | None = ...,
        wait: float | timedelta | None = ...,
        key: Callable[..., str | bytes | int | None] | None = ...,
    ) -> Guard: ...
    def __call__(  # noqa: D417 - five options share a line, and unknown ones are refused
        self,
        function: Any = _NOT_GIVEN,
        /,
        *,
        fallback: Any = None,
        ignore: Any = None,
        successes: Any = None,
        failures: Any = None,
        failure_result: Any = None,
        retry_after: Any = None,
        wait: Any = None,
        key: Any = None,
        **unknown: Never,
    ) -> Any:
        """Guard a function, or make a guard with other options on this circuit.

        With a function: return it guarded, with its signature, name and colour. With
        options: return a `Guard` of this circuit that judges calls its own way; what is
        not given is as on the breaker.

        Args:
            function: A function, coroutine function, generator, async generator, method,
                `staticmethod`, `classmethod`, partial or callable object.
            fallback: Runs instead of a rejected call, never after a failed one, with the
                call's arguments, and `rejection=` if it has such a parameter.
            wait: Seconds, > 0, that a call may wait for a place before it is rejected.
            key: Function of the call's arguments that returns what the call is about, as
                a string, bytes or a whole number: a tenant, a user. While a ramp lets a
                share of the calls through, the same keys are in it in every process and
                at every step. Default none: the share is drawn at random.
            ignore, successes, failures, failure_result, retry_after: As on the breaker.

        Raises:
            TypeError: The function cannot be guarded; the message says what to do.
        """
        for option in unknown:
            raise unknown_guard_option(option)
        if function is not _NOT_GIVEN:
            return decorate(self, self._gate, function)
        options = {
            "ignore": ignore,
            "successes": successes,
            "failures": failures,
            "failure_result": failure_result,
            "retry_after": retry_after,
        }
        return Guard(self, self._gate, options, fallback=fallback, wait=wait, key=key)

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a plain function, guarded.

        Raises:
            CircuitOpenError: The call was rejected.
            TypeError: It is a coroutine function: use `acall`.
        """
        return self._gate.call(function, args, kwargs)

    async def acall(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call a function and await what it returns, guarded.

        Raises:
            CircuitOpenError: The call was rejected; nothing was called.
        """
        refuse_uncallable(function, "acall")
        result: R = await self._gate.ask_async(function, args, kwargs)
        return result

    # -- permits ---------------------------------------------------------------------

    def acquire(
        self,
        *,
        timeout: float | timedelta | None = None,
        key: str | bytes | int | None = None,
    ) -> Permit:
        """Take the right to make one call; settle it exactly once.

        Args:
            timeout: Seconds, > 0, to wait for a place, blocking the thread. Default
                None: do not wait.
            key: What the call is about, such as a tenant: while a share of the calls is
                let through, the same keys are in it. Default None: drawn at random.

        Raises:
            CircuitOpenError: There is no place, or none came free in time.
        """
        of = checked(key)
        if timeout is None:
            return Permit(self._gate, self._gate.admit(of))
        seconds = ranges.seconds("timeout", timeout)
        return Permit(self._gate, self._gate.wait_for_entry(seconds, of))

    async def aacquire(
        self,
        *,
        timeout: float | timedelta | None = None,
        key: str | bytes | int | None = None,
    ) -> Permit:
        """Take the right to make one call, waiting without blocking the loop.

        See `acquire`. Works on asyncio and trio.
        """
        of = checked(key)
        if timeout is None:
            return Permit(self._gate, self._gate.admit(of))
        seconds = ranges.seconds("timeout", timeout)
        return Permit(self._gate, await self._gate.wait_for_entry_async(seconds, of))

    def try_acquire(self, *, key: str | bytes | int | None = None) -> Permit | None:
        """Take the right to make one call, or return None; a None counts as rejected.

        Args:
            key: See `acquire`.
        """
        verdict = self._circuit.attempt(checked(key))
        if isinstance(verdict, Refusal):
            reject(self._circuit, verdict)
            return None
        return Permit(self._gate, verdict)

    # -- looking ---------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The breaker's name."""
        return self._circuit.name

    @property
    def state(self) -> State:
        """What the breaker does with calls. Reading it changes nothing.

        It stays `open` after the wait, until a call comes: that call is the probe.
        """
        return self._circuit.phase.state

    @property
    def policy(self) -> Policy:
        """The settings in force."""
        return self._circuit.policy

    def snapshot(self) -> Snapshot:
        """Return everything at one moment, frozen; changes nothing."""
        return snapshot(self._circuit)

    def explain(self) -> str:
        """Return one paragraph that a person can act on."""
        return explain(self._circuit)

    def events(self, *, buffer: int = 1000) -> Watch:
        """Return an async iterator over the breaker's events, for asyncio and trio.

        Args:
            buffer: Events kept for a consumer that is behind, at least 1. When it is
                full the oldest are dropped and counted in `dropped`. Default 1000.
        """
        from .watching import Watch

        return Watch(self._circuit, ranges.whole("buffer", buffer))

    # -- operating -------------------------------------------------------------------

    def trip(self) -> None:
        """Open now, as a rule would: wait, then probe. Nothing changes if it is open.

        Raises:
            ValueError: Somebody holds the breaker; reset it first.
        """
        self._circuit.command(Command.TRIP)

    def force_open(self) -> None:
        """Reject every call until `reset` (other libraries: *isolate*)."""
        self._circuit.command(Command.FORCE_OPEN)

    def disable(self) -> None:
        """Let every call through and count nothing, until `reset`."""
        self._circuit.command(Command.DISABLE)

    def observe(self) -> None:
        """Let every call through and count, and say what would have happened."""
        self._circuit.command(Command.OBSERVE)

    def permit_probes(self) -> None:
        """End the wait of an open circuit: the next call probes.

        For an operator who knows better, and for a health check of your own; the reject
        rule of `Adaptive` is waived with it. It never closes anything, and in any other
        state it changes nothing.
        """
        self._circuit.command(Command.PERMIT)

    def check_health(self, check: Callable[[], object], /) -> bool:
        """Run a cheap health check if the circuit is open; if it is well, permit probes.

        Call it from a thread or scheduler of yours, every other second or so; nothing
        runs by itself. A health check sees the process and not the queue before it, so
        success only ends the wait, and failure changes nothing.

        Args:
            check: Raises an `Exception` or returns something false, other than None, if
                the dependency is not well.

        Returns:
            Whether probes were permitted.

        Raises:
            TypeError: The check is a coroutine function: use `acheck_health`.
        """
        if not callable(cast("object", check)) or runs_later(check):
            msg = f"check must be a plain function, got {check!r}"
            raise TypeError(msg)
        if not self._circuit.is_waiting():
            return False
        try:
            result = check()
        except Exception:  # noqa: BLE001 - that is the answer
            return False
        return self._permitted(result)

    async def acheck_health(self, check: Callable[[], Awaitable[object]], /) -> bool:
        """Run a health check in a task; see `check_health`."""
        refuse_uncallable(check, "acheck_health")
        if not self._circuit.is_waiting():
            return False
        try:
            result = cast("object", check())
            if hasattr(type(result), "__await__"):
                result = await cast("Awaitable[object]", result)
        except Exception:  # noqa: BLE001 - that is the answer
            return False
        return self._permitted(result)

    def _permitted(self, result: object) -> bool:
        well = result is None or bool(result)
        if well:
            self.permit_probes()
        return well

    def reset(self) -> None:
        """Close, with a new period, no evidence and no memory of past trips.

        What a `FalseTripBudget` has learned to be usual stays.
        """
        self._circuit.command(Command.RESET)

    def reconfigure(
        self, **changes: Any
    ) -> None:  # the fields of Policy, checked by it
        """Replace settings while running; state and evidence stay.

        Evidence of windows that the new policy keeps is kept; new windows begin empty.
        A wait that has begun ends as it was going to. A function that was decorated
        while no rule needed a clock takes a slower path once one does, until it is
        decorated again.

        Args:
            changes: Fields of `Policy`, or `policy=` for all at once. None changes
                nothing; `ramp=False` takes the ramp away.

        Raises:
            TypeError, ValueError: A value is bad; nothing was changed.
        """
        whole = changes.pop("policy", None)
        self._circuit.reconfigure(
            lambda policy: _changed(policy if whole is None else whole, changes)
        )

    def add_listener(self, listener: Listener) -> None:
        """Tell one more listener of what happens from now on."""
        join(self, self._circuit, listener, again=True)

    def remove_listener(self, listener: Listener) -> None:
        """Tell a listener no longer; unknown ones are ignored."""
        part(self._circuit, listener)

    # -- as a value ------------------------------------------------------------------

    def __repr__(self) -> str:
        """Show name and state in one line."""
        return describe(self._circuit)

    def __copy__(self) -> CircuitBreaker:
        """Return the same breaker: a copy would not know what the original knows."""
        return self

    def __deepcopy__(self, memo: object) -> CircuitBreaker:
        """Return the same breaker."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse pickling: another process has another circuit."""
        msg = f"a breaker cannot be pickled: pass its name, {self.name!r}, and find it with get_breaker()"
        raise TypeError(msg)

    def __init_subclass__(cls) -> NoReturn:
        """Refuse subclassing: combine breakers and policies instead."""
        msg = "CircuitBreaker is final: hold one instead of deriving from it"
        raise TypeError(msg)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        msg = f"name must be a string, got {name!r}"
        raise TypeError(msg)
    if not name:
        msg = "name must not be empty, got ''"
        raise ValueError(msg)


def _check_registry(registry: object) -> None:
    if not isinstance(registry, Registry) and registry != "none":
        msg = f'registry must be a Registry or "none", got {registry!r}'
        raise TypeError(msg)


def _initial(state: object) -> State:
    try:
        initial = State(cast("str", state))
    except ValueError:
        msg = f"initial_state must be a State, got {state!r}"
        raise ValueError(msg) from None
    if initial is State.HALF_OPEN:
        msg = "initial_state cannot be half_open: begin open, and the first call after the wait probes"
        raise ValueError(msg)
    return State.DISABLED if is_disabled() else initial


def _clock(clock: object) -> Callable[[], float]:
    if not callable(clock):
        msg = f"clock must be callable, got {clock!r}"
        raise TypeError(msg)
    ranges.number("clock()", clock())
    return cast("Callable[[], float]", clock)


def _chance(chance: object) -> Callable[[], float] | None:
    if chance is None:
        return None
    if not callable(chance):
        msg = f"chance must be callable, got {chance!r}"
        raise TypeError(msg)
    ranges.share("chance()", chance())
    return cast("Callable[[], float]", chance)


def _changed(policy: Policy | None, changes: Mapping[str, Any]) -> Policy:
    if policy is not None and not isinstance(cast("object", policy), Policy):
        msg = f"policy must be a Policy, got {policy!r}"
        raise TypeError(msg)
    given = {key: value for key, value in changes.items() if value is not None}
    if policy is not None and not given:
        return policy
    made = Policy(**given) if policy is None else policy.replace(**given)
    try:
        return _shared(made)
    except TypeError:  # a rule of the user's that has no hash
        return made


@functools.lru_cache(maxsize=64)
def _shared(policy: Policy) -> Policy:
    """Return the first policy made like this one: most breakers of a process have equals."""
    return policy
