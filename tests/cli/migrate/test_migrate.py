from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import recloser
from recloser.cli import main

OLD = "import pybreaker\n\nbreaker = pybreaker.CircuitBreaker()\n"
NEW = "from recloser.compat import pybreaker\n\nbreaker = pybreaker.CircuitBreaker()\n"
SOURCE = Path(recloser.__file__).parents[1]

Out = pytest.CaptureFixture[str]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "app.py"
    file.write_text(OLD)
    return file


def test_change_is_shown_and_not_made(app: Path, capsys: Out):
    code = main(["migrate", "."])

    out, err = capsys.readouterr()
    assert code == 0
    assert err == ""
    assert out == (
        "--- a/app.py\n"
        "+++ b/app.py\n"
        "@@ -1,3 +1,3 @@\n"
        "-import pybreaker\n"
        "+from recloser.compat import pybreaker\n"
        " \n"
        " breaker = pybreaker.CircuitBreaker()\n"
        "\n"
        "1 file would change; --write makes the change.\n"
    )
    assert app.read_text() == OLD


def test_change_is_made_when_asked_for(app: Path, capsys: Out):
    code = main(["migrate", str(app), "--write"])

    assert code == 0
    assert capsys.readouterr().out == f"changed: {app}\n"
    assert app.read_text() == NEW
    assert list(app.parent.iterdir()) == [app]


def test_changed_program_runs_without_the_original(app: Path):
    main(["migrate", "--write", str(app)])

    run = subprocess.run(
        [sys.executable, "-S", "-W", "error", str(app)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")


def test_second_run_finds_nothing(app: Path, capsys: Out):
    main(["migrate", "--write", "."])
    capsys.readouterr()

    code = main(["migrate", "."])

    assert code == 0
    assert capsys.readouterr().out == "No import to change.\n"
    assert app.read_text() == NEW


def test_diff_is_taken_by_git(app: Path, capsys: Out):
    tail = "import os, circuitbreaker"  # and no line end
    (app.parent / "é.py").write_bytes(b"import pybreaker\r\n")
    (app.parent / "tail.py").write_text(tail)
    main(["migrate", "."])
    diff = capsys.readouterr().out

    run = subprocess.run(
        ["git", "apply", "-"], input=diff.encode(), cwd=app.parent, check=False
    )

    assert run.returncode == 0
    assert app.read_text() == NEW
    assert (app.parent / "tail.py").read_text() == (
        "import os\nfrom recloser.compat import circuitbreaker"
    )
    assert (app.parent / "é.py").read_bytes() == (
        b"from recloser.compat import pybreaker\r\n"
    )


def test_what_is_left_to_decide_is_listed_and_told_by_the_exit_code(
    app: Path, capsys: Out
):
    app.write_text(OLD + "\nimportlib.import_module('pybreaker')\n")

    shown, out = main(["migrate", "."]), capsys.readouterr().out
    made, out_again = main(["migrate", "--write", "."]), capsys.readouterr().out

    place = "app.py:5: imports 'pybreaker' by its name, with import_module\n"
    assert (shown, made) == (1, 1)
    assert f"\nCould not decide:\n  {place}" in out
    assert f"\nCould not decide:\n  {place}" in out_again


def test_remark_does_not_change_the_exit_code(app: Path, capsys: Out):
    app.unlink()
    (app.parent / "requirements.txt").write_text("pybreaker\n")

    code = main(["migrate", "."])

    assert code == 0
    assert "\nTo know:\n  requirements.txt:1: requires pybreaker" in (
        capsys.readouterr().out
    )


def test_folder_without_a_use_says_so(tmp_path: Path, capsys: Out):
    assert main(["migrate", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "No import to change.\n"


def test_path_that_is_not_there_is_an_error(tmp_path: Path, capsys: Out):
    missing = str(tmp_path / "missing")

    code = main(["migrate", missing])

    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err == (
        f"recloser migrate: error: cannot read {missing!r}: No such file or directory\n"
    )


def test_path_must_be_given(capsys: Out):
    with pytest.raises(SystemExit) as exit_:
        main(["migrate"])

    assert exit_.value.code == 2
    assert "PATH" in capsys.readouterr().err


def test_file_that_cannot_be_written_is_named_and_the_others_are_changed(
    app: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
):
    other = app.parent / "zebra.py"
    other.write_text(OLD)
    genuine = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != app and genuine(path, mode)
    )

    code = main(["migrate", "--write", "."])

    assert code == 2
    assert capsys.readouterr().err == (
        "recloser migrate: not changed: app.py: is read-only\n"
    )
    assert (app.read_text(), other.read_text()) == (OLD, NEW)


def test_text_that_the_terminal_cannot_show_is_escaped(app: Path):
    app.write_text("import pybreaker; x = 'é'\n", encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-m", "recloser.cli", "migrate", "."],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "ascii"},
        cwd=app.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0
    assert "+from recloser.compat import pybreaker; x = '\\xe9'" in run.stdout
