"""Figures for Prometheus, in one process or in many.

In one process a collector reads the breakers when Prometheus asks: nothing is done
before, and no figure is older than the answer.

With `PROMETHEUS_MULTIPROC_DIR` (gunicorn and other pre-forking servers) the worker that
answers cannot read the breakers of the others, so each worker writes its figures to the
files of prometheus_client: every `every` seconds, within a tenth of a second after a
change of state, and when it ends. Successes pay nothing in either mode.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast, final

from .. import CircuitBreaker, Snapshot, Transition
from .._extras import extra
from ._figures import FIGURES, Figure
from ._flusher import Flusher
from ._ledger import Ledger
from ._names import Names
from ._options import seconds, whole

with extra("prometheus", prometheus_client="0.16"):
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.metrics_core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
    from prometheus_client.values import ValueClass

    from ._worker_files import WorkerFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@final
class PrometheusListener(Collector):
    """Show all breakers it is given to Prometheus: `recloser.add_listener(PrometheusListener())`.

    Give it to single breakers and to groups with `listeners=[...]`. Figures are named in
    docs/integrations.md. Sums outlive their breakers: a breaker that is collected, or
    made again under its name, leaves no gap. Safe for threads and forks.

    With several workers counters add up over all of them, the dead ones too; gauges are
    of living workers: `recloser_state` says how many are in each state, counting a
    worker from its first call on, and rates and waits are the highest. A worker that was
    killed loses what it counted since it last wrote, `every` seconds at most; its gauges
    go when the server calls `mark_process_dead`, or another worker finds it gone.

    Args:
        registry: Where to register; it refuses a second listener. Default
            prometheus_client's own.
        label: Makes the value of the label `name` out of a breaker's name. Breakers of
            the same label are added up, the way workers are. Default the name itself.
        names: Label values with series of their own, at least 1; later ones share the
            label `other`. Workers agree on them. Default 100.
        every: Seconds, > 0, between two writings, with several workers. Default 5.

    Raises:
        TypeError, ValueError: An option is of the wrong type or out of range, or the
            registry has such a listener.
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry | None = REGISTRY,
        label: Callable[[str], str] | None = None,
        names: int = 100,
        every: float = 5.0,
    ) -> None:
        """Register, or begin to write."""
        if not isinstance(cast("object", registry), CollectorRegistry | None):
            msg = f"registry must be a CollectorRegistry or None, got {registry!r}"
            raise TypeError(msg)
        most, period = whole("names", names), seconds("every", every)
        shared = bool(getattr(ValueClass, "_multiprocess", False))
        folder = _folder() if shared else None
        self._ledger = Ledger(label, Names(most, folder), idle=folder is None)
        self._files = WorkerFiles(folder, period, registry) if folder else None
        self._registry = None if folder else registry
        if self._registry is not None:
            self._registry.register(self)
        self._flusher = Flusher(self._flush, period) if folder else None

    def on_attached(self, breaker: CircuitBreaker) -> Callable[[Snapshot], object]:
        """Take in a breaker."""
        return self._ledger.on_attached(breaker)

    def on_transition(self, event: Transition) -> None:  # noqa: ARG002 - it is read off the breaker
        """Have the new state written soon, with several workers."""
        if self._flusher is not None:
            self._flusher.wake()

    def flush(self) -> None:
        """Write this worker's figures now; nothing to do in one process."""
        if self._flusher is not None:
            self._flusher.run()

    def _flush(self) -> None:
        if self._files is not None:
            report = self._ledger.read()
            self._files.write(report.counters, report.gauges, report.generation)

    def close(self) -> None:
        """Stop: write for the last time, or leave the registry."""
        if self._flusher is not None and self._files is not None:
            self._flusher.close()
            self._files.close()
        if self._registry is not None:
            self._registry.unregister(self)
            self._registry = None

    def describe(self) -> Iterator[Metric]:
        """Return the figures without their values; prometheus_client asks."""
        return iter([_family(figure) for figure in FIGURES])

    def collect(self) -> Iterator[Metric]:
        """Read the breakers; prometheus_client asks."""
        report = self._ledger.read()
        families = {figure: _family(figure) for figure in FIGURES}
        for values in (report.counters, report.gauges):
            for (figure, labels), value in values.items():
                families[figure].add_metric(labels, value)
        return iter(families.values())


def _folder() -> str | None:
    old = os.environ.get("prometheus_multiproc_dir")  # noqa: SIM112 - as it was called
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR", old)


def _family(figure: Figure) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if figure.is_counter else GaugeMetricFamily
    return kind(f"recloser_{figure.full_name}", figure.meaning, labels=figure.labels)
