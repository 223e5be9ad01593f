"""Figures and span events through the in-memory exporters of OpenTelemetry's SDK."""

from __future__ import annotations

import asyncio
import gc

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from recloser import CircuitOpenError, State, TimeWindow
from recloser import FailureRate as Rate
from recloser.listeners._figures import FIGURES
from recloser.listeners.opentelemetry import OpenTelemetryListener, SpanListener
from recloser.testing import force

# -- metrics -------------------------------------------------------------------------


class Metrics:
    """What a reader collects, as instrument -> attributes -> value."""

    def __init__(self):
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def collect(self):
        [resource] = self.reader.get_metrics_data().resource_metrics
        [scope] = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}

    def value(self, name, /, **attributes):
        wanted = {f"circuitbreaker.{key}": text for key, text in attributes.items()}
        points = self.collect()[f"recloser.{name}"].data.data_points
        [value] = [one.value for one in points if dict(one.attributes) == wanted]
        return value


@pytest.fixture
def metrics():
    metrics = Metrics()
    yield metrics
    metrics.provider.shutdown()


@pytest.fixture
def listener(metrics):
    return OpenTelemetryListener(meter_provider=metrics.provider)


def test_every_figure_is_an_instrument_with_its_unit(make, metrics, listener):
    payments = make(trip=Rate(1, window=TimeWindow(60)), listeners=[listener])

    collected = metrics.collect()

    assert payments.state is State.CLOSED
    assert {name: one.unit for name, one in collected.items()} == {
        f"recloser.{figure.full_name}": figure.of for figure in FIGURES
    }


def test_counters_are_monotonic_sums_and_states_are_not(make, metrics, listener):
    payments = make(listeners=[listener])

    collected = metrics.collect()

    assert collected["recloser.calls"].data.is_monotonic
    assert not collected["recloser.state"].data.is_monotonic
    assert not hasattr(collected["recloser.streak"].data, "is_monotonic")
    assert payments.state is State.CLOSED


def test_a_life_is_told(make, clock, live, metrics, listener):
    payments = make(listeners=[listener])
    live(payments, clock)

    assert metrics.value("calls", name="payments", outcome="failure") == 2
    assert metrics.value("rejected_calls", name="payments") == 5
    assert metrics.value("state", name="payments", state="half_open") == 1
    pair = {"before": "open", "after": "half_open"}
    assert metrics.value("transitions", name="payments", **pair) == 1


def test_each_collection_reads_anew(make, metrics, listener):
    payments = make(listeners=[listener])

    for calls in (1, 2, 3):
        payments.call(lambda: "answer")

        assert metrics.value("calls", name="payments", outcome="success") == calls


def test_sums_outlive_their_breaker(make, metrics, listener):
    payments = make(listeners=[listener])
    payments.call(lambda: "answer")
    del payments
    gc.collect()

    assert metrics.value("calls", name="payments", outcome="success") == 1


def test_names_are_bounded(make, metrics):
    listener = OpenTelemetryListener(meter_provider=metrics.provider, names=1)
    made = [make(name, listeners=[listener]) for name in "abc"]

    assert metrics.value("state", name="other", state="closed") == 2
    assert metrics.value("folded_breakers") == 2
    assert len(made) == 3


# -- spans ---------------------------------------------------------------------------


class Spans:
    """A tracer, and the spans that it has finished."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.begin = self.provider.get_tracer("test").start_as_current_span

    def only(self):
        [span] = self.exporter.get_finished_spans()
        return span

    def events(self):
        return [(event.name, dict(event.attributes)) for event in self.only().events]


@pytest.fixture
def spans():
    spans = Spans()
    yield spans
    spans.provider.shutdown()


@pytest.fixture
def traced(make):
    return make(listeners=[SpanListener()])


def test_rejected_call_is_marked_on_its_span(traced, spans):
    traced.trip()

    with spans.begin("charge"), pytest.raises(CircuitOpenError):
        traced.call(lambda: "answer")

    attributes = {"circuitbreaker.name": "payments", "circuitbreaker.state": "open"}
    reason = {
        "circuitbreaker.reason": "tripped by hand",
        "circuitbreaker.retry_after": 10,
    }
    assert spans.events() == [("circuitbreaker.rejected", {**attributes, **reason})]
    assert dict(spans.only().attributes) == {
        **attributes,
        "circuitbreaker.rejected": True,
    }


def test_rejection_that_is_held_has_no_time_to_come_back(traced, spans):
    traced.force_open()

    with spans.begin("charge"), pytest.raises(CircuitOpenError):
        traced.call(lambda: "answer")

    [(_, attributes)] = spans.events()
    assert "circuitbreaker.retry_after" not in attributes


def test_probe_is_marked_with_its_end_and_what_it_changed(traced, clock, spans):
    traced.trip()
    clock.advance(10)

    with spans.begin("charge"):
        traced.call(lambda: "answer")

    assert [name for name, _ in spans.events()] == [
        "circuitbreaker.transition",
        "circuitbreaker.probe_started",
        "circuitbreaker.probe_ended",
        "circuitbreaker.transition",
    ]
    assert spans.events()[2][1]["circuitbreaker.outcome"] == "success"
    assert spans.only().attributes["circuitbreaker.probe"] is True
    assert spans.only().attributes["circuitbreaker.state"] == "half_open"


def test_failure_that_opens_tells_its_type_and_not_its_text(traced, spans):
    def fail():
        raise ConnectionError("secret")

    traced.acquire().failure()
    with spans.begin("charge") as span, pytest.raises(ConnectionError):
        span.set_attribute("own", "kept")
        traced.call(fail)

    [event] = [e for e in spans.events() if e[0].startswith("circuitbreaker")]
    assert event[1]["circuitbreaker.after"] == "open"
    assert event[1]["error.type"] == "ConnectionError"
    assert "secret" not in str(event)
    assert spans.only().attributes["own"] == "kept"


def test_span_of_an_ordinary_call_is_left_alone(traced, spans):
    with spans.begin("charge"):
        traced.call(lambda: "answer")

    assert spans.events() == []
    assert dict(spans.only().attributes) == {}


def test_events_go_to_the_task_that_made_the_call(traced, spans):
    async def answer():
        return "answer"

    async def call(name):
        with spans.begin(name):
            try:
                await traced.acall(answer)
            except CircuitOpenError:
                return

    async def both():
        await asyncio.gather(call("one"), call("two"))

    traced.trip()
    asyncio.run(both())

    marked = {
        span.name: [event.name for event in span.events]
        for span in spans.exporter.get_finished_spans()
    }
    assert marked == {
        "one": ["circuitbreaker.rejected"],
        "two": ["circuitbreaker.rejected"],
    }


def test_without_a_span_nothing_happens(traced):
    force(traced, State.OPEN)

    with pytest.raises(CircuitOpenError):
        traced.acquire()

    assert not trace.get_current_span().is_recording()


def test_meter_provider_that_is_none_is_refused():
    with pytest.raises(TypeError, match="must be a MeterProvider, got 'global'"):
        OpenTelemetryListener(meter_provider="global")
