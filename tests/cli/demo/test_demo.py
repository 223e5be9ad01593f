"""The command as people run it: a subprocess, a real service, real time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from matplotlib.image import imread

from recloser.cli.demo.records import Client

_SCRIPT = """
import signal, sys
from recloser.cli import main
# Ctrl-C has to work also where the tests themselves were started in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
DEMO = [sys.executable, "-c", _SCRIPT, "demo", "--plain"]


class Ran:
    """One run of the command, and what it left."""

    def __init__(self, folder: Path) -> None:
        arguments = [*DEMO, "--seconds", "5", "--save", str(folder)]
        self.process = subprocess.run(
            arguments, capture_output=True, check=False, encoding="utf-8"
        )
        self.folder = folder

    def row(self, label: str) -> list[str]:
        """Return the two figures of a row of the table."""
        rows = [line for line in self.process.stdout.splitlines() if label in line]
        return [cell.strip() for cell in rows[0].strip("|").split("|")[1:]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("demo") / "made" / "by the demo")


def test_run_succeeds_and_says_nothing_on_the_error_stream(ran: Ran):
    assert ran.process.stderr == ""
    assert ran.process.returncode == 0


def test_plain_run_has_no_control_characters(ran: Ran):
    assert not any(c < " " and c != "\n" for c in ran.process.stdout)


def test_table_has_a_figure_for_both_clients_in_every_row(ran: Ran):
    reached = [int(cell) for cell in ran.row("calls that reached the dying service")]
    rejected = [int(cell) for cell in ran.row("rejected by the breaker")]

    assert 0 < reached[1] < reached[0]
    assert rejected[0] == 0 < rejected[1]
    assert all(cell.endswith("s") for cell in ran.row("time callers spent waiting"))
    assert all("/" in cell for cell in ran.row("p50 / p99 of all calls"))
    assert ran.row("from recovery to closed")[0] == "-"


def test_log_tells_every_stage_and_why_the_breaker_opened(ran: Ran):
    out = ran.process.stdout

    assert all(f"service    {act}:" in out for act in ("errors", "hangs", "slow"))
    assert "breaker    closed → open: " in out
    assert "open → half-open" in out


def test_figures_add_up(ran: Ran):
    saved = json.loads((ran.folder / "figures.json").read_text(encoding="utf-8"))

    for client in Client:
        own = saved[client.value]
        assert sum(own["endings"].values()) == own["calls"] > 0
        assert 0 < own["waited_for_nothing"] < own["waited"]
    assert saved["guarded"]["waited"] < saved["unguarded"]["waited"]


def test_pictures_are_there_and_open(ran: Ran):
    svg = ET.parse(ran.folder / "timeline.svg")  # noqa: S314 (our own file)
    png = imread(ran.folder / "timeline.png")

    assert len(list(svg.iter())) > 200
    assert png.std() > 0.01


def test_interrupt_ends_the_run_with_130_and_no_traceback(tmp_path: Path):
    arguments = [*DEMO, "--seconds", "60", "--save", str(tmp_path)]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout
        process.stdout.readline()  # the run has begun

        process.send_signal(signal.SIGINT)

        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "recloser demo: interrupted\n"
    assert list(tmp_path.iterdir()) == []
