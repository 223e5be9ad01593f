"""The payments service: real HTTP on loopback, a thread for every connection.

It fails as such services do. A hanging request holds its thread until the script
lets it go, also when its caller left long ago.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self, cast

from .records import Client, Recording, Visit

if TYPE_CHECKING:
    from socket import socket

CLIENT_HEADER = "X-Client"


class Service(ThreadingHTTPServer):
    """The service. A context manager: leaving it ends every thread it started.

    Args:
        recording: Gets every visit; holds the script, and the seed of the row of chances
            that each client meets.
    """

    request_queue_size = 128
    daemon_threads = False

    def __init__(self, recording: Recording) -> None:
        """Bind a free port of the loopback interface."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self._recording = recording
        self._chances = {c: Random(recording.seed) for c in Client}  # noqa: S311 (no secret)
        self._drawing = Lock()
        self._ending = Event()
        self._inside = dict.fromkeys(Client, 0)
        self._thread = Thread(target=self._serve, name="payments service")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/payments"

    def inside(self, client: Client) -> int:
        """Return how many of a client's requests it holds at this moment."""
        return self._inside[client]

    def answer(self, client: Client) -> int:
        """Do what the script says and return the status, when its time has come."""
        with self._drawing:
            came = self._recording.elapsed()
            chance = self._chances[client].random()
            self._inside[client] += 1
        stage = self._recording.story.at(came)
        reply = self._recording.story.reply(came, chance)
        self._ending.wait(reply.delay)
        with self._drawing:
            self._inside[client] -= 1
        left = self._recording.elapsed()
        visit = Visit(client=client, act=stage.act, came=came, left=left)
        self._recording.visits.append(visit)
        return reply.status

    def let_go(self) -> None:
        """Answer every held request now, and later ones at once."""
        self._ending.set()

    def handle_error(
        self, request: socket | tuple[bytes, socket], client_address: object
    ) -> None:
        """Say nothing of callers who hung up, and everything of other trouble."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to serve and wait for every thread."""
        self.let_go()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def _serve(self) -> None:
        self.serve_forever(poll_interval=0.1)


class _Handler(BaseHTTPRequestHandler):
    """One connection: keep-alive, one write for a whole answer."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        service = cast("Service", self.server)  # http.server knows only the base class
        status = service.answer(Client(self.headers[CLIENT_HEADER]))
        body = (
            b'{"paid": true}' if status == HTTPStatus.OK else b'{"error": "overloaded"}'
        )
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (inherited)
        """Keep the terminal for the view."""
