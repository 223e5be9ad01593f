"""Figures for Prometheus from one process; `test_prometheus_workers.py` has many."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.openmetrics import exposition
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics,
)

from recloser import BreakerGroup, CallEnded, Registry, TimeWindow
from recloser import FailureRate as Rate
from recloser.listeners._figures import FIGURES
from recloser.listeners.prometheus import PrometheusListener


class Threaded(ThreadingMixIn, WSGIServer):
    """A server with a thread for each request."""


class Quiet(WSGIRequestHandler):
    """One that does not write each request to the terminal."""

    def log_message(self, *_):
        pass


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def listener(registry):
    return PrometheusListener(registry=registry)


@pytest.fixture
def figure(registry):
    """Read one sample, as a scrape would."""

    def read(name, /, **labels):
        return registry.get_sample_value(f"recloser_{name}", labels)

    return read


def test_every_figure_is_exported_under_its_name(make, registry, listener):
    payments = make(trip=Rate(1, window=TimeWindow(60)), listeners=[listener])

    names = {
        line.split()[2]
        for line in generate_latest(registry).decode().splitlines()
        if line.startswith("# TYPE")
    }

    assert payments.name == "payments"
    assert names == {
        f"recloser_{one.full_name}" + "_total" * one.is_counter for one in FIGURES
    }


def test_a_life_is_told(make, clock, live, listener, figure):
    payments = make(listeners=[listener])
    live(payments, clock)

    assert figure("calls_total", name="payments", outcome="success") == 3
    assert figure("rejected_calls_total", name="payments") == 5
    pair = {"before": "closed", "after": "open"}
    assert figure("transitions_total", name="payments", **pair) == 1
    assert figure("state_seconds_total", name="payments", state="open") == 12
    assert figure("state", name="payments", state="half_open") == 1
    assert figure("state", name="payments", state="open") == 0


def test_figures_are_read_when_asked_for(make, listener, figure):
    payments = make(listeners=[listener])

    for calls in (1, 2, 3):
        payments.call(lambda: "answer")

        assert figure("calls_total", name="payments", outcome="success") == calls


def test_breakers_of_a_registry_and_of_a_group_are_shown(make, clock, listener, figure):
    registry = Registry()
    registry.add_listener(listener)
    payments = make(registry=registry)
    api = BreakerGroup("api", clock=clock, listeners=[listener])
    payments.call(lambda: "answer")
    api["host"].call(lambda: "answer")

    assert figure("calls_total", name="payments", outcome="success") == 1
    assert figure("calls_total", name="api[host]", outcome="success") == 1


def test_nobody_is_told_of_single_calls(make, listener):
    payments = make(listeners=[listener])

    assert not payments._circuit.publisher.wants(CallEnded)


def test_names_from_outside_are_escaped_and_bounded(make, clock, registry):
    listener = PrometheusListener(registry=registry, names=3)
    api = BreakerGroup("api", clock=clock, listeners=[listener])
    for key in ('"}\n# HELP x', "\\", "ä\u2028", *range(50)):
        api[key].call(lambda: "answer")

    text = exposition.generate_latest(registry).decode()
    labels = {
        sample.labels["name"]
        for family in open_metrics(text)
        for sample in family.samples
        if "name" in sample.labels
    }

    assert labels == {"api[*]", 'api["}?# HELP x]', "api[\\]", "other"}


def test_sums_of_a_collected_breaker_stay(make, listener, figure):
    payments = make(listeners=[listener])
    payments.call(lambda: "answer")
    del payments
    gc.collect()

    assert figure("calls_total", name="payments", outcome="success") == 1
    assert figure("state", name="payments", state="closed") == 0


def test_second_listener_of_a_registry_is_refused(registry, listener):
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        PrometheusListener(registry=registry)

    listener.close()
    PrometheusListener(registry=registry)


def test_closed_listener_is_no_longer_scraped(make, registry, listener):
    payments = make(listeners=[listener])
    listener.close()
    listener.close()

    assert generate_latest(registry) == b""
    assert payments.call(lambda: "answer") == "answer"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"names": 0}, ValueError, "names must be at least 1, got 0"),
        ({"names": "9"}, TypeError, "names must be a whole number, got '9'"),
        ({"every": 0}, ValueError, "every must be more than 0 seconds, got 0"),
    ],
)
def test_bad_options_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        PrometheusListener(registry=None, **options)


def test_scrape_over_http_from_many_threads_while_breakers_change(
    make, listener, registry
):
    server = make_server("127.0.0.1", 0, make_wsgi_app(registry), Threaded, Quiet)
    port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            payments = make(listeners=[listener])
            payments.call(lambda: "answer")
            payments.trip()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        answers = []
        for _ in range(20):
            connection = HTTPConnection("127.0.0.1", port, timeout=120)
            connection.request("GET", "/metrics")
            answers.append(connection.getresponse())
            assert b"recloser_calls_total" in answers[-1].read()
            connection.close()
    finally:
        stop.set()
        thread.join()
        server.shutdown()
        server.server_close()

    assert {answer.status for answer in answers} == {200}


def test_workers_file_is_never_there_without_room(tmp_path):
    """Who reads a file that prometheus_client has opened but not filled fails."""
    program = """
import os, sys

def watch(event, args):
    if event == "open" and str(args[0]).endswith(".db"):
        print(os.path.getsize(args[0]))

sys.addaudithook(watch)
from recloser import CircuitBreaker
from recloser.listeners.prometheus import PrometheusListener

listener = PrometheusListener(every=3600)
payments = CircuitBreaker("payments", listeners=[listener])
listener.flush()
listener.close()
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert set(run.stdout.split()) == {str(1 << 16)}
    assert len(list(tmp_path.glob("*.db"))) == 4


def test_second_listener_of_a_worker_is_refused_too(tmp_path):
    """Two would write over each other's counts."""
    program = """
from recloser.listeners.prometheus import PrometheusListener

first = PrometheusListener(every=3600)
try:
    PrometheusListener(every=3600)
except ValueError as error:
    print(str(error)[:21])
first.close()
PrometheusListener(every=3600).close()
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout == "Duplicated timeseries\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_workers_files_hold_through_forks(tmp_path):
    """The thread that writes does not come along, nor do the parent's counts."""
    program = """
import os, threading
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from recloser import CircuitBreaker
from recloser.listeners.prometheus import PrometheusListener

listener = PrometheusListener(every=3600)
payments = CircuitBreaker("payments", listeners=[listener])
payments.call(str)
listener.flush()
for _ in range(3):
    pid = os.fork()
    if not pid:
        assert "recloser-metrics" in {t.name for t in threading.enumerate()}
        payments.call(str)
        listener.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
payments.call(str)
listener.flush()
registry = CollectorRegistry()
MultiProcessCollector(registry)
for line in generate_latest(registry).decode().splitlines():
    if 'outcome="success"' in line:
        print(line)
"""
    strictly = ("-W", "error", "-W", "ignore::ResourceWarning")  # of prometheus_client
    run = subprocess.run(
        [sys.executable, *strictly, "-c", program],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        'recloser_calls_total{name="payments",outcome="success"} 5.0'
    ]


def test_registry_that_is_none_is_refused():
    with pytest.raises(TypeError, match="CollectorRegistry or None, got 'default'"):
        PrometheusListener(registry="default")
