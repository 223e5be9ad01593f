"""Real servers on loopback for applications, and a plain client for them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from threading import Event, Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn
import werkzeug.serving


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    raw_headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A running application, and what left it unhandled."""

    host: str
    escaped: list[BaseException]

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        with closing(HTTPConnection(self.host, timeout=60)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = answer.getheaders()
            lower = {name.lower(): value for name, value in found}
            return Reply(answer.status, lower, found, answer.read())

    def post(self, path: str, **headers: str) -> Reply:
        """Post as a script on an operator's machine would."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(path, "POST", {"Content-Type": "application/json", **given})


@contextmanager
def asgi(app: Any) -> Iterator[Served]:
    """Serve with uvicorn. Nobody waits: what connects early is in the backlog."""
    escaped: list[BaseException] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except BaseException as error:
            escaped.append(error)
            raise

    config = uvicorn.Config(
        watched, log_config=None, lifespan="on", ws="websockets-sansio"
    )
    server = _Uvicorn(config)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = Thread(target=server.run, args=([bound],), name="uvicorn")
        thread.start()
        try:
            yield Served(f"127.0.0.1:{bound.getsockname()[1]}", escaped)
        finally:
            server.leave()
            thread.join()


class _Uvicorn(uvicorn.Server):
    """Uvicorn that leaves when told to, instead of looking ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._running = Event()

    async def main_loop(self) -> None:
        self._loop, self._left = asyncio.get_running_loop(), asyncio.Event()
        self._running.set()
        await self._left.wait()

    def leave(self) -> None:
        if self._running.wait(60):
            self._loop.call_soon_threadsafe(self._left.set)


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = False


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def get_stderr(self) -> Any:
        return _Nowhere()


class _QuietWerkzeug(werkzeug.serving.WSGIRequestHandler):
    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""


class _Nowhere:
    def write(self, text: str) -> None: ...

    def flush(self) -> None: ...


def _wsgiref(app: Any) -> WSGIServer:
    server = _Threads(("127.0.0.1", 0), _Quiet)
    server.set_app(app)
    return server


def _werkzeug(app: Any) -> Any:
    return werkzeug.serving.make_server(
        "127.0.0.1", 0, app, threaded=True, request_handler=_QuietWerkzeug
    )


@contextmanager
def wsgi(app: Any, server: str = "wsgiref") -> Iterator[Served]:
    """Serve with `wsgiref` or `werkzeug`."""
    escaped: list[BaseException] = []

    def watched(environ: Any, start_response: Any) -> Any:
        try:
            yield from _closing(app(environ, start_response))
        except BaseException as error:
            escaped.append(error)
            raise

    makers: dict[str, Callable[[Any], Any]] = {
        "wsgiref": _wsgiref,
        "werkzeug": _werkzeug,
    }
    running = makers[server](watched)
    thread = Thread(target=running.serve_forever, args=(0.02,), name=server)
    thread.start()
    try:
        yield Served(f"127.0.0.1:{running.server_port}", escaped)
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def _closing(body: Any) -> Iterator[bytes]:
    try:
        yield from body
    finally:
        getattr(body, "close", lambda: None)()
