"""A rejected call and its breaker's figures, through OpenTelemetry's in-memory exporters."""

from contextlib import suppress

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from recloser import CircuitBreaker, CircuitOpenError
from recloser.listeners.opentelemetry import OpenTelemetryListener, SpanListener

reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
figures = OpenTelemetryListener(meter_provider=MeterProvider([reader]))
search = CircuitBreaker("search", listeners=[figures, SpanListener()])

search.trip()
tracer = tracers.get_tracer("shop")
with tracer.start_as_current_span("find"), suppress(CircuitOpenError):
    search.call(print, "not printed")

[find] = spans.get_finished_spans()
print(find.name, dict(find.attributes or {}))
[resource] = reader.get_metrics_data().resource_metrics
for metric in resource.scope_metrics[0].metrics:
    if metric.name == "recloser.state":
        for point in metric.data.data_points[:2]:
            print(metric.name, point.attributes["circuitbreaker.state"], point.value)

# find {'circuitbreaker.name': 'search', 'circuitbreaker.state': 'open', 'circuitbreaker.rejected': True}
# recloser.state closed 0.0
# recloser.state open 1.0
