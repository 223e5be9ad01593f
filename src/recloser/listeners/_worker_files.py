"""The files in which a worker leaves its figures for whichever worker is asked.

They are prometheus_client's: one for each process and kind of figure. Counters of dead
processes stay and go on counting; gauges that are called live go with their process,
once somebody removes the file: the server, or else any other worker.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from ._figures import FIGURES, Figure, Merge, Series

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOM = 1 << 16  # bytes of a new file, as prometheus_client makes it

_Metric = TypeVar("_Metric", Counter, Gauge)
_MODES: dict[Merge, Literal["livesum", "livemax", "livemin"]] = {
    Merge.SUM: "livesum",
    Merge.MAX: "livemax",
    Merge.MIN: "livemin",
}


class WorkerFiles:
    """The figures of one worker. Used by one thread at a time.

    Args:
        folder: Where the files are: `PROMETHEUS_MULTIPROC_DIR`.
        registry: Where figures are declared, so that nobody declares them twice.
        grace: Seconds that a dead worker's gauges are left to the server to take away.
    """

    def __init__(
        self, folder: str, grace: float, registry: CollectorRegistry | None
    ) -> None:
        """Declare every figure; the files are what is read, whatever the registry."""
        self._folder = Path(folder)
        self._grace = grace
        self._dead: dict[Path, float] = {}
        self._pid = 0
        self._make_files()
        self._registry = registry
        self._counters = {
            one: _counter(one, registry) for one in FIGURES if one.is_counter
        }
        self._gauges = {
            one: _gauge(one, registry) for one in FIGURES if not one.is_counter
        }
        self._written: dict[Series, float] = {}
        self._generation = 0

    def write(
        self,
        counters: dict[Series, float],
        gauges: dict[Series, float],
        generation: int,
    ) -> None:
        """Write what has changed. Gauges that are no more become 0."""
        self._make_files()
        if generation != self._generation:
            self._generation, self._written = generation, {}
        written = self._written
        for series, total in counters.items():
            more = total - written.get(series, 0.0)
            if more or series not in written:
                _child(self._counters, series).inc(more)
                written[series] = total
        gone = {
            series: 0.0
            for series in written
            if not series[0].is_counter and series not in gauges
        }
        for series, value in {**gauges, **gone}.items():
            if written.get(series) != value:
                _child(self._gauges, series).set(value)
                written[series] = value
        self._sweep()

    def close(self) -> None:
        """Take the declarations back. What was written stays."""
        registry, self._registry = self._registry, None
        if registry is not None:
            for metric in (*self._counters.values(), *self._gauges.values()):
                registry.unregister(metric)

    def _make_files(self) -> None:
        """Make this process's files before prometheus_client does, in one step each.

        It opens a file and then makes room in it; who scrapes in between fails.
        """
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        for kind in ("counter", *(f"gauge_{mode}" for mode in _MODES.values())):
            file = self._folder / f"{kind}_{self._pid}.db"
            if not file.exists():
                whole = file.with_suffix(".new")
                whole.write_bytes(bytes(_ROOM))
                whole.replace(file)

    def _sweep(self) -> None:
        """Take away the gauges of workers that are gone and that nobody buried.

        Not at once: the server would stumble over files that it is about to remove.
        """
        now = time.monotonic()
        dead = [
            path
            for path in self._folder.glob("gauge_live*_*.db")
            if _is_dead(path.stem.rpartition("_")[2])
        ]
        self._dead = {path: self._dead.get(path, now) for path in dead}
        for path, since in self._dead.items():
            if now - since >= self._grace:
                path.unlink(missing_ok=True)


def _child(metrics: Mapping[Figure, _Metric], series: Series) -> _Metric:
    figure, labels = series
    metric = metrics[figure]
    return metric.labels(*labels) if labels else metric


def _counter(figure: Figure, registry: CollectorRegistry | None) -> Counter:
    name = f"recloser_{figure.full_name}"
    return Counter(name, figure.meaning, figure.labels, registry=registry)


def _gauge(figure: Figure, registry: CollectorRegistry | None) -> Gauge:
    return Gauge(
        f"recloser_{figure.full_name}",
        figure.meaning,
        figure.labels,
        registry=registry,
        multiprocess_mode=_MODES[figure.merge],
    )


def _is_dead(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's, so it is there
        return False
    return False
