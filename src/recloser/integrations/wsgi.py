"""WSGI: rejections become 503, and breakers have health routes. Needs no library.

    application = RejectionMiddleware(application)

Flask and Django turn exceptions into answers inside the application, so they have
modules of their own; around them this one still serves bodies that fail before their
first chunk.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from inspect import iscoroutinefunction
from typing import Any, Protocol, Self, cast, final

from .. import BreakerGroup, CircuitOpenError, Registry
from ._answers import Answer
from ._health import Desk
from ._rejections import Told, answer_to, checked, rejection_in

Environ = MutableMapping[str, Any]  # what PEP 3333 itself says: any value
Authorise = Callable[[Environ, str, str], bool]
"""Decides by environ, action and name; anything but True is a no."""


class StartResponse(Protocol):
    """What a server gives an application to begin its answer with (PEP 3333)."""

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """Begin the answer."""
        ...


App = Callable[[Environ, Any], Iterable[bytes]]


@final
class RejectionMiddleware:
    """Turn a `CircuitOpenError` that leaves the application into 503 with `Retry-After`.

    Also one that a body raises before its first chunk. A group of exceptions counts if it
    holds nothing but rejections. What has begun to be answered is left to fail as it
    would. The body is a problem document (RFC 9457) that says nothing of the breaker
    unless told to. Safe for threads.

    Args:
        app: The application.
        tell: What callers may know: any of "name", "state", "reason". Default nothing.
    """

    def __init__(self, app: App, *, tell: Iterable[Told] = ()) -> None:
        """Check the options."""
        self._app = app
        self._tell = checked(tell)

    def __call__(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Run the application."""
        reply = _Reply(environ, start_response, self._tell)
        try:
            body = self._app(environ, reply.start)
        except (CircuitOpenError, ExceptionGroup) as error:
            return [reply.refuse(error)]
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(body, list | tuple) or _is_made_by(wrapper, body):
            return body  # nothing in it can raise, and servers know how to send it fast
        return _Watched(body, reply)


def _is_made_by(wrapper: object, body: object) -> bool:
    return isinstance(wrapper, type) and isinstance(body, wrapper)


class _Reply:
    """One answer on its way, and whether any of it has left."""

    def __init__(
        self, environ: Environ, start_response: StartResponse, tell: frozenset[Told]
    ) -> None:
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._start_response = start_response
        self._tell = tell
        self.begun = False

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Begin the application's answer; headers leave with the first chunk."""
        write = self._start_response(status, headers, exc_info)

        def writing(data: bytes) -> object:
            self.begun = True
            return write(data)

        return writing

    def refuse(self, error: CircuitOpenError | ExceptionGroup[Exception]) -> bytes:
        """Begin our answer instead and return its body, or raise the error again."""
        rejection = rejection_in(error)
        if rejection is None or self.begun:
            raise error
        answer = answer_to(rejection, self._tell)
        self._start_response(answer.line, answer.all_headers, sys.exc_info())
        return b"" if self._is_head else answer.body


class _Watched:
    """A body whose first chunk may turn out to be a rejection."""

    def __init__(self, body: Iterable[bytes], reply: _Reply) -> None:
        self._body = body
        self._chunks: Iterator[bytes] | None = None
        self._reply = reply

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            chunk = next(self._chunks)
        except (CircuitOpenError, ExceptionGroup) as error:
            self._chunks = iter(())
            return self._reply.refuse(error)
        self._reply.begun = True  # also if empty: some servers send headers then
        return chunk

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


@final
class Health:
    """An application with routes for liveness, readiness and the breakers themselves.

    The routes, the options and what is safe about them are those of
    `recloser.integrations.asgi.Health`; only the hook is another: it is plain, and takes
    the WSGI environment. Mount it below a path (`werkzeug`'s `DispatcherMiddleware`), or
    serve it alone. Safe for threads.

    Args:
        registry: Whose breakers. Default the process's own.
        groups: Groups whose breakers are listed, too.
        ready_unless_open: Names of breakers without which there is nothing to serve.
            Default none.
        allow_changes: Whether state can be changed. Default False.
        authorise: Decides by environ, action and name. Asked for everything but `/live`
            and `/ready`. Needed for changes. Default: everybody may look.

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
        if iscoroutinefunction(authorise):
            msg = f"authorise must be a plain function here, got {authorise!r}"
            raise TypeError(msg)
        self._authorise = authorise
        self._desk = Desk(
            registry=registry,
            groups=groups,
            ready_unless_open=ready_unless_open,
            allow_changes=allow_changes,
            has_hook=authorise is not None,
        )

    def __call__(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        answer = self._answer(environ)
        start_response(answer.line, answer.all_headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    def _answer(self, environ: Environ) -> Answer:
        def header(name: str) -> str | None:
            key = name.upper().replace("-", "_")
            return environ.get(key if key == "CONTENT_TYPE" else f"HTTP_{key}")

        path = str(environ.get("PATH_INFO", "")).encode("latin-1")
        plan = self._desk.plan(
            environ["REQUEST_METHOD"],
            path.decode("utf-8", "replace"),
            environ.get("QUERY_STRING", ""),
            header,
        )
        if isinstance(plan, Answer):
            return plan
        hook = self._authorise
        allowed = True if hook is None else hook(environ, plan.action, plan.name)
        return self._desk.answer(plan, allowed=cast("object", allowed))
