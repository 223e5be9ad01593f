"""What an ending says: success, failure or nothing."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from datetime import timedelta

import pytest
import trio

from recloser import (
    CallbackFailed,
    CircuitOpenError,
    PermitError,
    RecloserError,
    SharingError,
    State,
    Wait,
)
from recloser.testing import force

may_raise = pytest.mark.recloser_allow_callback_errors


def cancelled_by_trio() -> BaseException:
    """Return the exception that trio raises in what it cancels."""
    caught = []

    async def main():
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                caught.append(error)
                raise

    trio.run(main)
    return caught[0]


class Timeout(BaseException):
    """As gevent's: a timeout that is no Exception."""


def judge(breaker, error):
    """Return what a call that raised this error counted as."""
    before = breaker.snapshot().totals

    def raises():
        raise error

    with pytest.raises(type(error)) as raised:
        breaker.call(raises)
    assert raised.value is error
    after = breaker.snapshot().totals
    kinds = ("successes", "failures", "neutral")
    counted = [kind for kind in kinds if getattr(after, kind) > getattr(before, kind)]
    assert len(counted) == 1
    return counted[0]


@pytest.fixture
def payments(make):
    return make(trip=1000)


# -- by default ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [OSError(), ValueError(), TimeoutError(), RuntimeError(), trio.TooSlowError()],
    ids=repr,
)
def test_every_ordinary_exception_is_a_failure(payments, error):
    assert judge(payments, error) == "failures"


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), Timeout()], ids=repr
)
def test_what_is_no_exception_says_nothing(payments, error):
    assert judge(payments, error) == "neutral"
    assert payments.snapshot().cancelled == 0


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        cancelled_by_trio(),
    ],
    ids=lambda error: type(error).__module__,
)
def test_cancellation_says_nothing_and_is_counted_as_such(payments, error):
    assert judge(payments, error) == "neutral"
    assert payments.snapshot().cancelled == 1


def test_exception_that_is_merely_called_cancelled_is_a_failure(payments):
    class CancelledError(Exception):
        pass

    assert judge(payments, CancelledError()) == "failures"


@pytest.mark.parametrize(
    "error",
    [
        CircuitOpenError("bank", State.OPEN, 3.0, "down"),
        PermitError("settled twice"),
        SharingError("the store is gone"),
        RecloserError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_our_own_errors_say_nothing(payments, error):
    assert judge(payments, error) == "neutral"


def test_our_own_errors_cannot_be_listed_as_failures(make):
    payments = make(failures=(CircuitOpenError,))

    assert judge(payments, CircuitOpenError("bank")) == "neutral"


def test_end_of_an_iteration_is_an_answer(payments):
    class Pages:
        @payments
        def __iter__(self):
            return self

        @payments
        def __next__(self):
            raise StopIteration

    assert list(Pages()) == []
    assert payments.snapshot().totals.successes == 2


def test_end_of_an_async_iteration_is_an_answer(payments, loop):
    class Pages:
        def __aiter__(self):
            return self

        @payments
        async def __anext__(self):
            raise StopAsyncIteration

    async def main():
        return [page async for page in Pages()]

    assert loop.run(main) == []
    assert payments.snapshot().totals.successes == 1


# -- the order -----------------------------------------------------------------------


def test_ignored_error_says_nothing(make):
    payments = make(ignore=(KeyError,))

    assert judge(payments, KeyError()) == "neutral"
    assert judge(payments, IndexError()) == "failures"


def test_listed_success_is_an_answer(make):
    payments = make(successes=(LookupError,))

    assert judge(payments, KeyError()) == "successes"
    assert judge(payments, OSError()) == "failures"


def test_only_listed_failures_fail_and_the_rest_are_answers(make):
    payments = make(trip=9, failures=(OSError,))

    assert judge(payments, ConnectionError()) == "failures"
    assert judge(payments, ValueError()) == "successes"


def test_ignore_comes_first_then_successes_then_failures(make):
    payments = make(
        trip=9,
        ignore=(KeyError,),
        successes=(LookupError,),
        failures=(KeyError, LookupError, OSError),
    )

    assert judge(payments, KeyError()) == "neutral"
    assert judge(payments, IndexError()) == "successes"
    assert judge(payments, OSError()) == "failures"
    assert judge(payments, ValueError()) == "successes"


def test_later_lists_are_not_asked_when_an_earlier_one_spoke(make):
    asked = []

    def ask(name, answer):
        return lambda error: asked.append(name) or answer

    payments = make(
        ignore=ask("ignore", False),  # noqa: FBT003 - what it says
        successes=ask("successes", True),  # noqa: FBT003 - what it says
        failures=ask("failures", True),  # noqa: FBT003 - what it says
    )

    assert judge(payments, OSError()) == "successes"
    assert asked == ["ignore", "successes"]


@pytest.mark.parametrize("option", ["ignore", "successes", "failures"])
@pytest.mark.parametrize(
    "tests",
    [
        pytest.param(KeyError, id="a type"),
        pytest.param((KeyError,), id="a tuple"),
        pytest.param([KeyError], id="a list"),
        pytest.param({KeyError}, id="a set"),
        pytest.param(lambda error: isinstance(error, KeyError), id="a predicate"),
        pytest.param(
            [OverflowError, lambda error: isinstance(error, KeyError)], id="both"
        ),
    ],
)
def test_lists_take_types_predicates_and_both(make, option, tests):
    kind = {"ignore": "neutral", "successes": "successes", "failures": "failures"}

    payments = make(trip=9, **{option: tests})

    assert judge(payments, KeyError()) == kind[option]


def test_generator_of_types_is_read_once_at_construction(make):
    payments = make(ignore=(kind for kind in [KeyError, IndexError]))

    assert judge(payments, IndexError()) == "neutral"
    assert judge(payments, KeyError()) == "neutral"


def test_listed_type_wins_over_being_no_exception(make):
    payments = make(trip=9, failures=(Timeout, Exception))

    assert judge(payments, Timeout()) == "failures"
    assert judge(payments, OSError()) == "failures"
    assert judge(payments, KeyboardInterrupt()) == "neutral"


def test_list_of_failures_makes_no_answer_of_an_interrupt(make):
    payments = make(failures=(OSError,))

    assert judge(payments, Timeout()) == "neutral"
    assert judge(payments, SystemExit()) == "neutral"


@pytest.mark.parametrize(
    "kind",
    [
        KeyboardInterrupt,
        SystemExit,
        GeneratorExit,
        asyncio.CancelledError,
        concurrent.futures.CancelledError,
        trio.Cancelled,
    ],
)
def test_what_says_nothing_cannot_be_listed_as_a_failure(make, kind):
    with pytest.raises(ValueError, match=f"failures cannot hold {kind.__name__}"):
        make(failures=(OSError, kind))


def test_predicates_are_not_asked_about_interrupts(make):
    asked = []
    payments = make(failures=lambda error: asked.append(error) or True)

    judge(payments, KeyboardInterrupt())
    judge(payments, asyncio.CancelledError())

    assert asked == []


# -- groups --------------------------------------------------------------------------


def group(*errors):
    return BaseExceptionGroup("several", errors)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (group(OSError()), "failures"),
        (group(KeyError(), OSError()), "failures"),
        (group(KeyError(), group(ValueError(), OSError())), "failures"),
        (group(ValueError(), KeyError()), "successes"),
        (group(KeyError(), KeyError()), "neutral"),
        (group(KeyError(), group(KeyError())), "neutral"),
        (group(OSError(), KeyboardInterrupt()), "neutral"),
        (group(OSError(), group(asyncio.CancelledError())), "neutral"),
        (group(concurrent.futures.CancelledError(), OSError()), "failures"),
        (group(CircuitOpenError("bank")), "neutral"),
        (group(CircuitOpenError("bank"), OSError()), "failures"),
    ],
)
def test_group_is_judged_by_its_leaves(make, error, kind):
    payments = make(trip=9, ignore=(KeyError,), successes=(ValueError,))

    assert judge(payments, error) == kind


def test_predicates_see_the_leaves_of_a_group(make):
    seen = []
    payments = make(trip=9, ignore=lambda error: seen.append(error) or False)
    first, second = OSError(1), OSError(2)

    judge(payments, group(first, group(second)))

    assert set(map(id, seen)) == {id(first), id(second)}


def test_failure_in_a_task_group_is_a_failure(payments, service):
    @payments
    async def gather():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.afail())

    with pytest.raises(ExceptionGroup):
        asyncio.run(gather())

    assert payments.snapshot().totals.failures == 1


def test_failure_in_a_nursery_is_a_failure(payments, service):
    @payments
    async def gather():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.afail)

    with pytest.raises(ExceptionGroup):
        trio.run(gather)

    assert payments.snapshot().totals.failures == 1


# -- cancellation, for real ----------------------------------------------------------


def test_cancelled_task_says_nothing(payments, loop):
    running = []

    @payments
    async def hang():
        running.append(True)
        await loop.event().wait()

    async def main():
        async with loop.nursery() as start:
            task = start(hang)
            await loop.until(lambda: running)
            task.cancel()

    loop.run(main)

    totals = payments.snapshot().totals
    assert (totals.neutral, totals.cancelled, totals.calls) == (1, 1, 0)


def test_cancelled_probe_gives_its_place_back(make, loop):
    payments = make()
    force(payments, State.HALF_OPEN)
    running = []

    @payments
    async def hang():
        running.append(True)
        await loop.event().wait()

    async def main():
        async with loop.nursery() as start:
            task = start(hang)
            await loop.until(lambda: running)
            assert payments.snapshot().probes == 1
            task.cancel()

    loop.run(main)

    assert payments.snapshot().probes == 0
    assert payments.state is State.HALF_OPEN


def test_timeout_inside_the_guarded_function_is_a_failure(payments):
    @payments
    async def hang():
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(hang())

    assert payments.snapshot().totals.failures == 1


def test_timeout_outside_the_guarded_function_is_a_cancellation(payments):
    @payments
    async def hang():
        await asyncio.Event().wait()

    async def main():
        async with asyncio.timeout(0):
            await hang()

    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert payments.snapshot().cancelled == 1
    assert payments.snapshot().totals.failures == 0


def test_cancelled_future_of_a_pool_says_nothing(payments):
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.cancel()

    with pytest.raises(concurrent.futures.CancelledError):
        payments.call(future.result)

    assert payments.snapshot().cancelled == 1


# -- callbacks that raise ------------------------------------------------------------


def broken(*_):
    raise ZeroDivisionError


@may_raise
@pytest.mark.parametrize("option", ["ignore", "successes", "failures"])
def test_predicate_that_raises_makes_a_failure_and_hides_nothing(make, option, caplog):
    payments = make(trip=9, **{option: broken})

    assert judge(payments, OSError("the user's")) == "failures"
    assert payments.snapshot().callback_errors == 1
    [record] = caplog.records
    assert (record.name, record.levelno) == ("recloser", logging.ERROR)
    assert "'payments'" in record.getMessage()
    assert record.exc_info[0] is ZeroDivisionError


@may_raise
def test_result_predicate_that_raises_says_nothing_and_the_result_comes(make, caplog):
    payments = make(failure_result=broken)
    guarded = payments(lambda: "the user's")

    assert guarded() == "the user's"
    assert payments.call(lambda: "the user's") == "the user's"
    totals = payments.snapshot().totals
    assert (totals.calls, totals.neutral, totals.callback_errors) == (0, 2, 2)
    assert len(caplog.records) == 2


@may_raise
def test_result_predicate_that_raises_in_a_coroutine(make, loop):
    payments = make(failure_result=broken)

    @payments
    async def ask():
        return "the user's"

    assert loop.run(ask) == "the user's"
    assert payments.snapshot().totals.neutral == 1


@may_raise
@pytest.mark.parametrize(
    "option", ["ignore", "successes", "failures", "failure_result"]
)
def test_predicate_that_raises_in_a_probe_gives_the_place_back(make, service, option):
    payments = make(**{option: broken})
    force(payments, State.HALF_OPEN)

    if option == "failure_result":
        payments.call(service.answer)
        assert payments.state is State.HALF_OPEN
    else:
        with pytest.raises(OSError):
            payments.call(service.fail)
        assert payments.state is State.OPEN
    assert payments.snapshot().probes == 0


@may_raise
def test_predicate_that_raises_is_told_to_listeners(make, service):
    events = []
    payments = make(failure_result=broken, listeners=[events.append])

    payments.call(service.answer)

    [event] = events
    assert isinstance(event, CallbackFailed)
    assert (event.name, event.callback) == ("payments", "failure_result")
    assert event.failure.type == "ZeroDivisionError"


def interrupting(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("option", ["ignore", "successes", "failures"])
def test_interrupt_in_a_predicate_comes_out_after_the_place_went_back(
    make, service, option
):
    payments = make(**{option: interrupting})
    force(payments, State.HALF_OPEN)

    with pytest.raises(KeyboardInterrupt):
        payments.call(service.fail)

    assert payments.snapshot().probes == 0
    assert payments.state is State.HALF_OPEN


@pytest.mark.parametrize("way", ["call", "acall", "decorated", "guard"])
def test_interrupt_in_a_result_predicate_comes_out_after_the_place_went_back(
    make, service, loop, way
):
    payments = make(failure_result=interrupting)
    force(payments, State.HALF_OPEN)

    async def acall():
        await payments.acall(service.aanswer)

    ways = {
        "call": lambda: payments.call(service.answer),
        "acall": lambda: loop.run(acall),
        "decorated": payments(service.answer),
        "guard": lambda: payments(ignore=(KeyError,)).call(service.answer),
    }
    with pytest.raises(KeyboardInterrupt):
        ways[way]()

    assert payments.snapshot().probes == 0


def test_error_whose_text_cannot_be_made_is_still_a_failure(make):
    class Mute(Exception):
        def __str__(self):
            raise ZeroDivisionError

    payments = make(trip=1)

    assert judge(payments, Mute()) == "failures"
    assert payments.snapshot().last_failure.type == "Mute"


def test_long_message_is_cut(make):
    payments = make(trip=1)

    judge(payments, OSError("x" * 10_000))

    assert payments.snapshot().last_failure.message == "x" * 200


# -- hints ---------------------------------------------------------------------------


class Busy(Exception):
    def __init__(self, after):
        self.after = after


@pytest.mark.parametrize(
    ("after", "wait"),
    [
        (60, 60),
        (60.5, 60.5),
        (timedelta(minutes=2), 120),
        (5, 10),  # never shorter than the policy's own
        (0, 10),
        (10_000, 300),  # never longer than the ceiling
        (None, 10),
        (-60, 10),
        (float("nan"), 10),
        (float("inf"), 10),
        (timedelta(seconds=-60), 10),
    ],
)
def test_hint_of_an_error_lengthens_the_wait(make, after, wait):
    payments = make(trip=1, retry_after=lambda error: error.after)

    judge(payments, Busy(after))

    assert payments.snapshot().retry_after == wait


@may_raise
@pytest.mark.parametrize("after", ["soon", object(), [60]])
def test_hint_that_is_no_number_is_the_callbacks_mistake(make, after):
    payments = make(trip=1, retry_after=lambda error: error.after)

    judge(payments, Busy(after))

    assert payments.snapshot().retry_after == 10
    assert payments.snapshot().callback_errors == 1


@may_raise
def test_hint_function_that_raises_changes_nothing_else(make):
    payments = make(trip=1, retry_after=broken)

    assert judge(payments, OSError()) == "failures"
    assert payments.snapshot().retry_after == 10
    assert payments.snapshot().callback_errors == 1


def test_hint_of_a_failing_result_counts(make, service):
    payments = make(
        trip=1,
        failure_result=lambda status: status == 503,
        retry_after=lambda status: 60,
    )

    payments.call(service.answer, 503)

    assert payments.snapshot().retry_after == 60


def test_hint_is_asked_of_failures_only(make, service):
    asked = []
    payments = make(ignore=(KeyError,), retry_after=asked.append)

    payments.call(service.answer)
    judge(payments, KeyError())

    assert asked == []


def test_hint_only_adds_jitter_to_what_the_server_asked(make):
    payments = make(trip=1, retry_after=lambda error: 60, recovery=Wait(10, jitter=0.5))

    judge(payments, OSError())

    assert 60 <= payments.snapshot().retry_after <= 90


# -- what cannot answer on the spot --------------------------------------------------


def pages(_=None):
    yield


async def apages(_=None):
    yield


async def later(_=None):
    pass


@pytest.mark.parametrize("callback", [pages, apages, later])
@pytest.mark.parametrize(
    "option", ["ignore", "successes", "failures", "failure_result", "retry_after"]
)
def test_callback_that_runs_later_is_refused(make, option, callback):
    with pytest.raises(TypeError, match=f"{option} is asked on the spot") as refusal:
        make(**{option: callback})

    assert repr(callback) in str(refusal.value)


@pytest.mark.parametrize("option", ["failure_result", "retry_after"])
def test_exception_type_is_no_question_about_a_result(make, option):
    with pytest.raises(TypeError) as refusal:
        make(**{option: KeyError})

    told = "must be a function, got the exception type <class 'KeyError'>"
    assert str(refusal.value) == f"{option} {told}"
