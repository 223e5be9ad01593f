"""A guarded function looks, reads, raises and pickles like the function itself."""

from __future__ import annotations

import builtins
import functools
import gc
import inspect
import keyword
import linecache
import pickle
import traceback
import weakref
from contextlib import aclosing
from typing import Annotated

import pytest

from recloser import (
    CircuitBreaker,
    CircuitOpenError,
    CountWindow,
    FailureRate,
    SlowCallRate,
    State,
    TimeWindow,
    breaker_of,
)
from recloser.testing import force

MARKER = object()

TRIPS = {
    "no clock": 3,
    "one clock read": FailureRate(0.9, window=TimeWindow(60)),
    "two clock reads": SlowCallRate(0.9, slower_than=2, window=CountWindow(50)),
}


@pytest.fixture(params=TRIPS, ids=str)
def payments(request, make):
    """One breaker for each template of the wrapper."""
    return make(trip=TRIPS[request.param])


def positional_only(first, second, /):
    return first, second


def positional_only_then_more(first, /, second, *, third):
    return first, second, third


def defaults(first, second=MARKER, third=()):
    return first, second, third


def positional_only_default(first=MARKER, /):
    return first


def keyword_only(*, first, second=MARKER):
    return first, second


def keyword_only_after_star(*rest, first=MARKER):
    return rest, first


def everything(first, /, second, third=3, *rest, fourth, fifth=MARKER, **more):
    return first, second, third, rest, fourth, fifth, more


def star(*args, **kwargs):
    return args, kwargs


def our_words(rec, result, self, _x, *, call=1, gate=2, recorder=3, error=4, now=5):
    return rec, result, self, _x, call, gate, recorder, error, now


def middleware(request, next, *, repr=3):  # noqa: A002 - builtins of our template
    return request, next, repr


def none():
    return None


CALLS = [
    (positional_only, (1, 2), {}),
    (positional_only_then_more, (1, 2), {"third": 3}),
    (positional_only_then_more, (1,), {"second": 2, "third": 3}),
    (defaults, (1,), {}),
    (defaults, (1, 2), {"third": 3}),
    (defaults, (), {"third": 3, "first": 1}),
    (positional_only_default, (), {}),
    (keyword_only, (), {"first": 1}),
    (keyword_only, (), {"second": 2, "first": 1}),
    (keyword_only_after_star, (1, 2), {"first": 3}),
    (keyword_only_after_star, (), {}),
    (everything, (1, 2), {"fourth": 4}),
    (everything, (1, 2, 3, 4, 5), {"fourth": 4, "fifth": 5, "sixth": 6}),
    (everything, (1,), {"second": 2, "fourth": 4, "first": "in more"}),
    (star, (), {}),
    (star, (1, 2), {"self": 3, "_recloser": 4}),
    (our_words, (1, 2, 3, 4), {"gate": 9}),
    (middleware, (1, 2), {}),
    (none, (), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_every_kind_of_parameter_arrives(payments, function, args, kwargs):
    guarded = payments(function)

    assert guarded(*args, **kwargs) == function(*args, **kwargs)
    assert payments.snapshot().totals.successes == 1


@pytest.fixture(params=[State.DISABLED, State.METRICS_ONLY, State.HALF_OPEN])
def not_closed(request, make):
    breaker = make()
    force(breaker, request.param)
    return breaker


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_parameters_arrive_in_every_other_state(not_closed, function, args, kwargs):
    guarded = not_closed(function)

    assert guarded(*args, **kwargs) == function(*args, **kwargs)


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_every_kind_of_parameter_arrives_in_a_coroutine(
    payments, loop, function, args, kwargs
):
    @payments
    @functools.wraps(function)
    async def passed_on(*args, **kwargs):
        return function(*args, **kwargs)

    async def main():
        return await passed_on(*args, **kwargs)

    assert loop.run(main) == function(*args, **kwargs)
    assert payments.snapshot().totals.successes == 1


@pytest.mark.parametrize("function", dict.fromkeys(call[0] for call in CALLS))
def test_signature_is_that_of_the_function(payments, function):
    guarded = payments(function)

    assert inspect.signature(guarded) == inspect.signature(function)
    assert inspect.signature(guarded, follow_wrapped=False).parameters.keys() == (
        inspect.signature(function).parameters.keys()
    )


NAMES = [name for name in dir(builtins) if not keyword.iskeyword(name)]
NAMES.remove("__debug__")  # the one that no parameter can have


def of_builtins(define, verb):
    """Return a function whose parameters are called like all the builtins."""
    names = ", ".join(NAMES)
    made = {}
    exec(f"{define} function({names}): {verb} [{names}]", made)  # noqa: S102 - our names
    return made["function"]


@pytest.mark.parametrize("checked", [False, True])
def test_no_parameter_collides_with_a_name_that_the_template_uses(make, loop, checked):
    values = list(range(len(NAMES)))
    for trip in TRIPS.values():
        options = {"failure_result": lambda result: False} if checked else {}
        payments = make(trip=trip, **options)
        plain = payments(of_builtins("def", "return"))
        coroutine = payments(of_builtins("async def", "return"))
        generator = payments(of_builtins("def", "yield"))
        stream = payments(of_builtins("async def", "yield"))

        async def first(stream=stream):
            async with aclosing(stream(*values)) as items:
                return await anext(items)

        assert plain(*values) == values
        assert loop.run(coroutine, *values) == values
        assert loop.run(first) == values
        assert list(generator(*values)) == [values]
        assert payments.snapshot().totals.successes == 4


def test_declared_signature_does_not_change_what_arrives(payments):
    def free(*args, **kwargs):
        return args, kwargs

    free.__signature__ = inspect.signature(lambda first, *, second="default": 0)
    guarded = payments(free)

    assert guarded(1) == ((1,), {})
    assert guarded(first=1, second=2) == ((), {"first": 1, "second": 2})
    assert inspect.signature(guarded) == inspect.signature(free)


def test_defaults_are_the_very_same_objects(payments):
    guarded = payments(everything)

    assert guarded(1, 2, fourth=4)[5] is MARKER
    assert guarded.__defaults__ == (3,)
    assert guarded.__kwdefaults__ == {"fifth": MARKER}


def test_mutable_default_is_shared_with_the_function(payments):
    def remember(item, seen=[]):  # noqa: B006 - that is the test
        seen.append(item)
        return seen

    guarded = payments(remember)

    assert guarded(1) is remember(2)


def charge(amount: Annotated[int, "cents"], currency: str = "EUR") -> str:
    """Charge an amount."""
    return f"{amount} {currency}"


charge.cost = 3


def test_name_doc_annotations_and_attributes_are_those_of_the_function(payments):
    guarded = payments(charge)

    assert guarded.__name__ == "charge"
    assert guarded.__qualname__ == "charge"
    assert guarded.__module__ == __name__
    assert guarded.__doc__ == "Charge an amount."
    assert guarded.__annotations__ == charge.__annotations__
    assert guarded.cost == 3
    assert guarded.__wrapped__ is charge
    assert inspect.unwrap(guarded) is charge


def test_type_of_the_guarded_function_is_function(payments):
    guarded = payments(charge)

    assert inspect.isfunction(guarded)
    assert not inspect.iscoroutinefunction(guarded)
    assert not inspect.isgeneratorfunction(guarded)


def test_closure_and_lambda_work(payments):
    count = 0

    @payments
    def step():
        nonlocal count
        count += 1
        return count

    double = payments(lambda x: x * 2)

    assert [step(), step()] == [1, 2]
    assert double(4) == 8
    assert double.__name__ == "<lambda>"


def test_function_that_refers_to_its_own_name_recurses_through_the_guard(payments):
    @payments
    def factorial(n):
        return n * factorial(n - 1) if n else 1

    assert factorial(4) == 24
    assert payments.snapshot().totals.successes == 5


@functools.lru_cache
def remembered(first, second=2):
    """Remember."""
    return first + second


def test_signature_behind_a_wrapper_of_c_code_stays_visible(payments):
    guarded = payments(remembered)

    assert guarded(1) == 3
    assert guarded(first=1, second=5) == 6
    assert inspect.signature(guarded) == inspect.signature(remembered)
    assert guarded.__doc__ == "Remember."


def test_wrapped_function_is_called_with_what_it_takes_not_with_what_it_wraps(payments):
    @functools.wraps(charge)
    def with_tip(*args, **kwargs):
        return args, kwargs

    guarded = payments(with_tip)

    assert guarded(1, tip=2) == ((1,), {"tip": 2})
    assert inspect.signature(guarded) == inspect.signature(charge)


def test_partial_keeps_its_signature(payments):
    guarded = payments(functools.partial(charge, currency="CHF"))

    assert guarded(3) == "3 CHF"
    assert guarded(3, currency="USD") == "3 USD"
    assert str(inspect.signature(guarded)).startswith("(amount")


# -- wrong calls ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((1, 2, 3), {}),
        ((1,), {"price": 2}),
        ((1,), {"amount": 2}),
    ],
)
def test_wrong_call_gets_the_usual_message_and_is_not_counted(payments, args, kwargs):
    guarded = payments(charge)
    with pytest.raises(TypeError) as expected:
        charge(*args, **kwargs)

    with pytest.raises(TypeError) as wrong:
        guarded(*args, **kwargs)

    assert str(wrong.value) == str(expected.value)
    assert "charge()" in str(wrong.value)
    totals = payments.snapshot().totals
    assert (totals.calls, totals.neutral) == (0, 0)


def test_wrong_call_of_a_method_names_class_and_method(payments):
    class Shop:
        @payments
        def sell(self, what):
            return what

    with pytest.raises(TypeError, match=r"Shop\.sell\(\) missing 1 required"):
        Shop().sell()


def test_wrong_call_of_an_open_circuit_is_wrong_not_rejected(payments):
    payments.trip()

    with pytest.raises(TypeError):
        payments(charge)()

    assert payments.snapshot().rejected == 0


# -- pickling ------------------------------------------------------------------------

shop = CircuitBreaker("shop", registry="none")


@shop
def sell(what):
    return what


def test_guarded_function_of_a_module_pickles_by_name():
    assert pickle.loads(pickle.dumps(sell)) is sell  # noqa: S301 - our own bytes


# -- tracebacks ----------------------------------------------------------------------


def failing(amount):
    raise OSError(amount)


def test_traceback_shows_the_generated_source(payments):
    with pytest.raises(OSError) as failure:
        payments(failing)(3)

    frames = traceback.extract_tb(failure.value.__traceback__)
    ours = next(frame for frame in frames if frame.filename.startswith("<recloser"))
    assert "_recloser_call(amount)" in ours.line
    assert frames[-1].name == "failing"


def test_source_of_a_guarded_function_is_the_users(payments):
    assert inspect.getsource(payments(failing)) == inspect.getsource(failing)


def test_source_of_every_template_is_kept_apart(make):
    frames = []
    for trip in TRIPS.values():
        with pytest.raises(OSError) as failure:
            make(trip=trip)(failing)(3)
        frames.extend(traceback.extract_tb(failure.value.__traceback__))

    ours = {frame.filename for frame in frames if "<recloser" in frame.filename}
    assert len(ours) == len(TRIPS)
    assert all(linecache.getlines(filename) for filename in ours)


def test_raised_error_is_the_functions_own_without_additions(payments):
    error = OSError("down")

    def broken():
        raise error

    with pytest.raises(OSError) as failure:
        payments(broken)()

    assert failure.value is error
    assert error.__cause__ is None
    assert error.__context__ is None


def test_failed_call_keeps_no_frame_alive(payments):
    class Basket:
        pass

    seen = []

    @payments
    def fill():
        basket = Basket()
        seen.append(weakref.ref(basket))
        raise OSError

    with pytest.raises(OSError):
        fill()
    gc.collect()

    assert seen[0]() is None


def test_result_is_not_kept_alive(payments):
    class Basket:
        pass

    @payments
    def fill():
        return Basket()

    seen = weakref.ref(fill())
    gc.collect()

    assert seen() is None


# -- one code object per shape -------------------------------------------------------


def test_functions_of_one_shape_share_one_code_object(make):
    one, two = make("one"), make("two")

    def buy(amount, currency=1):
        return amount, currency

    def pay(amount, currency=2):
        return amount, currency

    bought, paid = one(buy), two(pay)

    assert bought.__code__ is paid.__code__
    assert (bought(1), paid(1)) == ((1, 1), (1, 2))


def test_other_parameters_mean_another_code_object(make):
    payments = make()

    one, two = payments(lambda a: a), payments(lambda b: b)

    assert one.__code__ is not two.__code__
    assert (one(a=1), two(b=2)) == (1, 2)


def test_thousand_guards_of_one_shape_add_one_entry_to_linecache(make):
    payments = make()
    first = payments(lambda one_of_a_thousand: one_of_a_thousand)
    before = len(linecache.cache)

    more = [payments(lambda one_of_a_thousand: 0) for _ in range(1000)]

    assert {guarded.__code__ for guarded in more} == {first.__code__}
    assert len(linecache.cache) == before


# -- results -------------------------------------------------------------------------


def test_failing_result_counts_as_a_failure_and_reaches_the_caller(request, make):
    for trip in TRIPS.values():
        payments = make(trip=trip, failure_result=lambda status: status >= 500)
        guarded = payments(lambda status: status)

        assert [guarded(200), guarded(503), guarded(404)] == [200, 503, 404]
        totals = payments.snapshot().totals
        assert (totals.successes, totals.failures) == (2, 1)


def test_failing_result_can_trip_and_is_named(make):
    payments = make(trip=2, failure_result=lambda answer: answer is None)
    guarded = payments(lambda: None)

    guarded()
    guarded()

    assert payments.state is State.OPEN
    assert payments.snapshot().last_failure.type == "NoneType"


def test_failing_result_of_a_coroutine_counts(make, loop):
    payments = make(trip=1, failure_result=lambda answer: answer == "bad")

    @payments
    async def ask():
        return "bad"

    assert loop.run(ask) == "bad"
    assert payments.state is State.OPEN


@pytest.mark.parametrize("call", ["call", "acall"])
def test_failing_result_of_call_and_acall_counts(make, service, loop, call):
    payments = make(trip=1, failure_result=lambda answer: answer == "bad")

    async def main():
        if call == "call":
            return payments.call(service.answer, "bad")
        return await payments.acall(service.aanswer, "bad")

    assert loop.run(main) == "bad"
    assert payments.state is State.OPEN


# -- breaker_of ----------------------------------------------------------------------


def test_breaker_of_finds_the_breaker_of_a_guarded_function(make):
    payments = make()

    assert breaker_of(payments(charge)) is payments
    assert breaker_of(payments(ignore=(KeyError,))(charge)) is payments


def test_breaker_of_looks_through_methods_and_wrappers(make):
    payments = make()

    class Shop:
        @payments
        def sell(self):
            pass

        @payments
        @staticmethod
        def open():
            pass

        @payments
        @classmethod
        def close(cls):
            pass

    @functools.wraps(Shop.sell)
    def logged():
        pass

    found = [Shop.sell, Shop().sell, Shop.open, Shop.__dict__["open"], Shop.close]
    assert {breaker_of(method) for method in found} == {payments}
    assert breaker_of(logged) is payments


def test_breaker_of_finds_the_outermost_of_two(make):
    payments, bank = make("payments"), make("bank")

    assert breaker_of(payments(bank(charge))) is payments


@pytest.mark.parametrize("thing", [charge, len, None, 3, Annotated])
def test_breaker_of_what_is_not_guarded_is_none(thing):
    assert breaker_of(thing) is None


def test_guarded_function_keeps_its_breaker(make):
    guarded = make()(charge)
    gc.collect()

    breaker = breaker_of(guarded)

    assert breaker.name == "payments"
    breaker.trip()
    with pytest.raises(CircuitOpenError):
        guarded(1)


# -- settings that change under a wrapper --------------------------------------------


def test_wrapper_follows_rules_that_come_to_need_a_clock(make, clock):
    payments = make(trip=5)

    @payments
    def slow(seconds):
        clock.advance(seconds)

    payments.reconfigure(
        trip=SlowCallRate(1, slower_than=2, window=CountWindow(1), minimum_calls=1)
    )
    slow(1)
    assert payments.state is State.CLOSED
    slow(3)

    assert payments.state is State.OPEN


def test_wrapper_follows_rules_that_need_no_clock_any_more(make, service, fail):
    payments = make(trip=FailureRate(0.5, window=TimeWindow(60)))
    guarded = payments(service.answer)

    payments.reconfigure(trip=2)
    guarded()
    fail(payments, 2)

    assert payments.state is State.OPEN
    assert payments.snapshot().totals.calls == 3


def test_parameters_that_look_like_ours_are_passed_on(make):
    def work(_recloser_ticket, *, _recloser_gate=2):
        return _recloser_ticket, _recloser_gate

    assert make()(work)(1, _recloser_gate=3) == (1, 3)
