"""Listeners: who is told what, when, and what happens if they raise."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from types import SimpleNamespace

import pytest

from recloser import (
    CallbackFailed,
    CallEnded,
    CircuitOpenError,
    CountWindow,
    Event,
    Failed,
    Kind,
    Rejected,
    SlowCallRate,
    State,
    Transition,
)
from recloser._runtime import publishing
from recloser._runtime.publishing import Publisher
from recloser.listeners.logging import LoggingListener
from recloser.testing import force

may_raise = pytest.mark.recloser_allow_callback_errors


class Diary:
    """A listener with a method for everything."""

    def __init__(self):
        self.heard = []

    def __getattr__(self, name):
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda event: self.heard.append((name, type(event).__name__))


class Ears:
    """A listener with one method."""

    def __init__(self):
        self.heard = []

    def on_transition(self, event):
        self.heard.append(event)


# -- who is told what ----------------------------------------------------------------


def test_callable_hears_everything_but_single_calls(make, service, fail):
    heard = []
    payments = make(trip=1, listeners=[heard.append])

    payments.call(service.answer)
    assert heard == []
    fail(payments)
    with pytest.raises(CircuitOpenError):
        payments.call(service.answer)

    assert [type(event) for event in heard] == [Failed, Transition, Rejected]


def test_object_hears_what_it_has_methods_for(make, fail):
    ears = Ears()
    payments = make(trip=1, listeners=[ears])

    fail(payments)

    [event] = ears.heard
    assert isinstance(event, Transition)


def test_rejections_are_heard_beside_a_listener_to_something_else(make):
    ears, diary = Ears(), Diary()
    payments = make(listeners=[ears])
    guarded = payments(lambda: "answer")
    payments.trip()
    with pytest.raises(CircuitOpenError):
        guarded()

    payments.add_listener(diary)
    with pytest.raises(CircuitOpenError):
        guarded()

    assert payments.snapshot().rejected == 2
    assert [type(event) for event in ears.heard] == [Transition]
    assert diary.heard[1:] == [("on_rejected", "Rejected")]


def test_each_kind_of_event_has_its_method(make, clock, service, fail):
    diary = Diary()
    payments = make(trip=1, probe_lease=30, listeners=[diary])
    late = payments.acquire()

    fail(payments)
    late.failure()
    with pytest.raises(CircuitOpenError):
        payments.call(service.answer)
    clock.advance(10)
    payments.acquire()
    clock.advance(30)
    payments.call(service.answer)
    payments.observe()
    fail(payments, 2)

    assert sorted(set(diary.heard)) == [
        ("on_attached", "CircuitBreaker"),
        ("on_call", "CallEnded"),
        ("on_failed", "Failed"),
        ("on_late_result", "LateResult"),
        ("on_probe_ended", "ProbeEnded"),
        ("on_probe_lost", "ProbeLost"),
        ("on_probe_started", "ProbeStarted"),
        ("on_rejected", "Rejected"),
        ("on_transition", "Transition"),
        ("on_would_reject", "WouldReject"),
        ("on_would_trip", "WouldTrip"),
    ]


def test_object_with_methods_is_not_called_itself(make, fail):
    class Both(Ears):
        def __call__(self, event):
            pytest.fail("the object was called")

    both = Both()
    payments = make(trip=1, listeners=[both])

    fail(payments)

    assert len(both.heard) == 1


def test_listeners_are_told_in_their_order(make, fail):
    order = []
    payments = make(
        trip=1,
        listeners=[lambda event: order.append(1), lambda event: order.append(2)],
    )

    fail(payments)

    assert order == [1, 2, 1, 2]


def test_one_listener_may_serve_many_breakers(make, fail):
    ears = Ears()
    one, two = make("one", trip=1, listeners=[ears]), make("two", listeners=[ears])

    fail(one)
    two.trip()

    assert [event.name for event in ears.heard] == ["one", "two"]


def test_events_are_frozen_values(make):
    ears = Ears()
    payments = make(listeners=[ears])

    payments.trip()

    [event] = ears.heard
    assert isinstance(event, Event)
    assert event == event.replace()
    assert hash(event) is not None
    with pytest.raises(AttributeError):
        event.name = "other"


def test_failure_is_told_with_what_is_remembered_of_it(make, fail, clock):
    heard = []
    payments = make(listeners=[heard.append])
    clock.advance(3)

    fail(payments)

    [event] = heard
    assert (event.at, event.failure.type, event.failure.message) == (
        3,
        "OSError",
        "down",
    )


def test_listener_is_told_on_the_thread_of_the_call(make, threads):
    seen = []
    payments = make(listeners=[lambda event: seen.append(threading.get_ident())])

    def trip():
        payments.trip()
        return threading.get_ident()

    caller = threads.start(trip).join()

    assert seen == [caller.result]


def test_listener_finds_the_outcome_settled_and_the_caller_gets_its_own(make, service):
    seen = []

    def listener(event):
        seen.append((type(event), payments.state, payments.snapshot().totals.failures))

    payments = make(trip=1, listeners=[listener])

    with pytest.raises(OSError, match="down"):
        payments.call(service.fail)

    assert seen == [(Failed, State.OPEN, 1), (Transition, State.OPEN, 1)]


# -- on_call -------------------------------------------------------------------------


class Calls:
    def __init__(self):
        self.heard = []

    def on_call(self, event):
        self.heard.append(event)

    @property
    def kinds(self):
        return [event.kind for event in self.heard]


def test_every_call_is_told_to_who_asks_for_it(make, service, fail):
    calls = Calls()
    payments = make(listeners=[calls], ignore=(KeyError,))
    guarded = payments(service.answer)

    guarded()
    payments.call(service.answer)
    with payments:
        pass
    payments.acquire().success()
    fail(payments)
    with pytest.raises(KeyError):
        payments.call(service.fail, KeyError())

    assert calls.kinds == [Kind.SUCCESS] * 4 + [Kind.FAILURE, Kind.NEUTRAL]
    assert payments.snapshot().totals.successes == 4


def test_every_call_is_told_in_coroutines_and_streams(make, service, loop):
    calls = Calls()
    payments = make(listeners=[calls])

    async def main():
        await payments(service.aanswer)()
        async with payments:
            pass
        return [item async for item in payments(service.apages)()]

    loop.run(main)
    list(payments(service.pages)())

    assert calls.kinds == [Kind.SUCCESS] * 4


def test_calls_are_told_in_the_period_that_follows(make, service, clock):
    calls = Calls()
    payments = make(listeners=[calls])
    guarded = payments(service.answer)
    payments.trip()
    clock.advance(10)

    guarded()  # the probe
    guarded()

    assert calls.kinds == [Kind.SUCCESS] * 2
    assert calls.heard[1].epoch == payments.snapshot().epoch


def test_calls_are_told_from_the_moment_somebody_asks_until_nobody_does(make, service):
    calls = Calls()
    payments = make()
    guarded = payments(service.answer)
    guarded()

    payments.add_listener(calls)
    guarded()
    guarded()
    payments.remove_listener(calls)
    guarded()

    assert calls.kinds == [Kind.SUCCESS] * 2
    assert payments.snapshot().totals.successes == 4


def test_slow_call_is_told_as_slow(make, clock):
    calls = Calls()
    payments = make(
        trip=SlowCallRate(0.9, slower_than=2, window=CountWindow(50)),
        listeners=[calls],
    )

    payments.call(clock.advance, 1)
    payments.call(clock.advance, 2)

    assert [(event.kind, event.slow) for event in calls.heard] == [
        (Kind.SUCCESS, False),
        (Kind.SUCCESS, True),
    ]


def test_told_calls_carry_the_time_of_their_end(make, clock):
    calls = Calls()
    payments = make(listeners=[calls])

    payments.call(clock.advance, 7)

    [event] = calls.heard
    assert isinstance(event, CallEnded)
    assert (event.name, event.at) == ("payments", 7)


# -- adding and removing -------------------------------------------------------------


def test_listener_hears_from_when_it_is_added_until_it_is_removed(make):
    ears = Ears()
    payments = make()

    payments.trip()
    payments.add_listener(ears)
    payments.reset()
    payments.remove_listener(ears)
    payments.trip()

    assert [event.after for event in ears.heard] == [State.CLOSED]


def test_bound_method_can_be_removed(make):
    ears = Ears()
    payments = make()

    payments.add_listener(ears.on_transition)
    payments.remove_listener(ears.on_transition)
    payments.trip()

    assert ears.heard == []


def test_unknown_listener_can_be_removed(make):
    payments = make()

    payments.remove_listener(print)

    payments.trip()


def test_bad_listener_is_refused_and_the_others_stay(make):
    ears = Ears()
    payments = make(listeners=[ears])

    with pytest.raises(TypeError, match=r"must be callable or have an on_.* got 3"):
        payments.add_listener(3)
    payments.trip()

    assert len(ears.heard) == 1


def test_listener_may_remove_itself_while_it_is_told(make):
    heard = []

    def once(event):
        heard.append(event)
        payments.remove_listener(once)

    payments = make(listeners=[once])

    payments.trip()
    payments.reset()

    assert len(heard) == 1


def test_listener_added_while_others_are_told_hears_the_next_event(make):
    late = Ears()

    def introduce(event):
        if late not in added:
            added.append(late)
            payments.add_listener(late)

    added = []
    payments = make(listeners=[introduce])

    payments.trip()
    payments.reset()

    assert [event.after for event in late.heard] == [State.CLOSED]


class Contended:
    """A lock that somebody else had just before: once it lets another act first."""

    def __init__(self, act):
        self.act = act

    def __enter__(self):
        act, self.act = self.act, None
        if act:
            act()

    def __exit__(self, *error):
        pass


def test_farewells_that_others_change_meanwhile_are_all_kept(monkeypatch):
    publisher = Publisher("payments")
    first, second = [("listener", print) for _ in range(2)]

    lock = Contended(lambda: publisher.keep(first))
    monkeypatch.setattr(publishing, "_swaps", SimpleNamespace(lock=lock))
    publisher.keep(second)

    assert publisher.farewells == (first, second)


def test_farewell_that_another_drops_meanwhile_is_said_by_one_of_them(monkeypatch):
    publisher = Publisher("payments")
    first, second = [("listener", print) for _ in range(2)]
    publisher.keep(first)
    publisher.keep(second)
    others = []

    lock = Contended(lambda: others.extend(publisher.drop([first])))
    monkeypatch.setattr(publishing, "_swaps", SimpleNamespace(lock=lock))
    ours = publisher.drop([first, second])

    assert (others, list(ours)) == ([first], [second])
    assert others[0] is first
    assert publisher.farewells == ()


@pytest.mark.parametrize("kept", [True, False])
def test_call_is_told_by_its_tap_as_long_as_there_is_a_breaker(make, kept):
    seen = []

    class Calls:
        def on_call(self, event):
            seen.append(event.kind)

    payments = make(listeners=[Calls()])
    tap = payments._circuit.current[1].ok
    if not kept:
        del payments
        gc.collect()

    for _ in tap:  # as wrappers step it where that is cheaper, from 3.14 on
        break

    assert seen == [Kind.SUCCESS] * kept


def test_listeners_may_come_and_go_while_calls_fail(make, threads, fail):
    payments = make(trip=100_000)
    constant = []
    payments.add_listener(constant.append)

    def come_and_go():
        for _ in range(100):
            ears = Ears()
            payments.add_listener(ears)
            payments.remove_listener(ears)

    workers = [threads.start(come_and_go) for _ in range(3)]
    fail(payments, 200)

    assert [worker.join().error for worker in workers] == [None] * 3
    assert len(constant) == 200


# -- coroutine functions -------------------------------------------------------------


async def atell(event):
    pass


class AsyncEars:
    async def on_transition(self, event):
        pass


class AsyncCallable:
    async def __call__(self, event):
        pass


def tell_one_by_one(event):
    yield


@pytest.mark.parametrize(
    "listener", [atell, AsyncEars(), AsyncCallable(), tell_one_by_one]
)
@pytest.mark.parametrize("when", ["made", "added"])
def test_async_listener_is_refused_with_the_line_that_hands_over(make, listener, when):
    with pytest.raises(TypeError, match="cannot be a coroutine function") as refusal:
        if when == "made":
            make(listeners=[listener])
        else:
            make().add_listener(listener)

    line = "`lambda event: loop.call_soon_threadsafe(queue.put_nowait, event)`"
    assert line in str(refusal.value)


@pytest.mark.parametrize("kind", [AsyncEars, LoggingListener, dict])
def test_class_in_place_of_a_listener_is_refused(make, kind):
    with pytest.raises(TypeError) as refusal:
        make(listeners=[kind])

    assert str(refusal.value) == f"a listener must be an object, got the class {kind!r}"


def test_line_that_hands_over_works(make, threads):
    async def main():
        loop, queue = asyncio.get_running_loop(), asyncio.Queue()
        payments = make(
            listeners=[lambda event: loop.call_soon_threadsafe(queue.put_nowait, event)]
        )
        threads.start(payments.trip).join()
        return await queue.get()

    event = asyncio.run(main())

    assert event.after is State.OPEN


# -- listeners that raise ------------------------------------------------------------


def broken(event):
    raise ZeroDivisionError


@may_raise
def test_listener_that_raises_changes_nothing_for_the_caller(make, service):
    payments = make(trip=1, listeners=[broken])

    with pytest.raises(OSError, match="down"):
        payments.call(service.fail)

    assert payments.state is State.OPEN
    with pytest.raises(CircuitOpenError):
        payments.call(service.answer)


@may_raise
def test_other_listeners_still_hear(make, fail):
    ears = Ears()
    payments = make(trip=1, listeners=[broken, ears])

    fail(payments)

    assert [event.after for event in ears.heard] == [State.OPEN]


@may_raise
def test_error_of_a_listener_is_logged_counted_and_told(make, caplog, clock):
    heard = []
    clock.advance(7)

    def only_transitions(event):
        if isinstance(event, Transition):
            raise ZeroDivisionError

    payments = make(listeners=[only_transitions, heard.append])

    payments.trip()

    assert payments.snapshot().callback_errors == 1
    [record] = caplog.records
    assert (record.name, record.levelno) == ("recloser", logging.ERROR)
    assert record.exc_info[0] is ZeroDivisionError
    told = [event for event in heard if isinstance(event, CallbackFailed)]
    assert [event.callback for event in told] == ["listeners"]
    assert told[0].failure.type == "ZeroDivisionError"
    assert (told[0].at, told[0].epoch) == (7, payments.snapshot().epoch)


@may_raise
def test_listener_that_raises_at_everything_does_not_go_on_for_ever(make):
    payments = make(listeners=[broken, broken])

    payments.trip()

    # Each of the two at the transition, and each of them told of each of those two.
    assert payments.snapshot().callback_errors == 6


@may_raise
def test_listener_that_raises_at_every_call_hides_no_result(make, service):
    class Broken:
        def on_call(self, event):
            raise ZeroDivisionError

    payments = make(listeners=[Broken()])
    guarded = payments(service.answer)

    assert guarded() == "answer"
    with payments:
        pass
    assert payments.snapshot().totals.successes == 2
    assert payments.snapshot().callback_errors == 2


@may_raise
@pytest.mark.parametrize("kind", ["on_probe_started", "on_probe_ended"])
def test_listener_that_raises_at_a_probe_holds_no_place(make, service, kind):
    listener = type("Broken", (), {kind: lambda self, event: 1 / 0})()
    payments = make(listeners=[listener])
    force(payments, State.HALF_OPEN)

    assert payments.call(service.answer) == "answer"
    assert payments.state is State.CLOSED


def test_interrupt_in_a_listener_comes_out_and_holds_no_place(make, service):
    class Interrupting:
        def on_probe_started(self, event):
            raise KeyboardInterrupt

    payments = make(listeners=[Interrupting()])
    force(payments, State.HALF_OPEN)

    with pytest.raises(KeyboardInterrupt):
        payments.call(service.answer)

    assert payments.snapshot().probes == 0
    assert service.calls == 0


@may_raise
def test_error_of_a_predicate_is_told_with_time_and_epoch_of_the_breaker(
    make, service, clock
):
    heard = []
    payments = make(failure_result=lambda result: 1 / 0, listeners=[heard.append])
    clock.advance(7)

    payments.call(service.answer)

    [event] = heard
    assert isinstance(event, CallbackFailed)
    assert (event.at, event.failure.at) == (7, 7)
    assert event.epoch == payments.snapshot().epoch


@pytest.mark.parametrize("listeners", [print, None, 5, "log"])
def test_listeners_that_are_no_iterable_are_refused(make, listeners):
    with pytest.raises(TypeError) as refusal:
        make(listeners=listeners)

    told = f"listeners must be an iterable of listeners, got {listeners!r}"
    assert str(refusal.value) == told
