from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from recloser.cli.demo import report
from recloser.cli.demo.figures import Figures, figures
from recloser.cli.demo.records import Client, Recording


@pytest.fixture
def both(recording: Recording) -> dict[Client, Figures]:
    return {client: figures(recording, client) for client in Client}


def test_rows_hold_the_figures_of_both_clients(both: dict[Client, Figures]):
    assert report.rows(both) == [
        ("calls", "5", "4"),
        ("  answered", "2", "2"),
        ("  failed", "1", "1"),
        ("  timed out", "2", "0"),
        ("  rejected by the breaker", "0", "1"),
        ("calls that reached the dying service", "3", "1"),
        ("most calls inside the service at once", "2", "1"),
        ("time callers spent waiting", "2.06 s", "70 ms"),
        ("  of it for calls that failed", "2.01 s", "10 ms"),
        ("p50 / p99 of all calls", "30 ms / 1.00 s", "10 ms / 40 ms"),
        ("p50 / p99 of answered calls", "20 ms / 30 ms", "20 ms / 40 ms"),
        ("from recovery to closed", "-", "1.00 s"),
    ]


def test_plain_table_shows_every_row_in_ascii(both: dict[Client, Figures]):
    out = StringIO()

    Console(file=out, width=100).print(report.table(both, plain=True))

    text = out.getvalue()
    assert text.isascii()
    assert all(label in text for label, _, _ in report.rows(both))


def test_saved_figures_are_those_of_the_run_in_seconds(
    both: dict[Client, Figures], tmp_path: Path
):
    path = report.save(both, tmp_path)

    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["unguarded"]["endings"] == {
        "answered": 2,
        "failed": 1,
        "timed out": 2,
        "rejected": 0,
    }
    assert saved["unguarded"]["waited"] == pytest.approx(2.06)
    assert saved["guarded"]["recovery_to_closed"] == pytest.approx(1)
    assert saved["unguarded"]["recovery_to_closed"] is None
