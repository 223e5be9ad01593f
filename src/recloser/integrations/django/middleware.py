"""Rejections that leave a view become 503."""

from __future__ import annotations

from typing import final

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from .._answers import Answer
from .._rejections import answer_to, rejection_in
from .apps import application


@final
class RejectionMiddleware(MiddlewareMixin):
    """Turn a `CircuitOpenError` that leaves a view into 503 with `Retry-After`.

    Also a group of exceptions with nothing but rejections in it. For views of both kinds,
    under WSGI and ASGI. The body is a problem document (RFC 9457) that says nothing of
    the breaker unless `RECLOSER["tell"]` does. Exceptions of other middleware, and of
    bodies that are streamed, never reach it: for those wrap the whole application in
    `recloser.integrations.wsgi` or `.asgi`.
    """

    def process_exception(
        self, _: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        """Answer, or leave the exception to others."""
        rejection = rejection_in(error)
        if rejection is None:
            return None
        return response(answer_to(rejection, application().tell))


def response(answer: Answer) -> HttpResponse:
    """Return an answer as Django has it."""
    return HttpResponse(
        answer.body,
        status=answer.status,
        content_type=answer.content_type,
        headers=dict(answer.headers),
    )
