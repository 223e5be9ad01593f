"""A process that runs the genuine library on the keys of a server, on request.

Run as a script with the library's name and the server's socket: reads one Python
expression a line, with `breaker` in scope, and answers with its repr or its error's.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self


class PeerProcess:
    """The genuine library in another process. `with` ends it."""

    def __init__(self, library: str, socket: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), library, socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, expression: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(expression + "\n")
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()


def fail() -> None:
    message = "down"
    raise OSError(message)


def serve(library: str, socket: str) -> None:
    import redis

    module = importlib.import_module(library)
    client = redis.Redis(unix_socket_path=socket)
    if library == "pybreaker":
        storage = module.CircuitRedisStorage("closed", client, "shop")
    else:
        closed = module.CircuitBreakerState.CLOSED
        storage = module.storage.CircuitRedisStorage(closed, client, "shop")
    breaker = module.CircuitBreaker(fail_max=3, state_storage=storage)
    names = {"breaker": breaker, "fail": fail, "succeed": str}
    for line in sys.stdin:
        try:
            answer = repr(eval(line, names))  # noqa: S307  from the test beside us
        except Exception as error:  # noqa: BLE001  the answer
            answer = f"{type(error).__name__}: {error}"
        print(answer, flush=True)  # noqa: T201  the answer


if __name__ == "__main__":
    serve(*sys.argv[1:])
