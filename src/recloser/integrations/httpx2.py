"""Transports for httpx2: a breaker per host in front of every request of a client.

httpx2 has the interface of httpx under a name of its own, and this module has that of
`recloser.integrations.httpx`: everything said there holds here. The SDKs of OpenAI and
Anthropic are built on the one or the other, by version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from .. import CircuitOpenError
from ._extras import extra
from ._http import STATUSES
from ._transports import AsyncBody, AsyncTransport, Body, Library, SyncTransport, key_of

with extra("httpx2", httpx2="2.0"):
    import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._http import Breakers

__all__ = [
    "STATUSES",
    "AsyncCircuitTransport",
    "CircuitOpenTransportError",
    "CircuitTransport",
    "failures",
    "host_of",
    "ignore",
    "retry_after",
    "successes",
]


def host_of(request: httpx2.Request) -> str:
    """Return the host of a request, with its port where that is not the scheme's own."""
    return key_of(request.url)


class CircuitOpenTransportError(CircuitOpenError, httpx2.TransportError):
    """A request was rejected: both a `CircuitOpenError` and an `httpx2.TransportError`.

    Picklable; a copy has the facts of the rejection, but no `request`.
    """

    _request: httpx2.Request | None = None  # where httpx2 looks for it

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the request out: it may hold secrets, and what cannot be pickled."""
        return type(self), self.args


class _Body(Body, httpx2.SyncByteStream):
    """The body of an answer."""


class _AsyncBody(AsyncBody, httpx2.AsyncByteStream):
    """The body of an answer to a task."""


_library: Library[httpx2.Request, httpx2.Response] = Library(
    httpx2, body=_Body, async_body=_AsyncBody, rejection=CircuitOpenTransportError
)
failures = _library.errors.failures
successes = _library.errors.successes
ignore = _library.errors.ignore
retry_after = _library.errors.retry_after


@final
class CircuitTransport(
    SyncTransport[httpx2.Request, httpx2.Response], httpx2.BaseTransport
):
    """Guards each request of an `httpx2.Client`, and judges it by how its body ends.

    See `recloser.integrations.httpx.CircuitTransport`.

    Args:
        transport: What sends the requests. Default a new `httpx2.HTTPTransport()`.
        breakers, key, statuses, fallback: As there; the default group is called "httpx2".

    Raises:
        TypeError, ValueError: An option is of the wrong type, or a status is none.
    """

    def __init__(
        self,
        transport: httpx2.BaseTransport | None = None,
        *,
        breakers: Breakers | None = None,
        key: Callable[[httpx2.Request], object] = host_of,
        statuses: Iterable[int] = STATUSES,
        fallback: Callable[[httpx2.Request, CircuitOpenTransportError], httpx2.Response]
        | None = None,
    ) -> None:
        """Check every option."""
        watch = _library.watch(breakers, key, statuses)
        inside = transport or httpx2.HTTPTransport()
        super().__init__(_library, inside, watch, fallback)


@final
class AsyncCircuitTransport(
    AsyncTransport[httpx2.Request, httpx2.Response], httpx2.AsyncBaseTransport
):
    """Guards each request of an `httpx2.AsyncClient`; see `CircuitTransport`.

    Args:
        transport: What sends the requests. Default a new `httpx2.AsyncHTTPTransport()`.
        breakers, key, statuses, fallback: As there. The fallback is a plain function.
    """

    def __init__(
        self,
        transport: httpx2.AsyncBaseTransport | None = None,
        *,
        breakers: Breakers | None = None,
        key: Callable[[httpx2.Request], object] = host_of,
        statuses: Iterable[int] = STATUSES,
        fallback: Callable[[httpx2.Request, CircuitOpenTransportError], httpx2.Response]
        | None = None,
    ) -> None:
        """Check every option."""
        watch = _library.watch(breakers, key, statuses)
        inside = transport or httpx2.AsyncHTTPTransport()
        super().__init__(_library, inside, watch, fallback)
