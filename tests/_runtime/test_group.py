"""One policy for many keys, in bounded memory."""

from __future__ import annotations

import gc
import itertools
import logging
import unicodedata
import weakref

import pytest

from recloser import (
    BreakerGroup,
    FailureRate,
    Policy,
    Registry,
    State,
    TimeWindow,
    Wait,
)
from recloser.testing import force

from ..interleaving.bytecodes import files_of, stepping, watching


@pytest.fixture
def make_group(clock):
    def make(name="api", **options):
        usual = {"clock": clock, "trip": 2, "recovery": Wait(10, jitter=0)}
        return BreakerGroup(name, **{**usual, **options})

    return make


class Visitor:
    """Does something once, before the n-th bytecode, on the thread that is there."""

    def __init__(self, step, act):
        self.left = step
        self.act = act

    def __call__(self):
        self.left -= 1
        if self.left == -1:
            self.act()


def break_down(breaker):
    while breaker.state is State.CLOSED:
        breaker.acquire().failure()


# -- keys ----------------------------------------------------------------------------


def test_each_key_has_a_breaker_of_its_own(make_group):
    api = make_group()

    assert api["a"] is api["a"]
    assert api["a"] is not api["b"]
    assert api["a"].name == "api[a]"


def test_breakers_of_a_group_share_their_policy(make_group):
    api = make_group(trip=3)

    assert api["a"].policy == api["b"].policy
    assert api["a"].policy.trip.failures == 3


def test_one_key_that_breaks_leaves_the_others_alone(make_group):
    api = make_group()

    break_down(api["bad"])

    assert api["bad"].state is State.OPEN
    assert api["good"].state is State.CLOSED


@pytest.mark.parametrize("key", ["host", 42, ("eu", 3), None, 1.5, frozenset({1})])
def test_anything_hashable_is_a_key(make_group, key):
    api = make_group()

    assert api[key] is api[key]
    assert key in api
    assert len(api) == 1


def test_what_cannot_be_hashed_is_no_key(make_group):
    api = make_group()

    with pytest.raises(TypeError):
        api[["a"]]
    assert len(api) == 0


def test_equal_keys_share_a_breaker(make_group):
    api = make_group()

    assert api[1] is api[1.0]


def test_group_lists_keys_and_breakers_least_recently_used_first(make_group):
    api = make_group()
    for key in "abc":
        api[key]

    api["a"]

    assert list(api) == ["b", "c", "a"]
    assert [(key, breaker.name) for key, breaker in api.items()] == [
        ("b", "api[b]"),
        ("c", "api[c]"),
        ("a", "api[a]"),
    ]


def test_looking_whether_a_key_is_there_makes_nothing(make_group):
    api = make_group()

    assert "a" not in api
    assert len(api) == 0


def test_discarded_key_begins_anew(make_group):
    api = make_group()
    break_down(api["a"])

    api.discard("a")
    api.discard("never there")

    assert api["a"].state is State.CLOSED


def test_reset_all_resets_every_key(make_group):
    api = make_group()
    for key in "ab":
        api[key].force_open()

    api.reset_all()

    assert [breaker.state for _, breaker in api.items()] == [State.CLOSED] * 2


def test_breakers_of_a_group_are_in_no_registry_unless_told(make_group):
    registry = Registry()

    held = make_group()["a"], make_group(registry=registry)["b"]

    assert registry.get("api[b]") is held[1]
    assert registry.get("api[a]") is None


def test_group_knows_its_name(make_group):
    assert make_group("search").name == "search"


def test_repr_says_how_full_it_is(make_group):
    api = make_group(max_size=5)
    api["a"]

    assert repr(api) == "<BreakerGroup 'api' of 1 breakers, at most 5>"


# -- bounds --------------------------------------------------------------------------


def test_least_recently_used_healthy_key_goes_first(make_group):
    api = make_group(max_size=3)
    for key in "abc":
        api[key].acquire().success()
    api["a"]

    api["d"]

    assert sorted(api) == ["a", "c", "d"]
    assert api.snapshot().evicted == 1


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
def test_key_that_is_not_closed_never_goes(make_group, state):
    api = make_group(max_size=2)
    force(api["special"], state)
    api["idle"]

    for number in range(10):
        api[number]

    assert "special" in api
    assert api["special"].state is state
    assert len(api) == 2


def test_key_with_a_streak_of_failures_does_not_go(make_group):
    api = make_group(max_size=2, trip=3)
    for _ in range(2):
        api["failing"].acquire().failure()
    api["idle"]

    for number in range(10):
        api[number].acquire().success()
    api["failing"].acquire().failure()

    assert api["failing"].state is State.OPEN


def test_evicted_breaker_that_is_held_goes_on_alone(make_group):
    api = make_group(max_size=1)
    held = api["a"]

    api["b"]

    assert api["b"] is not held
    break_down(held)
    assert held.state is State.OPEN
    assert api["a"].state is State.CLOSED


def test_evicted_breaker_that_nobody_holds_is_collected(make_group):
    api = make_group(max_size=1)
    gone = weakref.ref(api["a"])

    api["b"]
    gc.collect()

    assert gone() is None


def test_memory_is_bounded_by_the_size(make_group):
    api = make_group(max_size=10)

    for number in range(1000):
        api[number].acquire().success()

    assert len(api) == 10
    assert api.snapshot().evicted == 990


# -- overflow ------------------------------------------------------------------------


@pytest.fixture
def full(make_group):
    """A group in which nothing can go."""
    api = make_group(max_size=2)
    for key in "ab":
        break_down(api[key])
    return api


def test_new_keys_share_one_breaker_when_nothing_can_go(full):
    assert full["c"] is full["d"]
    assert full["c"].name == "api[*]"
    assert len(full) == 2
    assert "c" not in full


def test_keys_that_were_there_keep_their_breakers(full):
    full["c"]

    assert full["a"].name == "api[a]"
    assert full["a"].state is State.OPEN


def test_overflow_is_counted_and_warned_about_once(full, caplog):
    for key in "cde":
        full[key]

    warnings = [record for record in caplog.records if record.name == "recloser"]
    assert [record.levelno for record in warnings] == [logging.WARNING]
    assert "'api' is full of 2" in warnings[0].getMessage()
    assert full.snapshot().overflowed == 3


def test_key_gets_its_own_breaker_again_when_there_is_room(full, clock):
    full["c"]

    clock.advance(10)
    full["a"].acquire().success()

    assert full["a"].state is State.CLOSED
    assert full["c"].name == "api[c]"
    assert sorted(full) == ["b", "c"]


def test_room_made_by_hand_is_used_at_once(full):
    full["c"]

    full.discard("a")

    assert full["c"].name == "api[c]"


def test_reset_makes_room_at_once(full):
    full["c"]

    full.reset_all()

    assert full["c"].name == "api[c]"


def test_overflow_breaker_guards_like_any_other(full):
    break_down(full["c"])

    assert full["d"].state is State.OPEN
    full.reset_all()
    assert full["d"].state is State.CLOSED


# -- the whole -----------------------------------------------------------------------


def test_snapshot_adds_up_all_keys(make_group, clock):
    api = make_group()
    api["a"].acquire().success()
    api["a"].acquire().failure()
    break_down(api["b"])
    api["b"].try_acquire()

    whole = api.snapshot()

    assert (whole.name, whole.size) == ("api", 2)
    assert whole.states == {
        State.CLOSED: 1,
        State.OPEN: 1,
        State.HALF_OPEN: 0,
        State.FORCED_OPEN: 0,
        State.DISABLED: 0,
        State.METRICS_ONLY: 0,
    }
    totals = whole.totals
    assert (totals.calls, totals.successes, totals.failures) == (4, 1, 3)
    assert (totals.rejected, totals.trips) == (1, 1)


def test_snapshot_holds_the_calls_of_the_overflow_breaker(full):
    full["c"].acquire().success()

    assert full.snapshot().totals.successes == 1


def test_empty_group_has_a_snapshot(make_group):
    whole = make_group().snapshot()

    assert (whole.size, whole.totals.calls, whole.evicted) == (0, 0, 0)


# -- untrusted keys ------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "x" * 1_000_000,
        "line\nbreak\r\x1b[31m\x00",
        "\u202eright to left",
        "\ud800",
        ("nested", "x" * 10_000),
        "",
    ],
)
def test_name_of_a_key_from_outside_is_short_and_printable(make_group, key):
    name = make_group()[key].name

    assert name.startswith("api[")
    assert len(name) <= len("api[]") + 80
    assert name.isprintable()
    assert name.encode()
    assert all(unicodedata.category(letter)[0] != "C" for letter in name)


def test_keys_that_are_shown_alike_are_still_apart(make_group):
    api = make_group()

    one, two = api["x" * 100 + "1"], api["x" * 100 + "2"]

    assert one is not two
    assert one.name == two.name


# -- bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_size": 0}, ValueError, "max_size must be at least 1, got 0"),
        ({"max_size": 2.5}, TypeError, "max_size must be a whole number, got 2.5"),
        ({"max_size": True}, TypeError, "max_size must be a whole number, got True"),
        ({"name": 3}, TypeError, "name must be a string, got 3"),
        ({"name": ""}, ValueError, "name must not be empty"),
        ({"trip": 0}, ValueError, "trip must be at least 1"),
        ({"fail_max": 5}, TypeError, "use trip=5"),
    ],
)
def test_bad_option_is_refused_when_the_group_is_made(make_group, options, error, text):
    with pytest.raises(error, match=text):
        make_group(**options)


def test_options_that_can_be_read_once_serve_every_key(make_group):
    heard = []
    api = make_group(
        listeners=(listener for listener in [heard.append]),
        ignore=(kind for kind in [KeyError]),
    )

    for key in "ab":
        with pytest.raises(KeyError):
            api[key].call({}.__getitem__, "missing")
        break_down(api[key])

    assert {event.name for event in heard} == {"api[a]", "api[b]"}
    assert api.snapshot().totals.neutral == 2


# -- threads -------------------------------------------------------------------------


def is_free(lock, threads):
    """Tell whether another thread could take a lock now."""

    def take():
        taken = lock.acquire(blocking=False)
        if taken:
            lock.release()
        return taken

    return threads.start(take).join().result


@pytest.mark.parametrize("drop", [lambda api: api["b"], lambda api: api.discard("a")])
def test_dropped_breaker_dies_without_the_lock(make_group, threads, drop):
    free = []

    class Guest:
        def on_attached(self, breaker):
            return lambda last: free.append(is_free(api._lock, threads))

    guest = Guest()
    api = make_group(max_size=1, listeners=[guest])
    api["a"].call(int)

    drop(api)
    gc.collect()

    assert free == [True]


def test_new_settings_ask_the_clock_without_the_lock(make_group, threads):
    groups, free = [], []

    def clock():
        free.extend(is_free(api._lock, threads) for api in groups)
        return 0.0

    groups.append(make_group(clock=clock))

    groups[0].reconfigure(trip=3)

    assert free
    assert all(free)


@pytest.mark.parametrize("act", [lambda api: api["new"], lambda api: api.discard("b")])
@pytest.mark.parametrize("key", ["a", "b", "unknown"])
def test_group_is_whole_after_a_visitor_on_the_same_thread(make_group, key, act):
    for step in itertools.count():
        api = make_group(max_size=2)
        held = [api["b"], api["a"]]
        visitor = Visitor(step, lambda api=api: act(api))

        with watching(modules=("group",)), stepping(visitor, files_of(("group",))):
            found = api[key]

        assert found in held or found is api[key]
        assert len(api) <= 3  # the visitor's, until the next one is made
        assert api["next"] is api["next"]
        assert len(api) <= 2
        if visitor.left > 0:
            break
    assert step > 10


class Busy:
    """A key whose hash does something, as a finaliser or signal handler may in there."""

    def __init__(self):
        self.acts = []

    def __hash__(self):
        act = self.acts.pop(0) if self.acts else None
        if act:
            act()
        return 1


def test_breaker_is_found_though_its_key_goes_meanwhile(make_group):
    api, key = make_group(), Busy()
    held, other = api[key], api["other"]

    key.acts = [None, lambda: api.discard(key)]  # looked up, then moved to the end
    found = api[key]

    assert found is held
    assert list(api.items()) == [("other", other)]


def test_room_is_made_though_the_oldest_key_goes_meanwhile(make_group):
    api, key = make_group(max_size=1), Busy()
    api[key]

    key.acts = [lambda: api.discard(key)]
    new = api["new"]

    assert list(api.items()) == [("new", new)]


def test_breaker_that_another_made_meanwhile_is_the_keys(make_group):
    meddling = []

    def clock():  # read by the group first, then by the breaker that it makes
        if meddling:
            meddling.pop()()
        return 0.0

    api, found = make_group(clock=clock), []
    meddling.extend([lambda: found.append(api["new"]), lambda: None])

    assert [api["new"]] == found
    assert len(api) == 1


def test_one_key_asked_by_many_threads_has_one_breaker(make_group, threads):
    api = make_group(max_size=50)

    def ask():
        return [api[key] for key in range(30)]

    found = [worker.join().result for worker in [threads.start(ask) for _ in range(4)]]

    assert all(each == found[0] for each in found)
    assert len(api) == 30


def test_window_of_a_group_ages_by_its_clock(make_group, clock):
    api = make_group(trip=FailureRate(0.5, window=TimeWindow(60), minimum_calls=2))

    api["a"].acquire().failure()
    clock.advance(61)
    api["a"].acquire().failure()

    assert api["a"].state is State.CLOSED


# -- settings ------------------------------------------------------------------------


def test_new_settings_reach_breakers_that_are_held_and_those_to_come(make_group):
    api = make_group(trip=2)
    held = api["held"]

    api.reconfigure(trip=5, recovery=7)

    policies = [breaker.policy for breaker in (held, api["new"], api._overflow)]
    assert policies == [api.policy] * 3
    assert api.policy == Policy(trip=5, recovery=7)


def test_new_settings_leave_state_and_evidence(make_group):
    api = make_group(trip=3)
    break_down(api["bad"])
    api["shaky"].acquire().failure()

    api.reconfigure(trip=2)

    assert api["bad"].state is State.OPEN
    assert api["shaky"].snapshot().streak == 1
    api["shaky"].acquire().failure()
    assert api["shaky"].state is State.OPEN


def test_bad_settings_change_nothing(make_group):
    api = make_group(trip=2)
    held, before = api["held"], api.policy

    with pytest.raises(ValueError, match="probes must be at least 1, got 0"):
        api.reconfigure(trip=9, probes=0)

    assert (held.policy, api.policy, api["new"].policy) == (before, before, before)


def test_breaker_that_was_being_made_gets_the_new_settings(make_group):
    meddling = []

    def clock():  # read by the group first, then by the breaker that it makes
        if meddling:
            meddling.pop()()
        return 0.0

    api = make_group(trip=2, clock=clock)
    meddling.extend([lambda: api.reconfigure(probes=4), lambda: None])

    assert api["new"].policy.probes == 4


def test_breakers_of_a_group_hold_one_policy_object(make_group):
    api = make_group(trip=2, probes=2)

    assert api["a"].policy is api["b"].policy is api.policy
