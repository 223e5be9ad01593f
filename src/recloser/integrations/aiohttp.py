"""Middleware for aiohttp's client: a breaker per host in front of every request.

    async with aiohttp.ClientSession(middlewares=(CircuitMiddleware(),)) as session: ...

Redirects are requests of their own, to the breaker of their own host. Middlewares that
stand before this one in the row are outside: one that retries is asked and counted for
each try. To guard a function that uses aiohttp, rather than a session, a breaker takes
this module's judgement: `CircuitBreaker("api", ignore=ignore, successes=successes,
retry_after=retry_after)`. `failures` is the narrow form: with it, what is neither an error
of aiohttp nor an `OSError` is an answer.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

from .. import CircuitOpenError
from ._causes import is_rejected
from ._extras import extra
from ._http import STATUSES, Watch, hint, host_key

with extra("aiohttp", aiohttp="3.12"):
    import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from ._http import Breakers, Exchange

__all__ = [
    "STATUSES",
    "CircuitMiddleware",
    "CircuitOpenClientError",
    "failures",
    "host_of",
    "ignore",
    "retry_after",
    "successes",
]

T = TypeVar("T")
_WAITS_FOR_POOL = "_wait_for_available_connection"


def host_of(request: aiohttp.ClientRequest) -> str:
    """Return the host of a request, with its port where that is not the scheme's own."""
    url = request.url
    return host_key(url.scheme, url.host, url.port)


def ignore(error: BaseException) -> bool:
    """Tell whether an error says nothing about the service.

    Such are mistakes in the request, waiting in vain for a connection of the own
    connector, and rejections.
    """
    return (
        isinstance(error, aiohttp.InvalidURL)
        or (isinstance(error, TimeoutError) and _waited_for_pool(error))
        or is_rejected(error)
    )


def failures(error: BaseException) -> bool:
    """Tell whether the service failed: no answer, or one with a failing status."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status in STATUSES
    return isinstance(error, aiohttp.ClientError | OSError) and not ignore(error)


def successes(error: BaseException) -> bool:
    """Tell whether the service answered, with a status that does not count."""
    return isinstance(error, aiohttp.ClientResponseError) and not failures(error)


def retry_after(ended: object) -> float | None:
    """Return the server's hint in seconds, from a response or an error with one."""
    if isinstance(ended, aiohttp.ClientResponseError | aiohttp.ClientResponse):
        return hint(ended.headers.get) if ended.headers else None
    return None


def _waited_for_pool(error: BaseException) -> bool:
    """Tell whether a timeout hit a request that waited for a free connection.

    One error stands for that and for a slow handshake; only its traceback tells which.
    """
    cause: BaseException | None = error
    while cause is not None:
        for frame, _ in walk_tb(cause.__traceback__):
            if frame.f_code.co_name == _WAITS_FOR_POOL:
                return True
        cause = cause.__cause__ or cause.__context__
    return False


class CircuitOpenClientError(CircuitOpenError, aiohttp.ClientError):
    """A request was rejected: a `CircuitOpenError` and an `aiohttp.ClientError`.

    Picklable.
    """


@final
class CircuitMiddleware:
    """Guards each request of an `aiohttp.ClientSession`, judged by how its body ends.

    Connection errors, timeouts and `statuses` are failures. Other answers are judged by
    their body: when all of it has come, or it was released before that, it is a
    success; if it breaks, or reading it times out, a failure. Mistakes in the request,
    cancellation, and waiting in vain for a connection of the session's own connector are
    neutral. Slow is the time to the head of the answer.

    Share it between sessions at will. Options of the breakers (`trip`, `recovery`,
    `ignore`, `listeners` and all others) are the group's.

    Args:
        breakers: A group that has a breaker for each key, or one breaker for all.
            Default a `BreakerGroup("aiohttp")` of this middleware's own.
        key: Function of the request that returns its key in the group. Default the
            host, and the port where it is not the scheme's own.
        statuses: The statuses that are failures, from 100 to 599. Default 429, 500,
            502, 503, 504. Their `Retry-After` may lengthen the wait up to the recovery
            policy's `longest_hint`.

    Raises:
        TypeError, ValueError: An option is of the wrong type, or a status is none.
    """

    def __init__(
        self,
        *,
        breakers: Breakers | None = None,
        key: Callable[[aiohttp.ClientRequest], object] = host_of,
        statuses: Iterable[int] = STATUSES,
    ) -> None:
        """Check every option."""
        self._watch = Watch(
            breakers, name="aiohttp", key=key, statuses=statuses, neutral=ignore
        )

    @property
    def breakers(self) -> Breakers:
        """The group, or the one breaker."""
        return self._watch.breakers

    async def __call__(
        self,
        request: aiohttp.ClientRequest,
        handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
    ) -> aiohttp.ClientResponse:
        """Send a request, if its host's circuit lets it through.

        Raises:
            CircuitOpenClientError: It was rejected.
        """
        try:
            exchange = self._watch.admit(request)
        except CircuitOpenError as rejection:
            raise CircuitOpenClientError(*rejection.args) from None
        try:
            with _timer_of(request):
                response = await handler(request)
        except BaseException as error:
            exchange.raised(error)
            raise
        exchange.answered(response.status, response.headers.get)
        if not exchange.settled:
            _watch_body(response, exchange)
        return response


def _timer_of(request: aiohttp.ClientRequest) -> AbstractContextManager[Any]:
    """Return the timer of the request's total timeout.

    The session turns the timer's cancellation into a timeout only outside of its
    middlewares. Entering it here, as reading an answer does, tells one from the other.
    """
    timer: AbstractContextManager[Any] | None = getattr(request, "_timer", None)
    return nullcontext() if timer is None else timer


def _watch_body(response: aiohttp.ClientResponse, exchange: Exchange) -> None:
    body = response.content
    broken = body.exception()
    if broken is not None:
        exchange.raised(broken)
    elif not body.is_eof():
        response.content = cast("aiohttp.StreamReader", _Body(body, exchange))
    body.on_eof(exchange.ended)  # at once, where all of it has come


class _Body:
    """A body whose end settles an exchange.

    It hands on whatever it does not watch, so that it has what the reader of any
    release of aiohttp has. Not a subclass: the connection feeds the reader itself.
    """

    def __init__(self, reader: aiohttp.StreamReader, exchange: Exchange) -> None:
        self._reader = reader
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def __aiter__(self) -> _Items:
        return _Items(self, aiter(self._reader))

    def iter_chunked(self, n: int) -> _Items:
        return _Items(self, self._reader.iter_chunked(n))

    def iter_any(self) -> _Items:
        return _Items(self, self._reader.iter_any())

    def iter_chunks(self) -> _Items:
        return _Items(self, self._reader.iter_chunks())

    async def read(self, n: int = -1) -> bytes:
        return await self.watch(self._reader.read(n))

    async def readany(self) -> bytes:
        return await self.watch(self._reader.readany())

    async def readexactly(self, n: int) -> bytes:
        return await self.watch(self._reader.readexactly(n))

    async def readline(self, **options: Any) -> bytes:
        return await self.watch(self._reader.readline(**options))

    async def readuntil(self, separator: bytes = b"\n", **options: Any) -> bytes:
        return await self.watch(self._reader.readuntil(separator, **options))

    async def readchunk(self) -> tuple[bytes, bool]:
        return await self.watch(self._reader.readchunk())

    def exception(self) -> BaseException | None:
        """Return what broke the body; a response asks for it when it is released."""
        error: BaseException | None = self._reader.exception()
        if error is not None:
            self._exchange.raised(error)
        return error

    def set_exception(self, *error: Any) -> None:
        """Break the body from this side; a response that is released does so."""
        self._exchange.left()
        self._reader.set_exception(*error)

    async def watch(self, reading: Awaitable[T]) -> T:
        """Read, and settle if that breaks."""
        try:
            read = await reading
        except (aiohttp.ClientError, OSError, asyncio.CancelledError) as error:
            self._exchange.raised(error)
            raise
        self._exchange.part()
        return read


class _Items:
    """A body read item by item."""

    def __init__(self, body: _Body, items: AsyncIterator[Any]) -> None:
        self._body = body
        self._items = items

    def __aiter__(self) -> _Items:
        return self

    async def __anext__(self) -> Any:  # bytes, or a chunk with the news of its end
        return await self._body.watch(anext(self._items))
