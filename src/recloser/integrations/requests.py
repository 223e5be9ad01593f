"""An adapter for requests: a breaker per host in front of every request of a session.

    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, CircuitAdapter())

Redirects are requests of their own, to the breaker of their own host. To guard a
function that uses requests, rather than a session, a breaker takes this module's
judgement: `CircuitBreaker("api", ignore=ignore, successes=successes,
retry_after=retry_after)`. `failures` is the narrow form: with it, what is not an error of
requests is an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final
from urllib.parse import urlsplit

from .. import CircuitOpenError, State
from ._causes import is_rejected
from ._extras import extra
from ._http import STATUSES, Watch, hint, host_key

with extra("requests", requests="2.31"):
    import requests
    from requests.adapters import BaseAdapter, HTTPAdapter
    from requests.exceptions import InvalidHeader, StreamConsumedError
    from requests.utils import rewind_body
    from urllib3 import Retry
    from urllib3.exceptions import ClosedPoolError, EmptyPoolError, MaxRetryError
    from urllib3.exceptions import HTTPError as Urllib3Error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from ._http import Breakers, Exchange

__all__ = [
    "STATUSES",
    "CircuitAdapter",
    "CircuitOpenConnectionError",
    "failures",
    "host_of",
    "ignore",
    "retry_after",
    "successes",
]

_MISTAKES = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.UnrewindableBodyError,
    InvalidHeader,
    StreamConsumedError,
)
_OWN_POOL = (EmptyPoolError, ClosedPoolError)
_SHUT = {State.OPEN, State.FORCED_OPEN}


def host_of(request: requests.PreparedRequest) -> str:
    """Return the host of a request, with its port where that is not the scheme's own."""
    parts = urlsplit(request.url or "")
    return host_key(parts.scheme, parts.hostname, parts.port)


def ignore(error: BaseException) -> bool:
    """Tell whether an error says nothing about the service.

    Such are mistakes in the request, waiting in vain for a connection of the own pool,
    and rejections.
    """
    inside = error.args[:1] if isinstance(error, requests.ConnectionError) else ()
    return (
        isinstance(error, (*_MISTAKES, *_OWN_POOL))
        or any(isinstance(each, _OWN_POOL) for each in inside)
        or is_rejected(error)
    )


def failures(error: BaseException) -> bool:
    """Tell whether the service failed: no answer, or one with a failing status."""
    if isinstance(error, requests.HTTPError):
        return _has_failing_status(error)
    return isinstance(error, requests.RequestException) and not ignore(error)


def successes(error: BaseException) -> bool:
    """Tell whether the service answered, with a status that does not count."""
    return isinstance(error, requests.HTTPError) and not _has_failing_status(error)


def _has_failing_status(error: requests.HTTPError) -> bool:
    return error.response is None or error.response.status_code in STATUSES


def retry_after(ended: object) -> float | None:
    """Return the server's hint in seconds, from a response or an error with one."""
    if isinstance(ended, requests.RequestException):
        ended = ended.response
    return hint(ended.headers.get) if isinstance(ended, requests.Response) else None


class CircuitOpenConnectionError(CircuitOpenError, requests.ConnectionError):
    """A request was rejected: a `CircuitOpenError` and a `requests.ConnectionError`.

    Picklable; a copy has the facts of the rejection, but no `request`.
    """

    request: requests.PreparedRequest | requests.Request | None = None
    response: requests.Response | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the request out: it may hold secrets, and what cannot be pickled."""
        return type(self), self.args


@final
class CircuitAdapter(BaseAdapter):
    """Guards each request of a `requests.Session`, judged by how its body ends.

    Connection errors, timeouts and `statuses` are failures. Other answers are judged by
    their body: read to its end through `content`, `iter_content` or `iter_lines`, or
    closed before it, is a success; one that breaks is a failure. A body that is read
    from `response.raw` is seen to break only inside `with response:`. Mistakes in the
    request, and waiting in vain for a connection of the own pool, are neutral. Slow is
    the time to the head of the answer.

    Retries of urllib3 count by where they are. In `HTTPAdapter(max_retries=...)` they are
    inside: one request, one outcome, however many tries. In `retries` they are outside:
    each try is admitted and counted, and an open circuit ends them: the caller gets
    the last answer or error.

    Share it as you share its session. Options of the breakers (`trip`, `recovery`,
    `ignore`, `listeners` and all others) are the group's.

    Args:
        adapter: What sends the requests. Default a new `HTTPAdapter()`.
        breakers: A group that has a breaker for each key, or one breaker for all.
            Default a `BreakerGroup("requests")` of this adapter's own.
        key: Function of the prepared request that returns its key in the group. Default
            the host, and the port where it is not the scheme's own.
        statuses: The statuses that are failures, from 100 to 599. Default 429, 500,
            502, 503, 504. Their `Retry-After` may lengthen the wait up to the recovery
            policy's `longest_hint`.
        retries: A `urllib3.Retry`, or how many times to try again, outside the breaker.
            Default 0.

    Raises:
        TypeError, ValueError: An option is of the wrong type, or a status is none.
    """

    def __init__(
        self,
        adapter: BaseAdapter | None = None,
        *,
        breakers: Breakers | None = None,
        key: Callable[[requests.PreparedRequest], object] = host_of,
        statuses: Iterable[int] = STATUSES,
        retries: Retry | int = 0,
    ) -> None:
        """Check every option."""
        super().__init__()
        self._adapter = adapter or HTTPAdapter()
        self._watch = Watch(
            breakers, name="requests", key=key, statuses=statuses, neutral=ignore
        )
        self._retries = Retry.from_int(retries, redirect=False, default=0)

    @property
    def breakers(self) -> Breakers:
        """The group, or the one breaker."""
        return self._watch.breakers

    def send(  # the types of its options are private to requests
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response:
        """Send a request, if its host's circuit lets it through.

        Raises:
            CircuitOpenConnectionError: It was rejected.
        """
        tries = self._retries
        while True:
            ended = self._try(request, *args, **options)
            more = self._after(tries, request, ended)
            if more is None:
                break
            tries = more
            if not self._prepare(tries, request, ended):
                break
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def close(self) -> None:
        """Close the adapter inside."""
        self._adapter.close()

    def _try(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response | requests.RequestException:
        """Send a request once; an error of requests is returned."""
        try:
            exchange = self._watch.admit(request)
        except CircuitOpenError as rejection:
            error = CircuitOpenConnectionError(*rejection.args)
            error.request = request
            raise error from None
        try:
            response = self._adapter.send(request, *args, **options)
        except requests.RequestException as error:
            exchange.raised(error)
            return error
        except BaseException as error:
            exchange.raised(error)
            raise
        return _watched(response, exchange)

    def _after(
        self,
        tries: Retry,
        request: requests.PreparedRequest,
        ended: requests.Response | requests.RequestException,
    ) -> Retry | None:
        """Return what is left of the retries, or None: no further try."""
        method, url = request.method or "GET", request.url
        try:
            if isinstance(ended, requests.RequestException):
                reason = _reason(ended)
                if reason is None:
                    return None
                return tries.increment(method, url, error=reason)
            asks = "Retry-After" in ended.headers
            if tries.is_retry(method, ended.status_code, asks):
                return tries.increment(method, url, response=ended.raw)
        except Urllib3Error:  # used up, or not to be tried again
            return None
        return None

    def _prepare(
        self,
        tries: Retry,
        request: requests.PreparedRequest,
        ended: requests.Response | requests.RequestException,
    ) -> bool:
        """Make ready for another try; False if the circuit would reject it."""
        breaker = self._watch.breaker_for(request)
        if breaker.state in _SHUT:
            return False
        raw = None if isinstance(ended, BaseException) else ended.raw
        tries.sleep(raw)
        if breaker.state in _SHUT:
            return False
        if not isinstance(ended, BaseException):
            ended.close()
        if getattr(request, "_body_position", None) is not None:
            rewind_body(request)
        return True


def _reason(error: requests.RequestException) -> Urllib3Error | None:
    """Return the error of urllib3 inside one of requests: retries know no others."""
    inside = error.args[0] if error.args else None
    if isinstance(inside, MaxRetryError):
        inside = inside.reason
    return inside if isinstance(inside, Urllib3Error) else None


def _watched(response: requests.Response, exchange: Exchange) -> requests.Response:
    exchange.answered(response.status_code, response.headers.get)
    if exchange.settled:
        return response
    if type(response) is not requests.Response or response.raw is None:
        exchange.left()  # another adapter's class: only its head can be judged
        return response
    watched = _Response()
    watched.__dict__.update(response.__dict__)
    watched.exchange = exchange
    return watched


class _Response(requests.Response):
    """A response whose body settles an exchange. Pickles as a plain one."""

    exchange: Exchange

    def iter_content(  # the overloads of requests, as they are
        self, *args: Any, **options: Any
    ) -> Any:
        """Pass the parts on, and settle by how they end."""
        return self._judged(super().iter_content(*args, **options))

    def _judged(self, parts: Iterable[Any]) -> Generator[Any]:
        try:
            for part in parts:
                self.exchange.part()
                yield part
        except BaseException as error:
            self.exchange.raised(error)
            raise
        self.exchange.ended()

    def close(self) -> None:
        """Close the response; what was not read is not wanted."""
        try:
            super().close()
        finally:
            self.exchange.left()

    def __exit__(self, *raised: object) -> None:
        """Close the response; an error of urllib3 comes from reading `raw`."""
        if isinstance(raised[1], Urllib3Error):
            self.exchange.raised(raised[1])
        super().__exit__(*raised)

    def __reduce__(self) -> tuple[Any, ...]:
        return requests.Response, (), self.__getstate__()
