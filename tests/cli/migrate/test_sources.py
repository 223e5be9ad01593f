from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from recloser.cli.migrate.findings import Findings, examine
from recloser.cli.migrate.sources import files_below, read, replace

Look = Callable[[dict[str, str | bytes]], Findings]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_stay_what_they_are(ending: str, look: Look):
    lines = ["x = 1", "import os, pybreaker", "y = '\x0c\u2028'", ""]

    found = look({"app.py": ending.join(lines)})

    assert found.changes[0].text == ending.join(
        ["x = 1", "import os", "from recloser.compat import pybreaker", *lines[2:]]
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbfimport pybreaker\n",
        b"# coding: latin-1\nx = '\xe9'; import pybreaker\n",
        b"# -*- coding: cp1252 -*-\r\nx = '\x80'\r\nimport pybreaker",
        b"import pybreaker\nx = '\xc3\xa9'",
    ],
)
def test_encoding_byte_order_mark_and_missing_last_line_end_stay(
    raw: bytes, look: Look, tmp_path: Path
):
    found = look({"app.py": raw})

    replace(found.changes[0].source, found.changes[0].text)

    new = b"from recloser.compat import pybreaker"
    assert (tmp_path / "app.py").read_bytes() == raw.replace(b"import pybreaker", new)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"import pybreaker\nx = '\xe9'\n", "cannot be decoded"),
        (b"# coding: nonsense\nimport pybreaker\n", "cannot be decoded"),
        (b"import pybreaker\nprint 1\n", "cannot be parsed: line 2"),
        (b"import pybreaker\0\n", "cannot be parsed"),
        (b"import pybreaker\nx = " + b"(" * 10_000, "cannot be parsed"),
    ],
)
def test_file_that_is_no_python_is_listed_if_it_mentions_one(
    raw: bytes, says: str, look: Look
):
    [place] = look({"app.py": raw}).undecided

    assert says in place.says


def test_file_that_is_no_python_and_mentions_none_is_not_listed(look: Look):
    assert look({"app.py": b"print 1\xe9\n"}).undecided == []


def test_other_people_s_folders_are_not_looked_into(tmp_path: Path):
    for folder in (".git", "__pycache__", "node_modules", "env", "site-packages", "a"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.py").touch()
    (tmp_path / "env" / "pyvenv.cfg").touch()

    assert list(files_below([tmp_path])) == [tmp_path / "a" / "x.py"]


def test_file_named_twice_is_looked_at_once(tmp_path: Path):
    file = tmp_path / "x.py"
    file.touch()

    assert list(files_below([file, tmp_path, file])) == [file]


def test_circle_of_links_ends(tmp_path: Path):
    (tmp_path / "x.py").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere.py").symlink_to(tmp_path / "missing")

    assert list(files_below([tmp_path])) == [tmp_path / "x.py"]


def test_script_without_a_suffix_is_known_by_its_first_line(look: Look):
    found = look(
        {
            "bin/tool": "#!/usr/bin/env python3\nimport pybreaker\n",
            "bin/notes": "import pybreaker\n",
        }
    )

    assert [change.source.path.name for change in found.changes] == ["tool"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o4711])
def test_permissions_stay(mode: int, tmp_path: Path):
    file = tmp_path / "x.py"
    file.write_text("import pybreaker\n")
    file.chmod(mode)

    replace(read(file), "changed\n")

    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert file.read_text() == "changed\n"


def test_link_stays_and_its_target_changes(tmp_path: Path):
    target = tmp_path / "elsewhere" / "x.py"
    target.parent.mkdir()
    target.write_text("import pybreaker\n")
    link = tmp_path / "link.py"
    link.symlink_to(target)

    replace(read(link), "changed\n")

    assert link.is_symlink()
    assert target.read_text() == "changed\n"


def test_file_that_changed_meanwhile_is_left_alone(tmp_path: Path):
    file = tmp_path / "x.py"
    file.write_text("import pybreaker\n")
    source = read(file)
    file.write_text("something else\n")

    with pytest.raises(OSError, match="was changed meanwhile"):
        replace(source, "changed\n")

    assert file.read_text() == "something else\n"
    assert list(tmp_path.iterdir()) == [file]


def test_text_that_the_encoding_has_not_leaves_the_file_alone(tmp_path: Path):
    file = tmp_path / "x.py"
    file.write_bytes(b"# coding: latin-1\nimport pybreaker\n")
    before = file.read_bytes()

    with pytest.raises(ValueError, match="codec can't encode"):
        replace(read(file), "€\n")

    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_examining_changes_no_file(tmp_path: Path):
    file = tmp_path / "x.py"
    file.write_text("import pybreaker\n")
    before = file.stat()

    found = examine([tmp_path])

    assert len(found.changes) == 1
    assert file.stat() == before or file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.read_text() == "import pybreaker\n"
