"""FastAPI: a route that needs a breaker, as a dependency.

    @app.post("/charges", dependencies=[Depends(requires(payments))])
    def charge() -> Receipt: ...

    @app.post("/charges")
    async def charge(permit: Annotated[Permit, Depends(requires(payments))]) -> Receipt: ...

Rejections that routes raise otherwise become 503 by
`recloser.integrations.asgi.RejectionMiddleware`, which is for FastAPI, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import final

from .. import (
    CircuitBreaker,
    CircuitOpenError,
    FailureInfo,
    Permit,
    RecloserError,
    State,
)
from ._extras import extra
from ._rejections import answer_to

with extra("fastapi", fastapi="0.118"):
    from fastapi import HTTPException
    from fastapi.exceptions import ValidationException
    from starlette.exceptions import HTTPException as AnyHTTPException
    from starlette.exceptions import WebSocketException
    from starlette.requests import ClientDisconnect
    from starlette.websockets import WebSocketDisconnect

__all__ = ["FastAPICircuitOpenError", "Requirement", "requires"]

_SERVER_ERROR = 500
_CALLERS = (
    ClientDisconnect,
    ValidationException,
    WebSocketDisconnect,
    WebSocketException,
)
"""What a caller did, or did wrong: it says nothing about the dependency."""


@final
class FastAPICircuitOpenError(CircuitOpenError, HTTPException):
    """The route was not run: what it needs is not available.

    FastAPI answers with 503, `Retry-After` and `{"detail": …}`, a problem document
    (RFC 9457) that says nothing of the breaker. A handler that the application has for
    `CircuitOpenError` or `HTTPException` is asked first, as for any exception.
    """

    def __init__(
        self,
        name: str,
        state: State = State.OPEN,
        retry_after: float | None = None,
        reason: str = "",
        last_failure: FailureInfo | None = None,
    ) -> None:
        """Keep the facts, and the answer that they make."""
        CircuitOpenError.__init__(self, name, state, retry_after, reason, last_failure)
        answer = answer_to(self, frozenset())
        self.status_code = answer.status
        self.detail = "A service that this request needs is not available."
        self.headers = dict([("Content-Type", answer.content_type), *answer.headers])


@final
@dataclass(frozen=True, slots=True)
class Requirement:
    """A dependency that admits a request, and settles it by how the route ends.

    Made by `requires`. Equal ones share one permit in a request. Safe for any number of
    requests.
    """

    breaker: CircuitBreaker
    wait: float | timedelta | None = None

    async def __call__(self) -> AsyncIterator[Permit]:
        """Admit the request; FastAPI comes back when it has ended."""
        with await self._admitted() as permit:
            try:
                yield permit
            except AnyHTTPException as error:
                _settle(permit, error)
                raise
            except _CALLERS:
                if not permit.settled:
                    permit.release()
                raise

    async def _admitted(self) -> Permit:
        try:
            return await self.breaker.aacquire(timeout=self.wait)
        except CircuitOpenError as rejection:
            raise FastAPICircuitOpenError(*rejection.args) from None


def requires(
    breaker: CircuitBreaker, *, wait: float | timedelta | None = None
) -> Requirement:
    """Return a dependency for `Depends`: the route runs if the breaker admits it.

    While the breaker rejects, the caller gets 503 with `Retry-After` before anything
    else is done. Otherwise the request is one call of the breaker: it ends when the
    response has been sent, streams and background tasks included, for sync routes and
    async ones. With `Depends(…, scope="function")` (FastAPI 0.121) it ends when the
    route returns.

    It succeeds unless something is raised. An `HTTPException` counts as a failure from
    500 on, and below says nothing, as it may be the caller's fault; so do validation
    errors, disconnects and rejections by any breaker. Anything else is judged by the
    breaker's own lists. A 5xx that a route *returns* is not seen: the dependency's value
    is the permit, on which the route can call `failure()` itself.

    For a breaker with a rule about slow calls, the time until the end counts: guard the
    call itself where responses are long.

    Args:
        breaker: The breaker.
        wait: Seconds, > 0, that a request may wait for a place. Default: not at all.

    Raises:
        TypeError: It is no breaker.
    """
    if not isinstance(breaker, CircuitBreaker):  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f"requires() takes a CircuitBreaker, got {breaker!r}"
        raise TypeError(msg)
    return Requirement(breaker, wait)


def _settle(permit: Permit, error: AnyHTTPException) -> None:
    """Settle by status, but leave rejections to the permit, which knows them."""
    if permit.settled or isinstance(error, RecloserError):
        return
    caused_by_ours = isinstance(error.__cause__ or error.__context__, RecloserError)
    if error.status_code < _SERVER_ERROR or caused_by_ours:
        permit.release()
    else:
        permit.failure(error)
