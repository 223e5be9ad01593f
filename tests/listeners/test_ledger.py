"""What all breakers of a process add up to, by name."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest

from recloser import BreakerGroup, ConsecutiveFailures, FailureRate, TimeWindow
from recloser.listeners._figures import (
    CALLS,
    FAILURE_RATE,
    FIGURES,
    FOLDED,
    PROBES,
    REJECTED,
    RETRY_AFTER,
    SLOW_RATE,
    SPENT,
    STATE,
    STATES,
    STREAK,
    TRANSITIONS,
    WINDOW_CALLS,
    WOULD_REJECT,
    WOULD_TRIP,
)
from recloser.listeners._ledger import Ledger
from recloser.listeners._names import Names

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture
def ledger():
    return Ledger(None, Names(100))


def successes(ledger, name="payments"):
    return ledger.read().counters[CALLS, (name, "success")]


def counted(ledger):
    """Return the counters that are not 0, but for the time."""
    counters = ledger.read().counters.items()
    return {
        (figure.name, *labels): value
        for (figure, labels), value in counters
        if value and figure is not SPENT
    }


def test_everything_is_counted(make, clock, live, ledger):
    payments = make(listeners=[ledger])
    live(payments, clock)

    assert counted(ledger) == {
        ("calls", "payments", "success"): 3,
        ("calls", "payments", "failure"): 2,
        ("calls", "payments", "neutral"): 1,
        ("rejected_calls", "payments"): 5,
        ("fallbacks", "payments"): 1,
        ("late_results", "payments"): 1,
        ("lost_probes", "payments"): 1,
        ("transitions", "payments", "closed", "open"): 1,
        ("transitions", "payments", "open", "half_open"): 1,
    }


def test_time_is_counted_by_state(make, clock, live, ledger):
    payments = make(listeners=[ledger])
    live(payments, clock)

    report = ledger.read()
    spent = {state: report.counters[SPENT, ("payments", state)] for state in STATES}

    assert spent == {**dict.fromkeys(STATES, 0), "open": 12, "half_open": 31}


def test_state_is_one_series_per_state(make, ledger):
    payments = make(listeners=[ledger])
    payments.trip()

    gauges = ledger.read().gauges

    assert {s: gauges[STATE, ("payments", s)] for s in STATES} == {
        **dict.fromkeys(STATES, 0),
        "open": 1,
    }


def test_gauges_say_how_it_is_now(make, clock, ledger):
    window = TimeWindow(60)
    rule = ConsecutiveFailures(9) | FailureRate(1, window=window, minimum_calls=99)
    payments = make(trip=rule, listeners=[ledger])
    payments.call(lambda: "answer")
    payments.acquire().failure()

    gauges = ledger.read().gauges

    assert gauges[STREAK, ("payments",)] == 1
    assert gauges[FAILURE_RATE, ("payments", "60s")] == 0.5
    assert gauges[SLOW_RATE, ("payments", "60s")] == 0
    assert gauges[WINDOW_CALLS, ("payments", "60s")] == 2
    payments.trip()
    clock.advance(4)
    gauges = ledger.read().gauges
    assert gauges[RETRY_AFTER, ("payments",)] == 6
    assert gauges[WINDOW_CALLS, ("payments", "60s")] == 0
    clock.advance(6)
    payments.acquire()
    assert ledger.read().gauges[PROBES, ("payments",)] == 1


def test_what_would_have_happened_is_counted(make, ledger):
    payments = make(listeners=[ledger])
    payments.observe()
    for _ in range(2):
        payments.acquire().failure()
    payments.call(lambda: "answer")

    counters = ledger.read().counters

    assert counters[WOULD_TRIP, ("payments",)] == 1
    assert counters[WOULD_REJECT, ("payments",)] == 1


def test_every_counter_is_there_from_the_beginning(make, ledger):
    payments = make(listeners=[ledger])

    there = {figure for figure, _ in ledger.read().counters}

    assert there == {figure for figure in FIGURES if figure.is_counter}
    assert payments.snapshot().totals.calls == 0


# -- breakers come and go ------------------------------------------------------------


def test_sums_outlive_their_breaker(make, ledger):
    payments = make(listeners=[ledger])
    payments.call(lambda: "answer")
    del payments
    gc.collect()

    report = ledger.read()

    assert report.counters[CALLS, ("payments", "success")] == 1
    assert report.gauges[STATE, ("payments", "closed")] == 0


def test_what_was_counted_after_the_last_reading_is_not_lost(make, ledger):
    payments = make(listeners=[ledger])
    payments.call(lambda: "answer")
    assert successes(ledger) == 1
    payments.call(lambda: "answer")
    del payments
    gc.collect()

    assert successes(ledger) == 2


def test_breaker_of_the_same_name_goes_on_from_the_sums(make, ledger):
    for total in (1, 2, 3):
        payments = make(listeners=[ledger])
        payments.call(lambda: "answer")

        assert successes(ledger) == total
    assert ledger.read().gauges[STATE, ("payments", "closed")] == 1


def test_two_living_breakers_of_a_name_are_added(make, ledger):
    one, other = make(listeners=[ledger]), make(listeners=[ledger])
    one.call(lambda: "answer")
    other.call(lambda: "answer")
    other.trip()

    report = ledger.read()

    assert report.counters[CALLS, ("payments", "success")] == 2
    assert report.gauges[STATE, ("payments", "closed")] == 1
    assert report.gauges[STATE, ("payments", "open")] == 1
    assert report.gauges[RETRY_AFTER, ("payments",)] == 10


def test_permit_that_outlives_its_breaker_is_counted_and_nothing_twice(make, ledger):
    payments = make(listeners=[ledger])
    payments.call(lambda: "answer")
    permit = payments.acquire()
    assert successes(ledger) == 1
    del payments
    gc.collect()
    assert successes(ledger) == 1

    permit.success()
    del permit
    gc.collect()

    assert successes(ledger) == 2
    assert successes(ledger) == 2


def test_evicted_breakers_of_a_group_are_counted(clock, ledger):
    api = BreakerGroup("api", max_size=3, clock=clock, listeners=[ledger])
    for key in range(50):
        api[key].call(lambda: "answer")
    gc.collect()

    report = ledger.read()
    calls = sum(v for (f, labels), v in report.counters.items() if f is CALLS)
    living = sum(v for (f, labels), v in report.gauges.items() if f is STATE)

    assert (calls, living) == (50, 4)  # 3 keys and the overflow breaker


def test_counters_never_go_back_while_breakers_come_and_go(make, clock, ledger):
    stop = threading.Event()
    made = []

    def churn():
        for _ in range(200):
            payments = make(listeners=[ledger])
            payments.call(lambda: "answer")
            payments.trip()
            del payments
            made.append(1)
        stop.set()

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    before = ledger.read().counters
    while any(thread.is_alive() for thread in threads):
        now = ledger.read().counters
        assert all(now[series] >= value for series, value in before.items())
        before = now
    gc.collect()

    assert successes(ledger) == len(made) == 400
    pair = ("payments", "closed", "open")
    assert ledger.read().counters[TRANSITIONS, pair] == 400


def test_listener_that_is_removed_keeps_its_sums(make, ledger):
    payments = make(listeners=[ledger])
    payments.call(lambda: "answer")

    payments.remove_listener(ledger)
    payments.call(lambda: "answer")

    assert successes(ledger) == 1
    assert ledger.read().gauges[STATE, ("payments", "closed")] == 0


# -- names ---------------------------------------------------------------------------


def test_listener_that_comes_back_counts_nothing_twice(make, ledger):
    breaker = make(listeners=[ledger])
    breaker.call(str)
    breaker.remove_listener(ledger)
    breaker.add_listener(ledger)

    assert successes(ledger) == 1


def test_names_beyond_the_limit_share_one(make):
    ledger = Ledger(None, Names(2))
    made = [make(name, listeners=[ledger]) for name in "abcd"]
    for breaker in made:
        breaker.call(lambda: "answer")

    counters = ledger.read().counters

    assert {labels[0] for figure, labels in counters if labels} == {"a", "b", "other"}
    assert counters[CALLS, ("other", "success")] == 2
    assert counters[FOLDED, ()] == 2


def test_label_set_is_bounded_whatever_the_keys(clock):
    ledger = Ledger(None, Names(5))
    api = BreakerGroup("api", max_size=10, clock=clock, listeners=[ledger])
    for key in range(500):
        if permit := api[f"host-{key}"].try_acquire():
            permit.failure()
    gc.collect()

    report = ledger.read()

    assert len({labels[0] for _, labels in report.counters if labels}) == 6
    assert len(report.counters) < 6 * 30


def test_label_function_folds_a_group(clock):
    ledger = Ledger(lambda name: name.partition("[")[0], Names(5))
    api = BreakerGroup("api", clock=clock, listeners=[ledger])
    for key in range(10):
        api[key].call(lambda: "answer")

    assert successes(ledger, "api") == 10
    assert ledger.read().gauges[STATE, ("api", "closed")] == 11


@pytest.mark.recloser_allow_callback_errors
@pytest.mark.parametrize("label", [lambda name: 1 / 0, lambda name: None])
def test_bad_label_function_hurts_no_caller(make, label):
    ledger = Ledger(label, Names(5))

    payments = make(listeners=[ledger])

    assert payments.call(lambda: "answer") == "answer"
    assert payments.snapshot().callback_errors == 1
    assert list(ledger.read().counters) == [(FOLDED, ())]


def test_name_that_is_no_text_is_made_one(make, ledger):
    odd = make("\ud800x", listeners=[ledger])
    odd.call(lambda: "answer")

    assert successes(ledger, "?x") == 1


def test_processes_agree_on_the_first_names(tmp_path):
    one, other = Names(3, str(tmp_path)), Names(3, str(tmp_path))

    answers = [one.admitted("a"), other.admitted("b"), one.admitted("c")]
    answers += [other.admitted("d"), one.admitted("d"), other.admitted("a")]
    answers += [Names(3, str(tmp_path)).admitted("e")]

    assert answers == ["a", "b", "c", "other", "other", "a", "other"]


def test_names_with_line_ends_do_not_confuse_the_file(tmp_path):
    one = Names(2, str(tmp_path))

    assert one.admitted("a\nb\nc") == "a\nb\nc"
    assert Names(2, str(tmp_path)).admitted("d") == "d"


def test_half_a_line_in_the_file_is_passed_over(tmp_path):
    (tmp_path / "recloser_names").write_bytes(b'"a"\n"b\xff')

    names = Names(3, str(tmp_path))

    assert [names.admitted(name) for name in "acd"] == ["a", "other", "d"]
    assert Names(3, str(tmp_path)).admitted("c") == "c"


# -- reading -------------------------------------------------------------------------


def test_asking_for_each_figure_in_turn_reads_the_breakers_once(make, ledger):
    payments = make(listeners=[ledger])
    first = ledger.read_for(CALLS)
    payments.call(lambda: "answer")

    assert ledger.read_for(REJECTED) is first
    assert ledger.read_for(CALLS).counters[CALLS, ("payments", "success")] == 1


@pytest.mark.recloser_allow_callback_errors
def test_broken_clock_of_one_breaker_leaves_the_others_readable(make, ledger):
    broken = []

    def clock():
        if broken:
            raise RuntimeError
        return 0.0

    odd = make("odd", clock=clock, listeners=[ledger])
    payments = make(listeners=[ledger])
    payments.call(lambda: "answer")
    broken.append(1)

    assert successes(ledger) == 1
    assert odd.snapshot().callback_errors > 0


# -- forks ---------------------------------------------------------------------------


@needs_fork
def test_child_begins_at_zero_and_parent_goes_on():
    program = """
import os
from recloser import CircuitBreaker
from recloser.listeners._figures import CALLS, STATE
from recloser.listeners._ledger import Ledger
from recloser.listeners._names import Names

ledger = Ledger(None, Names(5))
payments = CircuitBreaker("payments", listeners=[ledger])
key = CALLS, ("payments", "success")
payments.call(str)
pid = os.fork()
if not pid:
    before = ledger.read().counters[key]
    payments.call(str)
    print(before, ledger.read().counters[key], ledger.read().generation, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(ledger.read().counters[key], ledger.read().generation)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.stderr == ""
    assert run.stdout.splitlines() == ["0.0 1.0 1", "1.0 0"]


@needs_fork
def test_threads_may_fork_at_the_same_time():
    program = """
import os, sys, threading
from recloser.listeners._ledger import Ledger
from recloser.listeners._names import Names

sys.setswitchinterval(1e-6)
ledgers = [Ledger(None, Names(5)) for _ in range(5)]

def fork():
    for _ in range(30):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)

threads = [threading.Thread(target=fork, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(30)
print(*(thread.is_alive() for thread in threads), flush=True)
os._exit(0)
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.stderr == ""
    assert run.stdout == "False False\n"


def test_label_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="function of a breaker's name, got 'host'"):
        Ledger("host", Names(100))
