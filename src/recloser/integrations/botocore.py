"""botocore and boto3: one breaker around a client's API calls.

    s3 = guard(boto3.client("s3"), breaker)

One call is one API call, with botocore's own retries inside it: a rejection is never
retried by botocore. Paginators, waiters and transfers call the client, so they are
guarded too. Bodies and event streams are judged by how they end.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from .. import CircuitBreaker, CircuitOpenError, Guard, Permit, PermitError
from ._extras import extra
from ._http import hint
from ._kinds import check, check_breaker

with extra("botocore", botocore="1.34"):
    from botocore import exceptions
    from botocore.client import BaseClient
    from botocore.eventstream import EventStream
    from botocore.response import StreamingBody
    from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Generator

    _AnyEvents = EventStream[Any]  # only the stubs know that it is generic
else:
    _AnyEvents = EventStream

__all__ = [
    "BotocoreCircuitOpenError",
    "failures",
    "guard",
    "ignore",
    "retry_after",
    "successes",
]

_BROKEN = (
    exceptions.HTTPClientError,
    exceptions.ConnectionError,
    exceptions.IncompleteReadError,
    HTTPError,
    ConnectionError,
    TimeoutError,
    socket.gaierror,
)
_SERVER, _TOO_MANY = 500, 429
_ANSWERS: Final = {501, 505}  # not implemented, and a version: about the request
_THROTTLED: Final = """
    BandwidthLimitExceeded EC2ThrottledException PriorRequestNotComplete
    ProvisionedThroughputExceededException RequestLimitExceeded RequestThrottled
    RequestThrottledException SlowDown ThrottledException Throttling ThrottlingException
    TooManyRequestsException
"""
"""What services say with 400 when they mean 429.

LimitExceededException and TransactionInProgressException, which botocore retries too, are
about one account's quota and one transaction.
"""

_FAILED: Final = """
    InternalError InternalFailure InternalServerError InternalServerException
    ModelStreamErrorException ModelTimeoutException RequestTimeout RequestTimeoutException
    ServiceUnavailable ServiceUnavailableException
"""
"""What they say with 400, or in an event stream without a status, when they mean 5xx."""

_CODES: Final = frozenset((_THROTTLED + _FAILED).lower().split())
_KEY: Final = "recloser"


class BotocoreCircuitOpenError(CircuitOpenError, exceptions.ConnectionError):
    """Rejected: `CircuitOpenError` and botocore's `ConnectionError`, a `BotoCoreError`.

    It is no `ClientError`: no service answered. Picklable.
    """

    def __init__(self, *facts: Any) -> None:
        """Keep the facts of a `CircuitOpenError`, and what botocore sets on its own."""
        exceptions.ConnectionError.__init__(self, error=CircuitOpenError(*facts))
        self.args = facts

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the facts."""
        return type(self), self.args


def failures(error: BaseException) -> bool:
    """Tell whether a service was out of reach, failing (5xx) or throttling.

    Connections and bodies that broke, timeouts, statuses from 500 but 501 and 505, 429,
    and the throttling codes that services send with other statuses.
    """
    return _is_trouble(error) is True


def successes(error: BaseException) -> bool:
    """Tell whether the service answered with any other `ClientError`."""
    return _is_trouble(error) is False


def ignore(error: BaseException) -> bool:
    """Tell whether an error says nothing: bad parameters, no credentials, no region."""
    return _is_trouble(error) is None


def _is_trouble(error: BaseException) -> bool | None:
    if isinstance(error, _BROKEN):
        return True
    if not isinstance(error, exceptions.ClientError):
        return None
    answer: Mapping[str, Any] = error.response
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status == _TOO_MANY or (status >= _SERVER and status not in _ANSWERS):
        return True
    code: object = answer.get("Error", {}).get("Code")
    return isinstance(code, str) and code.lower() in _CODES


def retry_after(error: object) -> float | None:
    """Return the seconds that a service asked for, or None.

    `x-amz-retry-after` (milliseconds), `Retry-After`, or `retryAfterSeconds` in an error.
    """
    if not isinstance(error, exceptions.ClientError):
        return None
    answer: Mapping[str, Any] = error.response
    headers = {
        name.lower(): str(value)
        for name, value in answer.get("ResponseMetadata", {})
        .get("HTTPHeaders", {})
        .items()
    }
    milliseconds = headers.get("x-amz-retry-after", "")
    if milliseconds.isdecimal():
        return int(milliseconds) / 1000
    asked = answer.get("retryAfterSeconds")
    return hint(headers.get) or hint({"retry-after": str(asked)}.get)


C = TypeVar("C", bound="BaseClient")


def guard(client: C, breaker: CircuitBreaker | Guard) -> C:
    """Guard a client's API calls; return the same client.

    It works on botocore's events, on this client only. Threads may share it.

    Args:
        client: A client of botocore or boto3, or `resource.meta.client`.
        breaker: Judged by this module's lists. A `Guard` is taken as it is.

    Raises:
        TypeError: An argument is of another kind, or the client is guarded already: each
            call would count twice.
    """
    check("client", client, BaseClient)
    check_breaker(breaker)
    if getattr(client.meta, _KEY, False):
        msg = f"{client!r} is already guarded: each call would count twice"
        raise TypeError(msg)
    way = breaker
    if isinstance(breaker, CircuitBreaker):
        way = breaker(
            ignore=ignore,
            successes=successes,
            failures=failures,
            retry_after=retry_after,
        )
    setattr(client.meta, _KEY, True)
    events: Any = client.meta.events
    events.register_last("before-call", _Admit(way))
    events.register_first("after-call", _answered)
    events.register_first("after-call-error", _raised)
    return client


class _Admit:
    """The last thing that happens before a request is made."""

    def __init__(self, way: CircuitBreaker | Guard) -> None:
        self._way = way

    def __call__(self, context: dict[str, Any], **_: object) -> None:
        try:
            context[_KEY] = _Held(self._way.acquire())
        except CircuitOpenError as rejection:
            raise BotocoreCircuitOpenError(*rejection.args) from None


class _Held:
    """A permit in a request's context. One that no event settles goes back with it."""

    def __init__(self, permit: Permit) -> None:
        self.permit = permit

    def __del__(self) -> None:
        if not self.permit.settled:
            self.permit.release()


def _raised(exception: Exception, context: dict[str, Any], **_: object) -> None:
    held: _Held | None = context.pop(_KEY, None)
    if held is not None:
        held.permit.settle(exception)


def _answered(
    http_response: Any,
    parsed: dict[str, Any],
    model: Any,
    context: dict[str, Any],
    **_: object,
) -> None:
    held: _Held | None = context.pop(_KEY, None)
    if held is None:
        return
    if http_response.status_code >= 300:  # noqa: PLR2004 - from here on botocore raises
        held.permit.settle(exceptions.ClientError(cast("Any", parsed), model.name))
        return
    for name, value in parsed.items():
        if isinstance(value, StreamingBody):
            size = http_response.headers.get("content-length")
            parsed[name] = _Body(value, held, size)
            return
        if isinstance(value, EventStream):
            parsed[name] = _Events(parsed[name], held)
            return
    held.permit.settle()


class _Watch:
    """The permit of a body or stream; its first item was the head of the answer."""

    def __init__(self, held: _Held) -> None:
        self._held = held
        held.permit.item()

    def settle(self, error: BaseException | None = None) -> None:
        if not self._held.permit.settled:
            try:
                self._held.permit.settle(error)
            except PermitError:
                return  # another thread just did

    @contextmanager
    def reading(self) -> Generator[None]:
        try:
            yield
        except BaseException as error:
            self.settle(error)
            raise
        self._held.permit.item()

    def left(self) -> None:
        self.settle(GeneratorExit())


class _Body(StreamingBody):
    """A body that settles its call by how it ends."""

    def __init__(self, body: StreamingBody, held: _Held, size: str | None) -> None:
        super().__init__(cast("Any", body), cast("Any", None))  # `body` verifies
        self._body: Any = body
        self._size = int(size) if size and size.isdecimal() else None
        self._watch = _Watch(held)

    def read(self, amt: int | None = None) -> Any:  # bytes
        return self._part(self._body.read, amt, amt is None)

    def readinto(self, b: Any) -> Any:  # from any writable buffer to its part
        return self._part(self._body.readinto, b, False)  # noqa: FBT003 - as `read`

    def readlines(self, *_: object) -> Any:  # lists of bytes
        return self._part(lambda _: self._body.readlines(), None, True)  # noqa: FBT003

    def tell(self) -> int:
        return int(self._body.tell())

    def set_socket_timeout(self, timeout: Any) -> None:  # as botocore has it
        self._body.set_socket_timeout(timeout)

    def close(self) -> None:
        super().close()
        self._watch.left()

    def __enter__(self) -> Any:  # botocore gives the raw stream, which nobody watches
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        watch: _Watch | None = getattr(self, "_watch", None)
        if watch is not None:
            watch.left()

    def _part(self, read: Callable[[Any], Any], wanted: Any, whole: bool) -> Any:  # noqa: FBT001
        with self._watch.reading():
            part = read(wanted)
        empty = not part and wanted != 0
        if whole or empty or (self._size is not None and self.tell() >= self._size):
            self._watch.settle()
        return part


class _Events(_AnyEvents):
    """An event stream that settles its call by how it ends."""

    def __init__(self, events: _AnyEvents, held: _Held) -> None:
        self._events: Any = events
        self._watch = _Watch(held)

    def __iter__(self) -> Iterator[Any]:
        events = iter(self._events)
        while True:
            with self._watch.reading():
                event = next(events, None)
            if event is None:
                self._watch.settle()
                return
            yield event

    def get_initial_response(self) -> Any:  # as botocore has it
        with self._watch.reading():
            return self._events.get_initial_response()

    def close(self) -> None:
        self._events.close()
        self._watch.left()

    def __del__(self) -> None:
        self._watch.left()
