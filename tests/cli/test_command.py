from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import recloser
from recloser.cli import COMMANDS, main

SOURCE = Path(recloser.__file__).parents[1]
BARE = [sys.executable, "-S", "-c"]
"""An interpreter that sees the standard library and nothing that was installed."""


def refused(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command says that does not start."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])

    out = " ".join(capsys.readouterr().out.split())
    assert exit_.value.code == 0
    assert all(command.name in out and command.says in out for command in COMMANDS)


def test_no_command_is_an_error_that_shows_the_usage(
    capsys: pytest.CaptureFixture[str],
):
    assert "usage: recloser" in refused(capsys=capsys)


@pytest.mark.parametrize(
    "seconds", ["0", "-1", "nan", "inf", "-inf", "1.9", "120.1", "long", ""]
)
def test_seconds_out_of_range_are_refused_with_value_and_rule(
    seconds: str, capsys: pytest.CaptureFixture[str]
):
    said = refused("demo", f"--seconds={seconds}", capsys=capsys)

    assert f"--seconds: must be a number in [2, 120], got {seconds!r}" in said


def test_seed_must_be_a_whole_number(capsys: pytest.CaptureFixture[str]):
    assert "--seed" in refused("demo", "--seed=1.5", capsys=capsys)


def test_folder_that_cannot_be_written_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "file"
    file.touch()

    code = main(["demo", "--save", str(file / "folder")])

    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.startswith("recloser demo: error: --save: cannot write to ")
    assert str(file / "folder") in err


def test_missing_libraries_are_named_with_the_extra_that_has_them():
    script = "import sys; sys.path.insert(0, sys.argv[1]); import recloser.cli as c; "
    script += "sys.exit(c.main(['demo']))"

    run = subprocess.run(
        [*BARE, script, str(SOURCE)], capture_output=True, text=True, check=False
    )

    assert run.returncode == 2
    assert "httpx, matplotlib, rich" in run.stderr
    assert "pip install 'recloser[demo]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_listing_the_commands_needs_no_extra():
    script = "import sys; sys.path.insert(0, sys.argv[1]); import recloser.cli as c; "
    script += "c.main(['--help'])"

    run = subprocess.run(
        [*BARE, script, str(SOURCE)], capture_output=True, text=True, check=False
    )

    assert run.returncode == 0
    assert "demo" in run.stdout
