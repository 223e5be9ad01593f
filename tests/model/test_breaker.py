"""A real breaker against a naive prediction, over every way to call it, mixed.

Functions, coroutines, blocks and permits; several out at once, ended in any order or
never; commands, words of a link, new settings, and time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from functools import reduce
from itertools import count
from operator import or_
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from recloser import (
    Backoff,
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    Origin,
    Permit,
    PermitError,
    Policy,
    SlowCallRate,
    State,
    TimeWindow,
    Transition,
    Wait,
    Word,
)
from recloser._core.outcomes import Kind
from recloser.testing import FakeClock

from .prediction import Call, Plan, Prediction, Rejection, Row, Share

# -- policies, twice: as the model has them, and as users write them ---------------------

LAST_FOUR: Final = CountWindow(4)
TEN_SECONDS: Final = TimeWindow(10)

RULES: Final[dict[str, tuple[tuple[Row | Share, ...], float | None]]] = {
    "two in a row": ((Row(2),), None),
    "three within five seconds": ((Row(3, within=5.0),), None),
    "half of the last four": ((Share(0.5, LAST_FOUR, 2),), None),
    "half of ten seconds": ((Share(0.5, TEN_SECONDS, 3),), None),
    "three slow or failed": ((Row(3, slow_too=True),), 1.0),
    "half slow in ten seconds": ((Share(0.5, TEN_SECONDS, 2, slow=True),), 1.0),
    "any of three": (
        (
            Row(3),
            Share(0.75, LAST_FOUR, 4, slow=True),
            Share(0.5, TEN_SECONDS, 5),
        ),
        1.0,
    ),
}
WAITS: Final = {
    "four seconds": (4.0, 1.0, 4.0, None),
    "growing": (2.0, 2.0, 8.0, 4.0),
}
PROBES: Final = [(1, 1, 3.0), (2, 1, 3.0), (2, 2, 3.0), (3, 2, 5.0)]


def trip_of(plan: Plan) -> Any:
    return reduce(or_, [_trip_rule(rule, plan.slower_than) for rule in plan.rules])


def _trip_rule(rule: Row | Share, slower_than: float | None) -> Any:
    if isinstance(rule, Row):
        limit = slower_than if rule.slow_too else None
        return ConsecutiveFailures(rule.failures, within=rule.within, slower_than=limit)
    options = {"window": rule.window, "minimum_calls": rule.minimum}
    if rule.slow:
        return SlowCallRate(rule.rate, slower_than=slower_than, **options)
    return FailureRate(rule.rate, **options)


def policy_of(plan: Plan) -> Policy:
    recovery: Wait | Backoff = Wait(plan.wait, jitter=0)
    if plan.fade is not None:
        recovery = Backoff(
            plan.wait,
            factor=plan.factor,
            maximum=plan.longest,
            fade=plan.fade,
            jitter=0,
        )
    return Policy(
        trip=trip_of(plan),
        recovery=recovery,
        probes=plan.probes,
        probe_concurrency=plan.concurrency,
        probe_lease=plan.lease,
    )


plans = st.builds(
    lambda rules, wait, probes: Plan(*RULES[rules], *WAITS[wait], *probes),
    st.sampled_from(sorted(RULES)),
    st.sampled_from(sorted(WAITS)),
    st.sampled_from(PROBES),
)

# -- how calls end -----------------------------------------------------------------------


class Ending(NamedTuple):
    """How a call ends, and what that says."""

    kind: Kind
    error: type[BaseException] | None = None
    result: str = "fine"
    cancelled: bool = False


RETURNS = Ending(Kind.SUCCESS)
RAISED: Final = [
    Ending(Kind.FAILURE, OSError),
    Ending(Kind.FAILURE, OSError),
    Ending(Kind.SUCCESS, KeyError),  # by this exception the dependency answers
    Ending(Kind.NEUTRAL, IndexError),  # this one is ignored
    Ending(Kind.NEUTRAL, KeyboardInterrupt),
    Ending(Kind.NEUTRAL, asyncio.CancelledError, cancelled=True),
]
FAILING_RESULT = Ending(Kind.FAILURE, result="bad")
of_blocks = st.sampled_from([RETURNS, RETURNS, RETURNS, *RAISED])
of_calls = st.sampled_from([RETURNS, RETURNS, RETURNS, *RAISED, FAILING_RESULT])
quarters = st.integers(0, 8).map(lambda number: number / 4)
pauses = st.one_of(quarters, st.sampled_from([2.0, 3.0, 4.0, 5.0, 8.0, 11.0, 60.0]))
commands = st.sampled_from(
    [
        State.CLOSED,
        State.CLOSED,
        State.OPEN,
        State.FORCED_OPEN,
        State.DISABLED,
        State.METRICS_ONLY,
    ]
)
perhaps_a_command = st.sampled_from([None] * 7 + [State.CLOSED, State.OPEN])
words = st.tuples(
    st.sampled_from([State.CLOSED, State.OPEN, State.FORCED_OPEN, State.DISABLED]),
    st.integers(-1, 1),
    st.sampled_from([0.0, 1.0, 6.0]),
)
new_settings = st.tuples(st.sampled_from(PROBES), st.sampled_from(sorted(WAITS)))


class Until:
    """Something to await until the test says how it ends."""

    def __await__(self) -> Generator[Until, str, str]:
        result = yield self
        return result


class Task:
    """A coroutine that is driven by hand, in a context of its own."""

    def __init__(self, work: Coroutine[Any, Any, str]) -> None:
        self._work = work
        self._context: Context = copy_context()

    def start(self) -> None:
        """Run it to where it waits."""
        assert isinstance(self._context.run(self._work.send, None), Until)

    def end(self, ending: Ending) -> str:
        """Let it end; return what it returned, or raise what it raised."""
        try:
            if ending.error is None:
                self._context.run(self._work.send, ending.result)
            else:
                self._context.run(self._work.throw, ending.error())
        except StopIteration as end:
            result: str = end.value
            return result
        raise AssertionError("it waits again")

    def close(self) -> None:
        """Abandon it, as a loop that shuts down does."""
        self._context.run(self._work.close)


class FakeLink:
    """A link whose words the test says."""

    origin = Origin.FLEET

    def attach(self, name: str, adopt: Callable[[Word], None]) -> None:
        self.say = adopt


numbers = count()

# -- the machine -------------------------------------------------------------------------


class BreakerMachine(RuleBasedStateMachine):
    """Does the same to a breaker and to the prediction."""

    permits: Bundle[tuple[Permit, Call]] = Bundle("permits")
    tasks: Bundle[tuple[Task, Call]] = Bundle("tasks")

    @initialize(
        plan=plans,
        start=st.sampled_from([State.CLOSED, State.OPEN, State.METRICS_ONLY]),
        listening=st.booleans(),
    )
    def begin(self, plan: Plan, start: State, *, listening: bool) -> None:
        self.clock = FakeClock()
        self.link = FakeLink()
        self.events: list[Transition] = []
        self.listening = listening
        self.expected = Prediction(plan, start)
        self.name = f"payments-{next(numbers)}"  # two that share a name share a policy
        self.breaker = CircuitBreaker(
            self.name,
            policy=policy_of(plan),
            ignore=(IndexError,),
            successes=(KeyError,),
            failure_result=lambda result: result == "bad",
            clock=self.clock,
            share=self.link,
            initial_state=start,
            registry="none",
            listeners=[self._note] if listening else [],
        )
        self.decorated = self.breaker(self._work)
        self.decorated_async = self.breaker(self._work_async)

    def _note(self, event: object) -> None:
        if isinstance(event, Transition):
            self.events.append(event)

    def _work(self, body: Callable[[], str]) -> str:
        return body()

    async def _work_async(self) -> str:
        return await Until()

    # -- time, operators, links, settings --

    @rule(seconds=pauses)
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.expected.now += seconds

    @rule()
    def wait_until_a_caller_may_come(self) -> None:
        self.wait(self.expected.retry_after() or 0.0)

    @precondition(lambda self: self.expected.places)
    @rule()
    def wait_until_every_lease_is_over(self) -> None:
        self.wait(self.expected.plan.lease)

    @rule(what=st.one_of(commands, words, new_settings))
    def interfere(self, what: Any) -> None:
        """Do what operators and links do; it happens between calls, and seldom."""
        if isinstance(what, State):
            self._command(what)
        elif isinstance(what[0], State):
            self._hear(*what)
        else:
            self._reconfigure(*what)

    def _command(self, wanted: State) -> None:
        commanded = {
            State.CLOSED: self.breaker.reset,
            State.OPEN: self.breaker.trip,
            State.FORCED_OPEN: self.breaker.force_open,
            State.DISABLED: self.breaker.disable,
            State.METRICS_ONLY: self.breaker.observe,
        }[wanted]
        if self.expected.command(wanted):
            commanded()
        else:
            with pytest.raises(ValueError, match="cannot trip"):
                commanded()

    def _hear(self, state: State, newer: int, remaining: float) -> None:
        said = self.expected.said.epoch if self.expected.said else 1
        word = Word(state=state, epoch=said + newer, remaining=remaining)
        self.link.say(word)
        self.expected.hear(word, FakeLink.origin)

    def _reconfigure(self, probes: tuple[int, int, float], wait: str) -> None:
        old = self.expected.plan
        plan = Plan(old.rules, old.slower_than, *WAITS[wait], *probes)
        self.expected.plan = plan
        self.breaker.reconfigure(policy=policy_of(plan))

    # -- calls that end before anything else happens --

    @rule(
        how=st.sampled_from(["decorated", "call"]),
        ending=of_calls,
        takes=quarters,
        meanwhile=perhaps_a_command,
        inner=st.one_of(st.none(), of_calls),
    )
    def call(
        self,
        how: str,
        ending: Ending,
        takes: float,
        meanwhile: State | None,
        inner: Ending | None,
    ) -> None:
        predicted = self.expected.admit()

        def body() -> str:
            assert isinstance(predicted, Call)
            return self._body(predicted, ending, takes, meanwhile, inner)

        with self._as_predicted(predicted, ending):
            if how == "decorated":
                assert self.decorated(body) == ending.result
            else:
                assert self.breaker.call(body) == ending.result

    @rule(
        how=st.sampled_from(["breaker", "permit"]),
        ending=of_blocks,
        takes=quarters,
        meanwhile=perhaps_a_command,
        inner=st.one_of(st.none(), of_calls),
    )
    def block(
        self,
        how: str,
        ending: Ending,
        takes: float,
        meanwhile: State | None,
        inner: Ending | None,
    ) -> None:
        predicted = self.expected.admit(watched=False)
        with self._as_predicted(predicted, ending):
            if how == "breaker":
                with self.breaker:
                    assert isinstance(predicted, Call)
                    self._body(predicted, ending, takes, meanwhile, inner)
            else:
                with self.breaker.acquire():
                    assert isinstance(predicted, Call)
                    self._body(predicted, ending, takes, meanwhile, inner)

    @rule(
        ending=st.sampled_from([RETURNS, RAISED[0], RAISED[0], FAILING_RESULT]),
        times=st.integers(2, 5),
        takes=st.sampled_from([0.0, 0.0, 0.25, 1.0]),
    )
    def call_again_and_again(self, ending: Ending, times: int, takes: float) -> None:
        for _ in range(times):
            self.call("decorated", ending, takes, None, None)

    def _body(
        self,
        around: Call,
        ending: Ending,
        takes: float,
        meanwhile: State | None,
        inner: Ending | None,
    ) -> str:
        """Be the body of a call: take time, have other things happen, and end."""
        self.wait(takes)
        if inner is not None:
            self._call_inside(around, inner)
        if meanwhile is not None:
            self._command(meanwhile)
        if ending.error is not None:
            raise ending.error
        return ending.result

    def _call_inside(self, around: Call, ending: Ending) -> None:
        predicted = self.expected.admit(around)

        def body() -> str:
            if ending.error is not None:
                raise ending.error
            return ending.result

        with self._as_predicted(predicted, ending):
            assert self.breaker.call(body) == ending.result

    @contextmanager
    def _as_predicted(
        self, predicted: Call | Rejection, ending: Ending
    ) -> Iterator[None]:
        """Expect the caller to get what is its own, then end the predicted call."""
        if isinstance(predicted, Rejection):
            with self._rejected(predicted):
                yield
            return
        if ending.error is None:
            yield
        else:
            with pytest.raises(ending.error) as caught:
                yield
            assert caught.type is ending.error
        self.expected.end(predicted, ending.kind, cancelled=ending.cancelled)

    @contextmanager
    def _rejected(self, predicted: Rejection) -> Iterator[None]:
        with pytest.raises(CircuitOpenError) as caught:
            yield
        error = caught.value
        assert (error.name, error.state) == (self.name, predicted.state)
        assert error.retry_after == predicted.retry_after

    # -- permits: any number at once, settled in any order, or never --

    @rule(target=permits, trying=st.booleans())
    def take_permit(self, *, trying: bool) -> Any:
        predicted = self.expected.admit(watched=False)
        if isinstance(predicted, Call):
            permit = self.breaker.try_acquire() if trying else self.breaker.acquire()
            assert permit is not None
            assert permit.is_probe == (predicted.probe is not None)
            assert permit.epoch == predicted.epoch
            return permit, predicted
        if trying:
            assert self.breaker.try_acquire() is None
        else:
            with self._rejected(predicted):
                self.breaker.acquire()
        return multiple()

    @rule(
        held=consumes(permits),
        how=st.sampled_from(["success", "success", "failure", "release", "lose"]),
    )
    def settle_permit(self, held: tuple[Permit, Call], how: str) -> None:
        permit, call = held
        kinds = {
            "success": Kind.SUCCESS,
            "failure": Kind.FAILURE,
            "release": Kind.NEUTRAL,
        }
        if how == "lose":
            return
        getattr(permit, how)()
        self.expected.end(call, kinds[how])
        with pytest.raises(PermitError):
            getattr(permit, how)()

    @rule(held=consumes(permits), ending=of_blocks)
    def end_permit_as_a_block(self, held: tuple[Permit, Call], ending: Ending) -> None:
        permit, call = held
        with self._as_predicted(call, ending), permit:
            if ending.error is not None:
                raise ending.error

    # -- coroutines: any number at once, ended in any order, or never --

    @rule(target=tasks, how=st.sampled_from(["decorated", "acall", "block"]))
    def start_task(self, how: str) -> Any:
        task = Task(
            {
                "decorated": self.decorated_async,
                "acall": lambda: self.breaker.acall(self._work_async),
                "block": self._block_async,
            }[how]()
        )
        predicted = self.expected.admit(watched=how != "block")
        if isinstance(predicted, Rejection):
            with self._rejected(predicted):
                task.start()
            return multiple()
        task.start()
        return task, predicted

    async def _block_async(self) -> str:
        async with self.breaker:
            return await Until()

    @rule(held=consumes(tasks), ending=of_blocks)
    def end_task(self, held: tuple[Task, Call], ending: Ending) -> None:
        task, call = held
        with self._as_predicted(call, ending):
            assert task.end(ending) == ending.result

    @rule(held=consumes(tasks))
    def abandon_task(self, held: tuple[Task, Call]) -> None:
        task, call = held
        task.close()
        self.expected.end(call, Kind.NEUTRAL)

    # -- what must be so after every step --

    @invariant()
    def breaker_is_as_predicted(self) -> None:
        seen, expected = self.breaker.snapshot(), self.expected
        assert (seen.state, seen.epoch) == (expected.state, expected.epoch)
        assert seen.since == expected.since
        assert seen.retry_after == expected.retry_after()
        assert self.breaker.state == expected.state

    @invariant()
    def evidence_is_as_predicted(self) -> None:
        seen, expected = self.breaker.snapshot(), self.expected
        if expected.state not in {State.CLOSED, State.METRICS_ONLY}:
            assert (seen.streak, seen.counts) == (None, {})
            return
        assert expected.page is not None
        assert seen.streak == len(expected.page.row())
        for window, counts in seen.counts.items():
            assert counts == expected.counts(window)
            rates = counts.failure_rate, counts.slow_rate
            assert seen.rates[window] == rates

    @invariant()
    def totals_are_as_predicted(self) -> None:
        seen, expected = self.breaker.snapshot().totals, self.expected
        counts = expected.totals()
        assert (seen.calls, seen.failures) == (counts.calls, counts.failures)
        assert (seen.successes, seen.slow) == (
            counts.calls - counts.failures,
            counts.slow,
        )
        assert (seen.rejected, seen.late) == (expected.rejected, expected.late)
        assert (seen.trips, seen.lost) == (expected.tripped, expected.lost)
        assert (seen.neutral, seen.cancelled) == (
            expected.neutral,
            expected.cancelled,
        )
        assert (seen.would_trip, seen.would_reject) == (
            expected.would_trip,
            expected.would_reject,
        )
        assert seen.callback_errors == 0

    @invariant()
    def listeners_are_told_of_every_move_in_order(self) -> None:
        if self.listening:
            told = [(event.before, event.after, event.epoch) for event in self.events]
            assert told == self.expected.moves

    @invariant()
    def probes_in_flight_are_within_bounds(self) -> None:
        alive = len(self.expected.alive())
        with suppress(AttributeError):
            assert self.breaker.snapshot().probes >= alive


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(stateful_step_count=60)
