"""A real HTTP server on loopback that follows a failure script.

Each request takes the next step of the script; when it is used up, every request takes
the last step that was given to `always`, at first a plain 200.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Final, Self, cast

import pytest

PATIENCE: Final = 120.0
"""Seconds after which a held connection is given up, should a test forget it."""


@dataclass(frozen=True)
class Answer:
    """A whole answer. `cut` bytes of the promised body are never sent."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0


@dataclass(frozen=True)
class Stream:
    """A chunked answer, a chunk at a time; the iterable may block to hold it up.

    `ends` is "well", "cut" (no last chunk), "reset" or "held" (until the server is let go).
    """

    chunks: Iterable[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ends: str = "well"


@dataclass(frozen=True)
class HangUp:
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Reset:
    """Reset the connection without an answer."""


@dataclass(frozen=True)
class Held:
    """Do not answer until the server is let go, then hang up."""


Step = Answer | Stream | HangUp | Reset | Held


@dataclass(frozen=True)
class Visit:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Loopback(ThreadingHTTPServer):
    """The server. A context manager; leaving it ends every connection and thread."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.visits: list[Visit] = []
        self.ending = Event()
        self._steps: deque[Step] = deque()
        self._always: Step = Answer()
        self._guard = Lock()
        self._open: set[socket.socket] = set()
        self._thread = Thread(target=self._serve, name="loopback")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def script(self, *steps: Step) -> None:
        """Let the next requests take these steps, one each."""
        self._steps.extend(steps)

    def always(self, step: Step) -> None:
        """Let every request take this step once the script is used up."""
        self._always = step

    def next_step(self, visit: Visit) -> Step:
        with self._guard:
            self.visits.append(visit)
            return self._steps.popleft() if self._steps else self._always

    async def cancel_here(self, request: Coroutine[Any, Any, object]) -> None:
        """Send a request, and cancel it when it has come here."""
        before = len(self.visits)
        task = asyncio.ensure_future(request)
        async with asyncio.timeout(PATIENCE):
            while len(self.visits) == before:  # noqa: ASYNC110 - seen by a thread
                await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def let_go(self) -> None:
        """End every held answer."""
        self.ending.set()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients hang up on purpose here."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        self.shutdown()
        self._thread.join()
        with self._guard:
            idle = list(self._open)
        for connection in idle:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def _serve(self) -> None:
        self.serve_forever(poll_interval=0.02)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    disable_nagle_algorithm = True

    def _visit(self) -> None:
        server = cast("Loopback", self.server)
        step = server.next_step(self._seen())
        match step:
            case Answer():
                self._answer(step)
            case Stream():
                self._stream(step, server)
            case HangUp():
                self.close_connection = True
            case Reset():
                self._reset()
            case Held():
                server.ending.wait(PATIENCE)
                self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = do_DELETE = _visit  # noqa: N815

    def _seen(self) -> Visit:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return Visit(self.command, self.path, dict(self.headers), body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        known = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Status"
        self.send_response_only(status, known)  # no headers of its own
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _answer(self, step: Answer) -> None:
        headers = {**step.headers, "Content-Length": str(len(step.body))}
        self._head(step.status, headers)
        if self.command != "HEAD":
            self.wfile.write(step.body[: len(step.body) - step.cut])
        if step.cut:
            self.close_connection = True

    def _stream(self, step: Stream, server: Loopback) -> None:
        self._head(step.status, {**step.headers, "Transfer-Encoding": "chunked"})
        for chunk in step.chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        match step.ends:
            case "well":
                self.wfile.write(b"0\r\n\r\n")
                return
            case "reset":
                self._reset()
            case "held":
                server.ending.wait(PATIENCE)
        self.close_connection = True

    def _reset(self) -> None:
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def refused() -> str:
    """Return a URL on loopback where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"
