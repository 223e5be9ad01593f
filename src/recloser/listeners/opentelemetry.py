"""Figures and span events for OpenTelemetry.

`OpenTelemetryListener` makes observable instruments: the breakers are read when a metric
reader collects, and nothing is done before. `SpanListener` writes rejections, probes and
changes of state on the span of the call that met them.

There is no convention for circuit breakers yet; attributes are named as the proposal for
one does (open-telemetry/semantic-conventions, issue 2355): `circuitbreaker.name`,
`circuitbreaker.state`. Texts of exceptions, which can hold secrets, are not written.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, final

from .._extras import extra
from ._figures import FIGURES, Figure, Merge
from ._ledger import Ledger
from ._names import Names
from ._options import whole

with extra("opentelemetry", opentelemetry_api="1.25"):
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import MeterProvider

    from .. import (
        CircuitBreaker,
        ProbeEnded,
        ProbeStarted,
        Rejected,
        Snapshot,
        Transition,
    )

_SCOPE = "recloser"
_PREFIX = "circuitbreaker"


@final
class OpenTelemetryListener:
    """Offer the figures of all breakers it is given: `recloser.add_listener(OpenTelemetryListener())`.

    Give it to single breakers and to groups with `listeners=[...]`. Instruments are named
    in docs/integrations.md. Each process reports its own; a collector adds them up. Sums
    outlive their breakers. Safe for threads and forks. Make one for a meter provider:
    instruments cannot be taken back.

    Args:
        meter_provider: Where instruments are made. Default the global one.
        label: Makes `circuitbreaker.name` out of a breaker's name. Breakers of one label
            are added up. Default the name itself.
        names: Labels with figures of their own, at least 1; later ones share `other`.
            Default 100.
    """

    def __init__(
        self,
        *,
        meter_provider: MeterProvider | None = None,
        label: Callable[[str], str] | None = None,
        names: int = 100,
    ) -> None:
        """Make the instruments."""
        self._ledger = Ledger(label, Names(whole("names", names)))
        if meter_provider is not None and not hasattr(meter_provider, "get_meter"):
            msg = f"meter_provider must be a MeterProvider, got {meter_provider!r}"
            raise TypeError(msg)
        meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        for figure in FIGURES:
            _instrument(meter, figure, partial(self._observe, figure))

    def on_attached(self, breaker: CircuitBreaker) -> Callable[[Snapshot], object]:
        """Take in a breaker."""
        return self._ledger.on_attached(breaker)

    def _observe(self, figure: Figure, _: CallbackOptions) -> Iterable[Observation]:
        report = self._ledger.read_for(figure)
        values = report.counters if figure.is_counter else report.gauges
        for (one, labels), value in values.items():
            if one is figure:
                yield Observation(value, _attributes(figure.labels, labels))


@final
class SpanListener:
    """Write what happens to guarded calls on their spans: `CircuitBreaker("payments", listeners=[SpanListener()])`.

    A rejection, the start and end of a probe, and a change of state become events of the
    current span, if it records; a rejected or probing call's span also gets the
    attributes `circuitbreaker.name`, `circuitbreaker.state` and
    `circuitbreaker.rejected` or `circuitbreaker.probe`. One listener may serve any
    number of breakers and threads.
    """

    def on_rejected(self, event: Rejected) -> None:
        """Mark the span of a call that was not made."""
        facts = {
            "name": event.name,
            "state": event.state.value,
            "reason": event.reason,
            "retry_after": event.retry_after,
        }
        _mark("rejected", facts, rejected=True)

    def on_probe_started(self, event: ProbeStarted) -> None:
        """Mark the span of a call that decides whether the circuit closes."""
        facts: dict[str, _Value] = {
            "name": event.name,
            "state": "half_open",
            "place": event.place,
        }
        _mark("probe_started", facts, probe=True)

    def on_probe_ended(self, event: ProbeEnded) -> None:
        """Say how a probe ended."""
        facts: dict[str, _Value] = {
            "name": event.name,
            "place": event.place,
            "outcome": event.kind.value,
        }
        _mark("probe_ended", facts)

    def on_transition(self, event: Transition) -> None:
        """Say on the span of the call that brought it about that the state changed."""
        facts = {
            "name": event.name,
            "before": event.before.value,
            "after": event.after.value,
            "reason": event.reason or None,
            "retry_after": event.retry_after,
        }
        failure = {"error.type": event.failure.type} if event.failure else {}
        _mark("transition", facts, **failure)


_Value = str | float | bool | None


def _mark(event: str, facts: Mapping[str, _Value], **marks: _Value) -> None:
    span = trace.get_current_span()
    if not span.is_recording():
        return
    named = {
        f"{_PREFIX}.{key}": fact for key, fact in facts.items() if fact is not None
    }
    errors = {key: mark for key, mark in marks.items() if isinstance(mark, str)}
    span.add_event(f"{_PREFIX}.{event}", {**named, **errors})
    flags = {f"{_PREFIX}.{key}": mark for key, mark in marks.items() if mark is True}
    if flags:
        keys = (f"{_PREFIX}.name", f"{_PREFIX}.state")
        span.set_attributes({**{key: named[key] for key in keys}, **flags})


def _instrument(
    meter: Meter,
    figure: Figure,
    callback: Callable[[CallbackOptions], Iterable[Observation]],
) -> None:
    name = f"{_SCOPE}.{figure.full_name}"
    unit, meaning = figure.of, figure.meaning
    if figure.is_counter:
        meter.create_observable_counter(name, [callback], unit, meaning)
    elif figure.merge is Merge.SUM:
        meter.create_observable_up_down_counter(name, [callback], unit, meaning)
    else:
        meter.create_observable_gauge(name, [callback], unit, meaning)


def _attributes(keys: tuple[str, ...], labels: tuple[str, ...]) -> dict[str, str]:
    return {f"{_PREFIX}.{key}": label for key, label in zip(keys, labels, strict=True)}
