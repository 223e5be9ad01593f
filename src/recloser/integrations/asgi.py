"""ASGI: rejections become 503, and breakers have health routes. Needs no library.

    app.add_middleware(RejectionMiddleware)         # Starlette, FastAPI
    app.mount("/circuits", Health())

Litestar turns exceptions into answers inside any middleware, so it has a module of its
own for rejections; its mounts take `Health` as it is.
"""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
)
from inspect import isawaitable
from typing import Any, cast, final

from .. import BreakerGroup, CircuitOpenError, Registry
from ._answers import Answer
from ._health import Desk, Question
from ._rejections import Told, answer_to, checked, rejection_in

Scope = MutableMapping[str, Any]  # what ASGI itself says of the three: any value
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Authorise = Callable[[Scope, str, str], bool | Awaitable[bool]]
"""Decides by scope, action and name; plain or async; anything but True is a no."""

_BEGINNINGS = {
    "http.response.start",
    "websocket.accept",
    "websocket.close",
    "websocket.http.response.start",
}
_DENIAL = "websocket.http.response"
"""The extension by which a server can refuse a handshake with an answer."""


@final
class RejectionMiddleware:
    """Turn a `CircuitOpenError` that leaves the application into 503 with `Retry-After`.

    A group of exceptions counts if it holds nothing but rejections. What has begun to be
    answered is left to fail as it would. A WebSocket handshake is refused, with the same
    answer where the server can send one. The body is a problem document (RFC 9457) that
    says nothing of the breaker unless told to. Safe for any number of requests.

    Args:
        app: The application.
        tell: What callers may know: any of "name", "state", "reason". Default nothing.
    """

    def __init__(self, app: App, *, tell: Iterable[Told] = ()) -> None:
        """Check the options."""
        self._app = app
        self._tell = checked(tell)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] in _BEGINNINGS
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except (CircuitOpenError, ExceptionGroup) as error:
            rejection = rejection_in(error)
            if rejection is None or begun:
                raise
            await _refuse(scope, send, answer_to(rejection, self._tell))


@final
class Health:
    """An application with routes for liveness, readiness and the breakers themselves.

    `GET /` lists them (`?state=open`, `?limit=`, `?after=`), `/live` is always 200,
    `/ready` is 200 unless one of `ready_unless_open` rejects, `/breakers/<name>` shows
    one. `POST /breakers/<name>/<action>` with `Content-Type: application/json` changes
    one, where that is allowed: `trip`, `force_open`, `disable`, `observe`, `reset`.

    Names that come in are looked up and never make anything; no message of an exception
    goes out. Mount it, or serve it alone. Safe for any number of requests.

    Args:
        registry: Whose breakers. Default the process's own.
        groups: Groups whose breakers are listed, too.
        ready_unless_open: Names of breakers without which there is nothing to serve.
            Default none: an instance is not taken out for a dependency's outage. When
            its wait is over a breaker counts as ready, as it takes a call to close it.
        allow_changes: Whether state can be changed. Default False.
        authorise: Decides by scope, action (`list`, `show` or one of the five) and name;
            plain or async, on the event loop. Asked for everything but `/live` and
            `/ready`. Needed for changes. Default: everybody may look.

    Raises:
        TypeError, ValueError: An option is wrong, or changes are allowed to everybody.
    """

    def __init__(
        self,
        *,
        registry: Registry | None = None,
        groups: Iterable[BreakerGroup] = (),
        ready_unless_open: Iterable[str] = (),
        allow_changes: bool = False,
        authorise: Authorise | None = None,
    ) -> None:
        """Check the options."""
        self._authorise = authorise
        self._desk = Desk(
            registry=registry,
            groups=groups,
            ready_unless_open=ready_unless_open,
            allow_changes=allow_changes,
            has_hook=authorise is not None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; WebSockets are refused."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await _send(scope, send, await self._answer(scope))

    async def _answer(self, scope: Scope) -> Answer:
        query = cast("bytes", scope.get("query_string", b""))
        plan = self._desk.plan(
            scope["method"],
            _path_below(scope),
            query.decode("latin-1"),
            _headers(scope).get,
        )
        if isinstance(plan, Answer):
            return plan
        return self._desk.answer(plan, allowed=await self._allowed(scope, plan))

    async def _allowed(self, scope: Scope, question: Question) -> object:
        if self._authorise is None:
            return True
        said = self._authorise(scope, question.action, question.name)
        return await said if isawaitable(said) else said


def _path_below(scope: Scope) -> str:
    """Return the path below the mount point, whether servers cut that off or not."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and f"{path}/".startswith(f"{root}/") else path


def _headers(scope: Scope) -> Mapping[str, str]:
    """Return the headers by lower-case name; of several, all, so that none is hidden."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in cast("Iterable[tuple[bytes, bytes]]", scope["headers"]):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _refuse(scope: Scope, send: Send, answer: Answer) -> None:
    if scope["type"] == "http":
        await _send(scope, send, answer)
    elif _DENIAL in (scope.get("extensions") or {}):
        await _deny(send, answer)
    else:
        await send({"type": "websocket.close", "code": 1013})  # try again later


async def _send(scope: Scope, send: Send, answer: Answer) -> None:
    head = {"status": answer.status, "headers": _encoded(answer.all_headers)}
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.start", **head})
    await send({"type": "http.response.body", "body": body})


async def _deny(send: Send, answer: Answer) -> None:
    """Refuse a handshake, without Content-Length: some servers send their own."""
    headers = [("Content-Type", answer.content_type), *answer.headers]
    head = {"status": answer.status, "headers": _encoded(headers)}
    await send({"type": f"{_DENIAL}.start", **head})
    await send({"type": f"{_DENIAL}.body", "body": answer.body})


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers
    ]
