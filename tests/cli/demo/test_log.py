from __future__ import annotations

from io import StringIO

from rich.console import Console

from recloser.cli.demo.log import Log
from recloser.cli.demo.records import Recording


def written(recording: Recording, *moments: float) -> list[list[str]]:
    """Return the lines that were written at each moment."""
    out = StringIO()
    log = Log(recording, Console(file=out, width=40))
    lines: list[list[str]] = []
    for now in moments:
        out.seek(0)
        out.truncate()
        log.write(now)
        lines.append(out.getvalue().splitlines())
    return lines


def test_each_line_is_written_once(recording: Recording):
    first, second, third = written(recording, 0.1, 20, 20)

    assert first
    assert second
    assert not third


def test_lines_come_in_the_order_of_the_run(recording: Recording):
    (lines,) = written(recording, 20)

    times = [float(line.split()[0]) for line in lines]

    assert times == sorted(times)


def test_changes_tell_states_and_reason_on_one_line_however_narrow(
    recording: Recording,
):
    (lines,) = written(recording, 20)

    assert "  3.00 s  breaker    closed → open: 5 failures in a row" in lines


def test_stage_begins_with_what_each_client_got_until_then(recording: Recording):
    (lines,) = written(recording, 20)

    begun = next(n for n, line in enumerate(lines) if "hangs" in line)

    assert lines[begun - 2 : begun] == [
        "  6.20 s  unguarded  1 answered, 1 failed, waited 30 ms",
        "  6.20 s  guarded    1 answered, 1 failed, waited 50 ms",
    ]
