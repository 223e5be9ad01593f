"""The same run on every interpreter found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from .subjects import LIBRARIES, OURS, load_adapters

ROOT: Final = Path(__file__).parents[1]
OLDEST: Final = (3, 11)
_CACHE: Final = Path.home() / ".cache" / "recloser"
_NAME: Final = re.compile(r"python3\.\d+t?$")
_ASK: Final = (
    "import sys, sysconfig; t = 't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED'));"
    "print(*sys.version_info[:2], t)"
)


def run_everywhere(*, quick: bool, install: bool) -> int:
    """Run the benchmarks on every interpreter, each in an environment of its own.

    Returns:
        How many of the runs failed.
    """
    failed = 0
    for tag, program in sorted(found().items()):
        python = environment(tag, program, install=install)
        command = [str(python), "-m", "benchmarks", "--peers"]
        if quick:
            command.append("--quick")
        sys.stdout.write(f"\n=== {tag}: {program}\n")
        sys.stdout.flush()
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        failed += (
            subprocess.run(command, cwd=ROOT, env=env, check=False).returncode != 0
        )
    return failed


def found() -> dict[str, Path]:
    """Return one interpreter for each version, by tag, e.g. "3.13t"."""
    by_tag: dict[str, Path] = {}
    for folder in folders():
        for program in sorted(folder.glob("python3*")):
            if _NAME.search(program.name):
                tag = tag_of(program)
                if tag:
                    by_tag.setdefault(tag, program)
    return by_tag


def folders() -> list[Path]:
    """Return where interpreters may be: fetched ones, pyenv's, and the path."""
    held = sorted((_CACHE / "interpreters").glob("*/bin"))
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("*/bin"))
    path = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    return [*held, *pyenv, *(each for each in path if "shims" not in each.parts)]


def tag_of(program: Path) -> str:
    """Return the version an interpreter reports; "" if it is too old or does not run."""
    try:
        done = subprocess.run(
            [program, "-c", _ASK],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    major, minor, *threaded = done.stdout.split()
    if (int(major), int(minor)) < OLDEST:
        return ""
    return f"{major}.{minor}{''.join(threaded)}"


def environment(tag: str, program: Path, *, install: bool) -> Path:
    """Return the Python of a virtual environment with the rivals that can be had."""
    home = _CACHE / "benchmarks" / tag
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([program, "-m", "venv", "--without-pip", home], check=True)
        if install:
            install_rivals(python)
    return python


def install_rivals(python: Path) -> None:
    """Install the rivals one by one, so that one that fails keeps out no other.

    This interpreter's pip does it: the other's may be missing, or too old for it.
    """
    load_adapters()
    for line in requirements():
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
        subprocess.run([*pip, "--quiet", "--prefer-binary", line], check=False)


def requirements() -> list[str]:
    """Return what the project's extras say of the rivals."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    known = re.compile(rf"({'|'.join(map(re.escape, LIBRARIES))})(?![\w-])")
    lines: list[str] = [*extras["peers"], *extras["rivals"]]
    return [line for line in lines if known.match(line) and not line.startswith(OURS)]
