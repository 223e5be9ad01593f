"""Transports for httpx: a breaker per host in front of every request of a client.

    client = httpx.Client(transport=CircuitTransport())
    client = httpx.AsyncClient(transport=AsyncCircuitTransport())

Redirects are requests of their own, to the breaker of their own host. A client that is
given a transport does not read proxies from the environment: give the proxy to
`httpx.HTTPTransport(proxy=...)`, and that to the transport here.

To guard a function that uses httpx, rather than a client, a breaker takes this module's
judgement: `CircuitBreaker("api", ignore=ignore, successes=successes,
retry_after=retry_after)`. `failures` is the narrow form: with it, what is not an error of
httpx is an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from .. import CircuitOpenError
from ._extras import extra
from ._http import STATUSES
from ._transports import AsyncBody, AsyncTransport, Body, Library, SyncTransport, key_of

with extra("httpx", httpx="0.27"):
    import httpx

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


def host_of(request: httpx.Request) -> str:
    """Return the host of a request, with its port where that is not the scheme's own."""
    return key_of(request.url)


class CircuitOpenTransportError(CircuitOpenError, httpx.TransportError):
    """A request was rejected: both a `CircuitOpenError` and an `httpx.TransportError`.

    Picklable; a copy has the facts of the rejection, but no `request`.
    """

    _request: httpx.Request | None = None  # where httpx looks for it

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the request out: it may hold secrets, and what cannot be pickled."""
        return type(self), self.args


class _Body(Body, httpx.SyncByteStream):
    """The body of an answer."""


class _AsyncBody(AsyncBody, httpx.AsyncByteStream):
    """The body of an answer to a task."""


_library: Library[httpx.Request, httpx.Response] = Library(
    httpx, body=_Body, async_body=_AsyncBody, rejection=CircuitOpenTransportError
)
failures = _library.errors.failures
successes = _library.errors.successes
ignore = _library.errors.ignore
retry_after = _library.errors.retry_after


@final
class CircuitTransport(
    SyncTransport[httpx.Request, httpx.Response], httpx.BaseTransport
):
    """Guards each request of an `httpx.Client`, and judges it by how its body ends.

    Connection errors, timeouts and `statuses` are failures. Other answers are judged by
    their body: read to its end, or closed before it, is a success; one that breaks is a
    failure. Waiting in vain for a connection of the client's own pool is neutral, and so
    are mistakes in the request. Slow is the time to the head of the answer. Retries of
    `httpx.HTTPTransport(retries=...)` are inside: one request, one outcome.

    Share it as you share its client. Options of the breakers (`trip`, `recovery`,
    `ignore`, `listeners` and all others) are the group's.

    Args:
        transport: What sends the requests. Default a new `httpx.HTTPTransport()`.
        breakers: A group that has a breaker for each key, or one breaker for all.
            Default a `BreakerGroup("httpx")` of this transport's own.
        key: Function of the request that returns its key in the group. Default the
            host, and the port where it is not the scheme's own.
        statuses: The statuses that are failures, from 100 to 599. Default 429, 500,
            502, 503, 504. Their `Retry-After` may lengthen the wait up to the recovery
            policy's `longest_hint`.
        fallback: Function of a rejected request and the rejection that returns a
            response in place of raising it. Default none.

    Raises:
        TypeError, ValueError: An option is of the wrong type, or a status is none.
    """

    def __init__(
        self,
        transport: httpx.BaseTransport | None = None,
        *,
        breakers: Breakers | None = None,
        key: Callable[[httpx.Request], object] = host_of,
        statuses: Iterable[int] = STATUSES,
        fallback: Callable[[httpx.Request, CircuitOpenTransportError], httpx.Response]
        | None = None,
    ) -> None:
        """Check every option."""
        watch = _library.watch(breakers, key, statuses)
        inside = transport or httpx.HTTPTransport()
        super().__init__(_library, inside, watch, fallback)


@final
class AsyncCircuitTransport(
    AsyncTransport[httpx.Request, httpx.Response], httpx.AsyncBaseTransport
):
    """Guards each request of an `httpx.AsyncClient`; see `CircuitTransport`.

    A request or body that is cancelled is neutral. Works on asyncio and trio.

    Args:
        transport: What sends the requests. Default a new `httpx.AsyncHTTPTransport()`.
        breakers, key, statuses, fallback: As there. The fallback is a plain function.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        breakers: Breakers | None = None,
        key: Callable[[httpx.Request], object] = host_of,
        statuses: Iterable[int] = STATUSES,
        fallback: Callable[[httpx.Request, CircuitOpenTransportError], httpx.Response]
        | None = None,
    ) -> None:
        """Check every option."""
        watch = _library.watch(breakers, key, statuses)
        inside = transport or httpx.AsyncHTTPTransport()
        super().__init__(_library, inside, watch, fallback)
