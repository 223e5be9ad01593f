"""One transport for httpx and httpx2, which have the same interface in two packages.

Nothing here imports either. What is typed `Any` is a class of the one or the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from .. import CircuitOpenError
from ._causes import is_rejected
from ._http import STATUSES, Exchange, Watch, hint, host_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from types import TracebackType

    from ._http import Breakers

Q = TypeVar("Q")
A = TypeVar("A")
Fallback = Callable[[Q, Any], A]  # the rejection is of the library's own class


class Url(Protocol):
    """The part of a URL that says where a request goes."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...


def key_of(url: Url) -> str:
    """Return the key of a URL's host."""
    return host_key(url.scheme, url.host, url.port)


class Library(Generic[Q, A]):
    """What the two packages do not share: their classes, and how errors are judged."""

    def __init__(
        self,
        module: Any,
        *,
        body: type[Any],
        async_body: type[Any],
        rejection: type[Any],
    ) -> None:
        """Take the module, and the classes that are made for it."""
        self.name: str = module.__name__
        self.errors = Errors(module)
        self.body = body
        self.async_body = async_body
        self._rejection = rejection

    def watch(
        self,
        breakers: Breakers | None,
        key: Callable[[Q], object],
        statuses: Iterable[int],
    ) -> Watch[Q]:
        """Check the options that say how requests are guarded."""
        ignore = self.errors.ignore
        return Watch(
            breakers, name=self.name, key=key, statuses=statuses, neutral=ignore
        )

    def refuse(
        self, fallback: Fallback[Q, A] | None, rejection: CircuitOpenError, request: Q
    ) -> A:
        """Raise a rejection as the client's own error, or answer in its place."""
        error = self._rejection(*rejection.args)
        error.request = request
        if fallback is None:
            raise error from None
        return fallback(request, error)


def _checked(fallback: Fallback[Q, A] | None) -> Fallback[Q, A] | None:
    if fallback is not None and not callable(fallback):
        msg = f"fallback must be a function of request and rejection, got {fallback!r}"
        raise TypeError(msg)
    return fallback


class SyncTransport(Generic[Q, A]):
    """Guards each request of a client that blocks."""

    def __init__(
        self,
        library: Library[Q, A],
        transport: Any,
        watch: Watch[Q],
        fallback: Fallback[Q, A] | None,
    ) -> None:
        """Check the fallback."""
        self._library = library
        self._transport = transport
        self._watch = watch
        self._fallback = _checked(fallback)

    @property
    def breakers(self) -> Breakers:
        """The group, or the one breaker."""
        return self._watch.breakers

    def handle_request(self, request: Q) -> A:
        """Send a request, if its circuit lets it through.

        Raises:
            CircuitOpenTransportError: It was rejected.
        """
        try:
            exchange = self._watch.admit(request)
        except CircuitOpenError as rejection:
            return self._library.refuse(self._fallback, rejection, request)
        try:
            response: A = self._transport.handle_request(request)
        except BaseException as error:
            exchange.raised(error)
            raise
        return _watched(exchange, response, self._library.body)

    def close(self) -> None:
        """Close the transport inside."""
        self._transport.close()

    def __enter__(self) -> Self:
        """Enter the transport inside."""
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Leave the transport inside."""
        self._transport.__exit__(kind, error, trace)


class AsyncTransport(Generic[Q, A]):
    """Guards each request of a client that is awaited."""

    def __init__(
        self,
        library: Library[Q, A],
        transport: Any,
        watch: Watch[Q],
        fallback: Fallback[Q, A] | None,
    ) -> None:
        """Check the fallback."""
        self._library = library
        self._transport = transport
        self._watch = watch
        self._fallback = _checked(fallback)

    @property
    def breakers(self) -> Breakers:
        """The group, or the one breaker."""
        return self._watch.breakers

    async def handle_async_request(self, request: Q) -> A:
        """Send a request, if its circuit lets it through.

        Raises:
            CircuitOpenTransportError: It was rejected.
        """
        try:
            exchange = self._watch.admit(request)
        except CircuitOpenError as rejection:
            return self._library.refuse(self._fallback, rejection, request)
        try:
            response: A = await self._transport.handle_async_request(request)
        except BaseException as error:
            exchange.raised(error)
            raise
        return _watched(exchange, response, self._library.async_body)

    async def aclose(self) -> None:
        """Close the transport inside."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        """Enter the transport inside."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Leave the transport inside."""
        await self._transport.__aexit__(kind, error, trace)


def _watched(exchange: Exchange, response: A, body: type[Any]) -> A:
    answer: Any = response
    exchange.answered(answer.status_code, answer.headers.get)
    if answer.is_closed:  # some transports answer with a body that was read already
        exchange.ended()
    elif not exchange.settled:
        answer.stream = body(answer.stream, exchange)
    return response


class Body:
    """The body of an answer, a part at a time."""

    def __init__(self, stream: Any, exchange: Exchange) -> None:
        """Watch a stream of the library's."""
        self._stream = stream
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        """Pass the parts on, and settle by how they end."""
        try:
            for part in self._stream:
                self._exchange.part()
                yield part
        except BaseException as error:
            self._exchange.raised(error)
            raise
        self._exchange.ended()

    def close(self) -> None:
        """Close the stream; what was not read is not wanted."""
        try:
            self._stream.close()
        finally:
            self._exchange.left()


class AsyncBody:
    """The body of an answer to a task, a part at a time."""

    def __init__(self, stream: Any, exchange: Exchange) -> None:
        """Watch a stream of the library's."""
        self._stream = stream
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Pass the parts on, and settle by how they end."""
        try:
            async for part in self._stream:
                self._exchange.part()
                yield part
        except BaseException as error:
            self._exchange.raised(error)
            raise
        self._exchange.ended()

    async def aclose(self) -> None:
        """Close the stream; what was not read is not wanted."""
        try:
            await self._stream.aclose()
        finally:
            self._exchange.left()


class Errors:
    """How the errors of one of the libraries are judged, also outside a transport."""

    def __init__(self, library: Any) -> None:
        """Take the module."""
        self._status: type[Any] = library.HTTPStatusError
        self._transport: type[Exception] = library.TransportError
        self._neutral: tuple[type[Exception], ...] = (
            library.PoolTimeout,  # this process has too few connections
            library.UnsupportedProtocol,  # the caller's mistakes
            library.LocalProtocolError,
            library.InvalidURL,
            library.StreamError,
        )

    def failures(self, error: BaseException) -> bool:
        """Tell whether the service failed: no answer, or one with a failing status."""
        if isinstance(error, self._status):
            return self._is_failing(error)
        return isinstance(error, self._transport) and not self.ignore(error)

    def successes(self, error: BaseException) -> bool:
        """Tell whether the service answered, with a status that does not count."""
        return isinstance(error, self._status) and not self._is_failing(error)

    def ignore(self, error: BaseException) -> bool:
        """Tell whether the error says nothing about the service."""
        return isinstance(error, self._neutral) or is_rejected(error)

    def retry_after(self, ended: Any) -> float | None:
        """Return the server's hint in seconds, from a response or an error with one."""
        response = getattr(ended, "response", ended)
        headers = getattr(response, "headers", None)
        return None if headers is None else hint(headers.get)

    @staticmethod
    def _is_failing(error: Any) -> bool:
        return error.response.status_code in STATUSES
