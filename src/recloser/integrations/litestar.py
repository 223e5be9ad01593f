"""Litestar: rejections become 503.

    app = Litestar([...], plugins=[RejectionPlugin()])

Health routes are `recloser.integrations.asgi.Health`, inside a handler made by
`@asgi("/circuits", is_mount=True)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

from .. import CircuitOpenError
from ._extras import extra
from ._rejections import Told, answer_to, checked, rejection_in

with extra("litestar", litestar="2.15"):
    from litestar import Request, Response
    from litestar.config.app import AppConfig
    from litestar.plugins import InitPlugin

__all__ = ["RejectionPlugin"]


@final
class RejectionPlugin(InitPlugin):
    """Have a `CircuitOpenError` that leaves a handler become 503 with `Retry-After`.

    Also a group of exceptions with nothing but rejections in it. The body is a problem
    document (RFC 9457) that says nothing of the breaker unless told to. Handlers that
    the application has for these exceptions come first.

    Args:
        tell: What callers may know: any of "name", "state", "reason". Default nothing.
    """

    def __init__(self, *, tell: Iterable[Told] = ()) -> None:
        """Check the options."""
        self._tell = checked(tell)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the handler."""
        config: Any = app_config  # its handlers are of any request and response
        config.exception_handlers.setdefault(CircuitOpenError, self._handle)
        config.exception_handlers.setdefault(ExceptionGroup, self._handle)
        return app_config

    def _handle(
        self, _: Request[Any, Any, Any], error: Exception
    ) -> Response[bytes]:  # a request of any user, auth and state
        rejection = rejection_in(error)
        if rejection is None:
            raise error
        answer = answer_to(rejection, self._tell)
        return Response(
            answer.body,
            status_code=answer.status,
            headers=dict(answer.headers),
            media_type=answer.content_type,
        )
