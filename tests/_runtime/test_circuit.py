"""The shell around the rules: late results, re-entry, overrides, words, clocks."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from contextlib import suppress

import pytest

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    Failed,
    FailureRate,
    Kind,
    LateResult,
    Origin,
    ProbeEnded,
    ProbeLost,
    ProbeStarted,
    Rejected,
    SlowCallRate,
    State,
    TimeWindow,
    Transition,
    Wait,
    Word,
    WouldReject,
    WouldTrip,
)
from recloser.testing import FakeClock, force


def outcomes(breaker):
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


# -- the whole story -----------------------------------------------------------------


def test_circuit_trips_rejects_probes_and_closes(make, service, clock, fail):
    payments = make(trip=3)

    fail(payments, 3)
    with pytest.raises(CircuitOpenError) as rejection:
        payments.call(service.answer)
    assert rejection.value.retry_after == 10
    clock.advance(10)
    assert payments.state is State.OPEN  # reading changes nothing
    assert payments.call(service.answer) == "answer"

    assert payments.state is State.CLOSED
    assert service.calls == 4


def test_call_that_trips_still_raises_its_own_error(make, service):
    payments = make(trip=1)
    error = OSError("mine")

    with pytest.raises(OSError) as failure:
        payments.call(service.fail, error)

    assert failure.value is error


def test_success_ends_a_streak(make, service, fail):
    payments = make(trip=3)

    fail(payments, 2)
    payments.call(service.answer)
    fail(payments, 2)

    assert payments.state is State.CLOSED


def test_neutral_call_neither_ends_nor_lengthens_a_streak(make, service, fail):
    payments = make(trip=3, ignore=(KeyError,))

    fail(payments, 2)
    with pytest.raises(KeyError):
        payments.call(service.fail, KeyError())
    assert payments.snapshot().streak == 2
    fail(payments)

    assert payments.state is State.OPEN


def test_fast_success_never_trips(make, service, fail):
    payments = make(trip=FailureRate(0.5, window=CountWindow(10), minimum_calls=4))

    fail(payments, 3)
    payments.call(service.answer)  # 3 of 4 now, and the minimum is reached
    assert payments.state is State.CLOSED
    fail(payments)

    assert payments.state is State.OPEN


def test_probe_that_fails_opens_for_another_wait(make, service, clock, fail):
    payments = make(trip=1)
    fail(payments)
    clock.advance(10)

    fail(payments)

    assert payments.state is State.OPEN
    assert payments.snapshot().retry_after == 10


def test_round_needs_as_many_successes_as_it_has_probes(make, service):
    payments = make(probes=3)
    force(payments, State.HALF_OPEN)

    states = []
    for _ in range(3):
        payments.call(service.answer)
        states.append(payments.state)

    assert states == [State.HALF_OPEN, State.HALF_OPEN, State.CLOSED]


def test_no_more_probes_are_in_flight_than_configured(make):
    payments = make(probes=5, probe_concurrency=2)
    force(payments, State.HALF_OPEN)

    permits = [payments.try_acquire() for _ in range(4)]

    assert [permit is not None for permit in permits] == [True, True, False, False]


def test_rejection_without_a_place_says_when_one_is_free_at_the_latest(make, clock):
    payments = make(probe_lease=30)
    force(payments, State.HALF_OPEN)
    payments.acquire()
    clock.advance(4)

    with pytest.raises(CircuitOpenError) as rejection:
        payments.acquire()

    assert rejection.value.state is State.HALF_OPEN
    assert rejection.value.retry_after == 26


def test_slow_probe_opens_where_there_is_a_slow_rule(make, service, clock):
    payments = make(trip=SlowCallRate(0.5, slower_than=2, window=CountWindow(10)))
    force(payments, State.HALF_OPEN)

    payments.call(clock.advance, 2)

    assert payments.state is State.OPEN


def test_closing_starts_with_no_evidence(make, service, clock, fail):
    payments = make(trip=FailureRate(0.5, window=CountWindow(4), minimum_calls=2))
    fail(payments, 2)
    clock.advance(10)
    payments.call(service.answer)

    fail(payments)

    assert payments.state is State.CLOSED
    assert payments.snapshot().streak == 1


def test_time_window_ages_while_nobody_calls(make, clock, fail):
    payments = make(trip=FailureRate(0.5, window=TimeWindow(60), minimum_calls=3))
    window = payments.policy.trip.windows[0]
    fail(payments, 2)

    clock.advance(61)

    assert payments.snapshot().counts[window].calls == 0
    fail(payments)
    assert payments.state is State.CLOSED


def test_streak_with_an_age_forgets_old_failures(make, clock, fail):
    payments = make(trip=ConsecutiveFailures(3, within=60))
    fail(payments)
    clock.advance(61)

    fail(payments, 2)
    assert payments.state is State.CLOSED
    fail(payments)

    assert payments.state is State.OPEN


# -- late results --------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["success", "failure", "release"])
@pytest.mark.parametrize("ends", ["closed", "open", "half_open", "forced_open"])
def test_late_result_never_moves_the_state(make, clock, service, verb, ends):
    payments = make(trip=1)
    late = payments.acquire()
    force(payments, State(ends))
    before = payments.snapshot()

    getattr(late, verb)()

    after = payments.snapshot()
    assert (after.state, after.epoch) == (before.state, before.epoch)
    assert (after.streak, after.probes) == (before.streak, before.probes)
    assert after.totals.failures == before.totals.failures


def test_late_failure_while_open_does_not_extend_the_wait(make, clock, fail):
    payments = make(trip=1)
    late = payments.acquire()
    fail(payments)
    clock.advance(9)

    late.failure()

    assert payments.snapshot().retry_after == 1
    assert payments.snapshot().late == 1


def test_late_probe_of_an_earlier_round_changes_nothing(make, clock, service):
    payments = make(probe_lease=5)
    force(payments, State.HALF_OPEN)
    late = payments.acquire()
    force(payments, State.HALF_OPEN)
    current = payments.acquire()

    late.success()
    assert payments.state is State.HALF_OPEN
    assert payments.snapshot().probes == 1
    current.success()

    assert payments.state is State.CLOSED
    assert payments.snapshot().late == 1


def test_late_success_ends_no_streak(make, fail, service):
    payments = make(trip=3)
    late = payments.acquire()
    payments.reset()
    fail(payments, 2)

    late.success()

    assert payments.snapshot().streak == 2


def test_late_result_is_told(make):
    heard = []
    payments = make(listeners=[heard.append])
    late = payments.acquire()
    epoch = payments.snapshot().epoch
    payments.reset()
    heard.clear()

    late.failure(OSError("down"))

    [event] = heard
    assert isinstance(event, LateResult)
    assert (event.admitted_epoch, event.epoch) == (epoch, epoch + 1)
    assert event.kind is Kind.FAILURE
    assert event.failure.type == "OSError"


def test_overdue_failure_still_ends_its_round(make, clock):
    payments = make(probes=2, probe_lease=30)
    force(payments, State.HALF_OPEN)
    overdue = payments.acquire()
    clock.advance(30)
    payments.acquire()

    overdue.failure()

    assert payments.state is State.OPEN


def test_call_longer_than_its_lease_closes_the_circuit(make, service, clock):
    payments = make(probe_lease=30)
    force(payments, State.HALF_OPEN)

    payments.call(clock.advance, 40)

    assert payments.state is State.CLOSED


# -- visitors --------------------------------------------------------------------------


class Visitor:
    """Acts once in the middle of a swap, on the thread that swaps, as a signal handler may.

    The circuit tells it of the swap, as it tells the blocks of a breaker.
    """

    def __init__(self, breaker):
        self.act = None
        breaker._circuit.watch_swaps(self)

    def swap(self, ticket):
        act, self.act = self.act, None
        if act:
            act()


def test_command_is_obeyed_in_the_phase_that_a_visitor_left(make):
    seen = []
    payments = make(listeners=[seen.append])
    visitor = Visitor(payments)

    visitor.act = payments.observe
    payments.force_open()

    moves = [(event.before, event.after) for event in seen]
    assert moves == [
        (State.CLOSED, State.METRICS_ONLY),
        (State.METRICS_ONLY, State.FORCED_OPEN),
    ]


def test_call_is_admitted_by_the_phase_that_a_visitor_left(make, service, clock):
    payments = make(initial_state=State.OPEN)
    visitor = Visitor(payments)
    clock.advance(10)

    visitor.act = payments.force_open
    with pytest.raises(CircuitOpenError) as rejection:
        payments.call(service.answer)

    assert (rejection.value.state, service.calls) == (State.FORCED_OPEN, 0)


def test_failure_is_late_where_a_visitor_ended_its_period(make, fail):
    payments = make(trip=1)
    visitor = Visitor(payments)

    visitor.act = payments.reset
    fail(payments)

    snapshot = payments.snapshot()
    assert (snapshot.state, snapshot.epoch) == (State.CLOSED, 2)
    assert snapshot.totals.late == 1


def test_probe_ends_in_the_phase_that_a_visitor_left(make):
    payments = make(probes=2, probe_concurrency=2)
    force(payments, State.HALF_OPEN)
    first = payments.acquire()
    visitor = Visitor(payments)
    second = []

    visitor.act = lambda: second.append(payments.acquire())
    first.success()
    second[0].success()

    assert payments.state is State.CLOSED


# -- re-entry ------------------------------------------------------------------------


def test_recursion_counts_each_level_while_closed(make):
    payments = make()

    @payments
    def down(levels):
        return down(levels - 1) if levels else "bottom"

    assert down(3) == "bottom"
    assert outcomes(payments) == (4, 0, 0)


def test_recursive_probe_is_one_probe(make):
    payments = make()

    @payments
    def down(levels):
        return down(levels - 1) if levels else "bottom"

    force(payments, State.HALF_OPEN)

    assert down(3) == "bottom"
    assert payments.state is State.CLOSED
    assert outcomes(payments) == (1, 0, 0)


def test_inner_failure_that_the_probe_survives_is_not_reported(make, service):
    payments = make(trip=1)
    force(payments, State.HALF_OPEN)

    def outer():
        with suppress(OSError):
            payments.call(service.fail)
        return "answer"

    payments.call(outer)

    assert payments.state is State.CLOSED
    assert outcomes(payments) == (1, 0, 0)


def test_inner_failure_that_comes_through_fails_the_probe_once(make, service):
    payments = make()
    force(payments, State.HALF_OPEN)

    with pytest.raises(OSError):
        payments.call(payments.call, service.fail)

    assert payments.state is State.OPEN
    assert outcomes(payments) == (0, 1, 0)


@pytest.mark.parametrize("way", ["call", "with", "acquire", "try_acquire", "decorated"])
def test_every_way_of_calling_inside_a_probe_is_part_of_it(make, service, way):
    payments = make()
    force(payments, State.HALF_OPEN)

    def within():
        with payments:
            pass

    ways = {
        "call": lambda: payments.call(service.answer),
        "with": within,
        "acquire": lambda: payments.acquire().failure(),
        "try_acquire": lambda: payments.try_acquire().failure(),
        "decorated": payments(service.answer),
    }
    payments.call(ways[way])

    assert payments.state is State.CLOSED
    assert outcomes(payments) == (1, 0, 0)


def test_guard_of_the_same_circuit_inside_a_probe_is_part_of_it(make, service):
    payments = make()
    force(payments, State.HALF_OPEN)

    payments.call(payments(ignore=(KeyError,)).call, service.answer)

    assert payments.state is State.CLOSED


def test_probe_of_one_breaker_is_no_pass_for_another(make, service):
    payments, bank = make("payments"), make("bank")
    force(payments, State.HALF_OPEN)
    force(bank, State.HALF_OPEN)
    held = bank.acquire()

    with pytest.raises(CircuitOpenError):
        payments.call(bank.call, service.answer)

    assert payments.state is State.HALF_OPEN  # our own rejection is no evidence
    assert not held.settled


def test_one_breaker_around_another_works_in_every_state(make, service):
    outer, inner = make("outer"), make("inner")
    guarded = outer(inner(service.answer))

    for state in (State.CLOSED, State.HALF_OPEN, State.DISABLED, State.METRICS_ONLY):
        force(outer, state)
        force(inner, state)
        assert guarded() == "answer"


def test_child_task_inside_a_probe_is_part_of_it(make, service, loop):
    payments = make()
    force(payments, State.HALF_OPEN)

    async def outer():
        async with loop.nursery() as start:
            children = [start(payments.acall, service.aanswer) for _ in range(3)]
        return [child.error for child in children]

    async def main():
        return await payments.acall(outer)

    assert loop.run(main) == [None] * 3
    assert payments.state is State.CLOSED
    assert outcomes(payments) == (1, 0, 0)


def test_child_task_that_outlives_the_probe_gets_no_free_pass(make, service, loop):
    payments = make(probes=5)
    force(payments, State.HALF_OPEN)

    async def main():
        async with loop.nursery() as start:
            go = loop.event()
            held = []

            async def outlive():
                await go.wait()
                held.append(payments.acquire())
                return payments.try_acquire()

            async def probe():
                return start(outlive)

            child = await payments.acall(probe)
            go.set()
            await loop.until(lambda: child.done)
        return held[0], child.result

    first, second = loop.run(main)

    assert first.is_probe
    assert second is None


def test_thread_that_outlives_the_probe_gets_no_free_pass(make, service, threads):
    payments = make(probes=5)
    force(payments, State.HALF_OPEN)
    go = threading.Event()

    def outlive():
        go.wait(20)
        first = payments.acquire()
        return first.is_probe, payments.try_acquire()

    def probe():
        return threads.start(contextvars.copy_context().run, outlive)

    child = payments.call(probe)
    go.set()

    assert child.join().result == (True, None)


def test_other_task_is_not_inside_the_probe(make, service, loop):
    payments = make()
    force(payments, State.HALF_OPEN)

    async def main():
        async with loop.nursery() as start:
            go, running = loop.event(), []

            async def hang():
                running.append(True)
                await go.wait()

            task = start(payments.acall, hang)
            await loop.until(lambda: running)
            with pytest.raises(CircuitOpenError):
                await payments.acall(service.aanswer)
            go.set()
        return task.error

    assert loop.run(main) is None
    assert payments.state is State.CLOSED


def test_reset_inside_a_probe_makes_the_probe_late(make):
    payments = make(trip=1)
    force(payments, State.HALF_OPEN)

    with suppress(OSError), payments.acquire():
        payments.reset()
        raise OSError

    assert payments.state is State.CLOSED
    assert payments.snapshot().late == 1


# -- overrides -----------------------------------------------------------------------


def test_forced_open_rejects_until_reset(make, service, clock):
    payments = make()
    payments.force_open()
    clock.advance(1_000_000)

    with pytest.raises(CircuitOpenError) as rejection:
        payments.call(service.answer)
    assert rejection.value.retry_after is None
    assert rejection.value.state is State.FORCED_OPEN
    payments.reset()

    assert payments.call(service.answer) == "answer"


def test_disabled_passes_everything_and_trips_never(make, service, fail):
    payments = make(trip=1)
    payments.disable()

    fail(payments, 20)

    assert payments.call(service.answer) == "answer"
    assert payments.state is State.DISABLED


def test_disabled_breaker_counts_and_tells_nothing(make, service):
    heard = []

    class Everything:
        def on_call(self, event):
            heard.append(event)

    payments = make(listeners=[heard.append, Everything()])
    payments.disable()
    heard.clear()
    before = payments.snapshot()

    for error in (OSError(), KeyboardInterrupt(), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            payments.call(service.fail, error)
    payments.call(service.answer)
    payments.acquire().failure()
    with payments:
        pass

    assert payments.snapshot() == before
    assert heard == []


def test_metrics_only_passes_and_counts_and_says_what_would_have_been(
    make, service, clock, fail
):
    heard = []
    payments = make(trip=2, listeners=[heard.append])
    payments.observe()
    heard.clear()

    fail(payments, 2)  # would trip
    fail(payments, 3)  # would be rejected
    clock.advance(10)
    payments.call(service.answer)  # the wait would be over

    totals = payments.snapshot().totals
    assert payments.state is State.METRICS_ONLY
    assert service.calls == 6
    assert (totals.would_trip, totals.would_reject, totals.rejected) == (1, 3, 0)
    assert (totals.failures, totals.successes) == (5, 1)
    kinds = [type(event) for event in heard]
    assert kinds.count(WouldTrip) == 1
    assert kinds.count(WouldReject) == 3


def test_metrics_only_would_trip_again_after_its_wait(make, clock, fail):
    payments = make(trip=2)
    payments.observe()

    fail(payments, 2)
    clock.advance(10)
    fail(payments, 2)

    assert payments.snapshot().totals.would_trip == 2


def test_decorated_function_notices_when_it_would_be_rejected(make, clock, fail):
    payments = make(trip=1)
    guarded = payments(lambda: "answer")
    payments.observe()

    fail(payments)
    results = [guarded(), guarded()]
    clock.advance(10)
    results.append(guarded())

    assert results == ["answer"] * 3
    assert payments.snapshot().totals.would_reject == 2
    assert payments.snapshot().totals.successes == 3


def test_trip_by_hand_opens_as_a_rule_would(make, service, clock):
    payments = make()

    payments.trip()

    assert payments.state is State.OPEN
    assert payments.snapshot().retry_after == 10
    clock.advance(10)
    payments.call(service.answer)
    assert payments.state is State.CLOSED


def test_trip_by_hand_of_an_open_circuit_changes_nothing(make, clock):
    payments = make()
    payments.trip()
    clock.advance(4)
    before = payments.snapshot()

    payments.trip()

    assert payments.snapshot() == before


@pytest.mark.parametrize(
    "held", [State.FORCED_OPEN, State.DISABLED, State.METRICS_ONLY]
)
def test_trip_by_hand_of_a_held_circuit_is_an_error_and_changes_nothing(make, held):
    payments = make()
    force(payments, held)
    before = payments.snapshot()

    with pytest.raises(ValueError, match="reset it first"):
        payments.trip()

    assert payments.snapshot() == before


@pytest.mark.parametrize("state", State)
def test_reset_works_from_every_state(make, service, fail, state):
    payments = make(trip=3)
    fail(payments, 2)
    force(payments, state)
    epoch = payments.snapshot().epoch

    payments.reset()

    after = payments.snapshot()
    assert (after.state, after.epoch, after.streak) == (State.CLOSED, epoch + 1, 0)
    assert payments.call(service.answer) == "answer"


# -- events --------------------------------------------------------------------------


def test_events_of_a_whole_story_come_in_order(make, service, clock, fail):
    heard = []
    payments = make(trip=2, probe_lease=30, listeners=[heard.append])

    fail(payments, 2)
    with pytest.raises(CircuitOpenError):
        payments.call(service.answer)
    clock.advance(10)
    fail(payments)
    clock.advance(10)
    payments.call(service.answer)

    told = [
        (type(event), event.after) if isinstance(event, Transition) else type(event)
        for event in heard
    ]
    assert told == [
        Failed,
        Failed,
        (Transition, State.OPEN),
        Rejected,
        (Transition, State.HALF_OPEN),
        ProbeStarted,
        ProbeEnded,
        Failed,
        (Transition, State.OPEN),
        (Transition, State.HALF_OPEN),
        ProbeStarted,
        ProbeEnded,
        (Transition, State.CLOSED),
    ]
    epochs = [event.epoch for event in heard if isinstance(event, Transition)]
    assert epochs == list(range(epochs[0], epochs[0] + 5))


def test_transition_tells_reason_wait_failure_and_evidence(make, clock, fail):
    heard = []
    trip = FailureRate(0.5, window=CountWindow(10), minimum_calls=2)
    payments = make(trip=trip, listeners=[heard.append])
    clock.advance(3)

    fail(payments, 2)

    event = heard[-1]
    assert isinstance(event, Transition)
    assert (event.before, event.after) == (State.CLOSED, State.OPEN)
    assert event.name == "payments"
    assert event.at == 3
    assert event.retry_after == 10
    assert event.failure.type == "OSError"
    assert "2 of 2 calls failed" in event.reason
    assert event.evidence.counts[trip.window].failures == 2


def test_lost_probe_is_told_when_its_place_is_given_away(make, clock):
    heard = []
    payments = make(probe_lease=30, listeners=[heard.append])
    force(payments, State.HALF_OPEN)
    payments.acquire()
    clock.advance(30)
    heard.clear()

    payments.acquire()

    assert [type(event) for event in heard] == [ProbeLost, ProbeStarted]
    assert heard[0].lost == 1
    assert payments.snapshot().lost == 1


def test_events_are_told_after_the_outcome_is_settled_and_without_a_lock(make, threads):
    seen = []

    def listener(event):
        if isinstance(event, Transition):
            # Another thread could not get through if a lock were held.
            seen.append(threads.start(payments.snapshot).join().result.state)

    payments = make(trip=1, listeners=[listener])

    payments.acquire().failure()

    assert seen == [State.OPEN]


def test_listener_may_command_the_breaker(make, fail):
    def listener(event):
        if isinstance(event, Transition) and event.after is State.OPEN:
            payments.force_open()

    payments = make(trip=1, listeners=[listener])

    fail(payments)

    assert payments.state is State.FORCED_OPEN


# -- words from elsewhere ------------------------------------------------------------


class Link:
    """What `share=` takes: it keeps the functions that take its words."""

    origin = Origin.HOST

    def __init__(self):
        self.say = {}
        self.heard = []

    def attach(self, name, adopt):
        self.say[name] = adopt
        return self.heard.append


@pytest.fixture
def link():
    return Link()


@pytest.fixture
def shared(make, link):
    return make(share=link, trip=1)


def word(state, epoch, remaining=0.0, reason=""):
    return Word(state=state, epoch=epoch, remaining=remaining, reason=reason)


def test_word_opens_the_circuit_for_its_time(shared, link, clock, service):
    link.say["payments"](word(State.OPEN, 1, 7.0, "2 of 3 workers tripped"))

    assert shared.state is State.OPEN
    assert shared.snapshot().retry_after == 7
    assert "2 of 3 workers tripped" in shared.explain()
    clock.advance(7)
    shared.call(service.answer)
    assert shared.state is State.CLOSED


def test_word_opens_for_decorated_functions_and_blocks_at_their_next_call(shared, link):
    guarded = shared(lambda: "answer")
    guarded()
    with shared:
        pass

    link.say["payments"](word(State.OPEN, 1, 7.0))

    with pytest.raises(CircuitOpenError):
        guarded()
    with pytest.raises(CircuitOpenError), shared:
        pass


def test_foreign_closed_ends_what_came_from_there(shared, link):
    link.say["payments"](word(State.OPEN, 1, 7.0))

    link.say["payments"](word(State.CLOSED, 2))

    assert shared.state is State.CLOSED


def test_foreign_closed_does_not_end_our_own_opening(shared, link, fail):
    fail(shared)

    link.say["payments"](word(State.CLOSED, 1))

    assert shared.state is State.OPEN


@pytest.mark.parametrize("epoch", [1, 2])
def test_old_word_is_ignored(shared, link, epoch):
    link.say["payments"](word(State.OPEN, 2, 7.0))
    shared.reset()

    link.say["payments"](word(State.OPEN, epoch, 9.0))

    assert shared.state is State.CLOSED


@pytest.mark.parametrize("state", [State.FORCED_OPEN, State.DISABLED])
def test_operators_word_is_adopted_and_released_by_its_link(shared, link, state):
    link.say["payments"](word(state, 1))
    assert shared.state is state

    link.say["payments"](word(State.CLOSED, 2))

    assert shared.state is State.CLOSED


def test_longest_adopted_wait_has_a_ceiling(shared, link):
    link.say["payments"](word(State.OPEN, 1, 1e9))

    assert shared.snapshot().retry_after <= 300


def test_link_hears_our_transitions(shared, link, fail):
    fail(shared)

    transitions = [event for event in link.heard if isinstance(event, Transition)]
    assert [event.after for event in transitions] == [State.OPEN]


def test_word_is_taken_in_on_any_thread(shared, link, threads):
    threads.start(link.say["payments"], word(State.OPEN, 1, 7.0)).join()

    assert shared.state is State.OPEN


def test_two_policies_cannot_share_under_one_name(make, link):
    first = make(share=link, trip=1)

    with pytest.raises(ValueError, match="'payments' is shared already with another"):
        make(share=Link(), trip=2)
    make(share=Link(), trip=1)
    make("bank", share=Link(), trip=2)
    assert first.state is State.CLOSED


def test_link_keeps_no_breaker_alive(make, link):
    payments = make(share=link)
    gone = weakref.ref(payments)

    del payments
    gc.collect()

    assert gone() is None
    link.say["payments"](word(State.OPEN, 1, 7.0))  # nobody there to hear it


def test_link_may_have_no_listener(make):
    class Silent(Link):
        def attach(self, name, adopt):
            super().attach(name, adopt)

    silent = Silent()
    payments = make(share=silent)

    silent.say["payments"](word(State.OPEN, 1, 7.0))

    assert payments.state is State.OPEN


# -- clocks --------------------------------------------------------------------------


class Hand:
    """A clock with hands that the test sets, backwards too."""

    def __init__(self, now=1000.0):
        self.now = now
        self.broken = False

    def __call__(self):
        if self.broken:
            raise ZeroDivisionError
        return self.now


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def wound(hand):
    """Make a breaker on the clock with hands."""

    def make_breaker(**options):
        wait = {"recovery": Wait(10, jitter=0)}
        return CircuitBreaker(
            "payments", clock=hand, registry="none", **{**wait, **options}
        )

    return make_breaker


def test_clock_that_goes_back_stands_still(wound, hand, fail):
    payments = wound(trip=1)
    fail(payments)

    hand.now = 500.0
    assert payments.snapshot().retry_after == 10
    hand.now = 1004.0

    assert payments.snapshot().retry_after == 6


def test_clock_that_becomes_no_number_stands_still(wound, hand, fail, service):
    payments = wound(trip=1)
    fail(payments)

    hand.now = float("nan")
    with pytest.raises(CircuitOpenError) as rejection:
        payments.call(service.answer)
    assert rejection.value.retry_after == 10
    hand.now = 1010.0

    assert payments.call(service.answer) == "answer"


TIMED = {
    "time window": FailureRate(0.5, window=TimeWindow(60), minimum_calls=2),
    "slow calls": SlowCallRate(0.5, slower_than=2, window=CountWindow(4)),
    "both": FailureRate(0.5, window=TimeWindow(60), minimum_calls=2)
    | SlowCallRate(0.5, slower_than=2, window=TimeWindow(60)),
}


@pytest.mark.parametrize("trip", TIMED.values(), ids=TIMED)
@pytest.mark.parametrize("now", [0.0, -1e9, float("nan")])
def test_calls_go_on_counting_under_a_broken_clock(wound, hand, service, trip, now):
    payments = wound(trip=trip)
    guarded = payments(service.answer)
    guarded()

    hand.now = now
    guarded()
    with payments:
        pass
    payments.call(service.answer)

    assert outcomes(payments) == (4, 0, 0)
    assert payments.state is State.CLOSED


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_clock_that_goes_back_makes_nothing_slow(wound, hand, error):
    payments = wound(trip=ConsecutiveFailures(3, slower_than=2))

    @payments
    def instant():
        raise error

    hand.now = 0.0
    with pytest.raises(error):
        instant()

    assert payments.snapshot().totals.slow == 0


def test_slow_call_after_a_clock_went_back_waits_from_the_latest_reading(wound, hand):
    payments = wound(trip=ConsecutiveFailures(1, slower_than=2))

    @payments
    def slow():
        hand.now += 5

    hand.now = 0.0
    slow()

    assert payments.state is State.OPEN
    assert payments.snapshot().retry_after == 10


@pytest.mark.recloser_allow_callback_errors
@pytest.mark.parametrize("trip", [*TIMED.values(), 3], ids=[*TIMED, "streak"])
def test_clock_that_raises_hides_no_error_of_the_callers(wound, hand, service, trip):
    payments = wound(trip=trip)
    hand.broken = True

    with pytest.raises(OSError, match="down"):
        payments.call(service.fail)

    assert payments.snapshot().totals.failures == 1
    assert payments.snapshot().callback_errors > 0


@pytest.mark.recloser_allow_callback_errors
def test_clock_that_raises_holds_no_place(wound, hand, service):
    payments = wound()
    force(payments, State.HALF_OPEN)
    hand.broken = True

    assert payments.call(service.answer) == "answer"

    assert payments.state is State.CLOSED


def test_two_breakers_have_two_clocks(make, fail):
    one, two = FakeClock(), FakeClock()
    first, second = make(clock=one, trip=1), make(clock=two, trip=1)
    fail(first)
    fail(second)

    one.advance(10)

    assert first.snapshot().retry_after == 0
    assert second.snapshot().retry_after == 10


# -- threads -------------------------------------------------------------------------


def test_calls_of_many_threads_are_all_counted(make, service, threads):
    payments = make(trip=10_000)
    guarded = payments(service.answer)

    def work():
        for turn in range(200):
            guarded()
            with payments:
                pass
            if turn % 10 == 0:
                with suppress(OSError):
                    payments.call(service.fail)

    for thread in [threads.start(work) for _ in range(4)]:
        assert thread.join().error is None

    assert outcomes(payments) == (1600, 80, 0)


def test_epochs_of_transitions_under_threads_are_contiguous(make, threads, clock):
    heard = []
    payments = make(trip=1, listeners=[heard.append], recovery=Wait(1e-6, jitter=0))

    def work():
        for turn in range(50):
            clock.advance(1)
            if (permit := payments.try_acquire()) is not None:
                permit.failure() if turn % 2 else permit.success()

    for thread in [threads.start(work) for _ in range(4)]:
        assert thread.join().error is None

    epochs = sorted(e.epoch for e in heard if isinstance(e, Transition))
    assert epochs == list(range(2, payments.snapshot().epoch + 1))


def test_call_that_would_be_rejected_is_told_with_its_reason(make, clock, fail):
    heard: list[WouldReject] = []
    listener = type(
        "Listener", (), {"on_would_reject": lambda _, event: heard.append(event)}
    )
    payments = make(trip=2, listeners=[listener()])
    payments.observe()
    fail(payments, times=2)
    clock.advance(1)

    payments.call(bool)

    expected = WouldReject(
        name="payments",
        epoch=payments.snapshot().epoch,
        at=clock(),
        reason="2 failures in a row",
    )
    assert heard == [expected]
