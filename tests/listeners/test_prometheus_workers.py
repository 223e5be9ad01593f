"""Four real workers of a real gunicorn, scraped over HTTP, under load and with one killed."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recloser.listeners._figures import FIGURES

HERE = Path(__file__).parent
WORKERS = 4
BURIES = """
from prometheus_client import multiprocess

def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no gunicorn here")


class Gunicorn:
    """A running gunicorn with the shop in it."""

    def __init__(
        self, folder: Path, settings: str, *options: str, every: float = 0.5
    ) -> None:
        figures = folder / "figures"
        figures.mkdir()
        config = folder / "gunicorn.conf.py"
        config.write_text(settings)
        self.log = folder / "log"
        command = [
            *(sys.executable, "-m", "gunicorn", "shop:app"),
            *("--config", str(config), "--chdir", str(HERE)),
            *("--workers", str(WORKERS), "--bind", "127.0.0.1:0"),
            *("--pythonpath", ",".join(map(os.path.abspath, sys.path))),
            *options,
        ]
        paths = os.pathsep.join(map(os.path.abspath, sys.path))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                env={
                    **os.environ,
                    "EVERY": str(every),
                    "PROMETHEUS_MULTIPROC_DIR": str(figures),
                    "PYTHONPATH": paths,
                    "PYTHONWARNINGS": "error::DeprecationWarning:recloser",
                },
                stderr=log,
            )
        self.port = 0

    def is_up(self) -> bool:
        text = self.log.read_text()
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", text)
        self.port = int(found[1]) if found else 0
        return text.count("Booting worker") >= WORKERS

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def figures(self) -> dict[tuple[str, ...], float]:
        """Return every sample, by its name and sorted label values."""
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): (
                sample.value
            )
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
        }

    def state(self, state: str) -> float:
        return self.figures().get(("recloser_state", "payments", state), 0)

    def calls(self, outcome: str) -> float:
        return self.figures().get(("recloser_calls_total", "payments", outcome), 0)


@pytest.fixture(
    params=[(BURIES, []), (BURIES, ["--preload"]), ("", [])],
    ids=["buried", "preloaded", "found dead"],
)
def gunicorn(request, tmp_path, until):
    settings, options = request.param
    running = Gunicorn(tmp_path, settings, *options)
    try:
        until(running.is_up)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(120)
    assert "Traceback" not in running.log.read_text()


def test_figures_of_all_workers_add_up(gunicorn, until):
    """One life of a server, as starting one takes a second."""
    # Under load no counter goes back, whoever answers.
    before: dict[tuple[str, ...], float] = {}
    with ThreadPoolExecutor(8) as clients:
        load = [clients.submit(gunicorn.get, "/call") for _ in range(800)]
        while not all(one.done() for one in load):
            now = gunicorn.figures()
            counters = {key: now[key] for key in now if key[0].endswith("_total")}
            assert all(counters[key] >= before[key] for key in before)
            before = counters
    pids = {one.result() for one in load}
    assert len(pids) == WORKERS

    # Every call is counted, once.
    until(lambda: gunicorn.calls("success") == 800)
    until(lambda: gunicorn.state("closed") == WORKERS)

    # Every figure of the table is there, and no other.
    names = {key[0].removesuffix("_total") for key in gunicorn.figures()}
    assert names == {f"recloser_{figure.full_name}" for figure in FIGURES}

    # The state is that of each worker, soon after it changes.
    tripped = {gunicorn.get("/trip")}
    until(lambda: gunicorn.state("open") == 1)
    while len(tripped) < 2:
        tripped.add(gunicorn.get("/trip"))
    until(lambda: gunicorn.state("open") == 2)
    assert gunicorn.state("closed") == WORKERS - 2

    # A worker that is killed leaves its counts behind, and takes its state along.
    until(lambda: gunicorn.calls("success") == 800)
    os.kill(int(tripped.pop()), signal.SIGKILL)
    until(lambda: gunicorn.log.read_text().count("Booting worker") > WORKERS)
    until(lambda: gunicorn.state("open") == 1)
    assert gunicorn.calls("success") == 800

    # The worker that comes in its place is counted from its first call on.
    def newcomer_has_called():
        return gunicorn.get("/call") not in pids

    until(newcomer_has_called)
    until(lambda: gunicorn.state("closed") == WORKERS - 1)


def test_last_figures_are_written_at_a_graceful_end(tmp_path, until):
    running = Gunicorn(tmp_path, "", every=3600)
    try:
        until(running.is_up)
        for _ in range(40):
            running.get("/fail")
    finally:
        running.process.terminate()
        running.process.wait(120)

    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "figures")}
    program = (
        "from prometheus_client import CollectorRegistry, generate_latest\n"
        "from prometheus_client.multiprocess import MultiProcessCollector\n"
        "registry = CollectorRegistry(); MultiProcessCollector(registry)\n"
        "print(generate_latest(registry).decode())"
    )
    left = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in left.splitlines()
        if line.startswith(("recloser_calls_total", "recloser_rejected"))
    }

    assert sum(found.values()) == 40
