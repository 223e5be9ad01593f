"""Views that call something guarded."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse

from recloser import CircuitOpenError, State
from recloser.integrations.django import configured

payments = configured().breaker("payments", ignore=(KeyError,))


def authorise(request, action, name):
    """Let those in who know the token; anybody may look."""
    if action in {"list", "show"}:
        return True
    return request.headers.get("Authorization") == "Bearer token"


def sync(request):
    with payments:
        return HttpResponse("ran")


async def in_task(request):
    async with payments:
        return HttpResponse("ran")


def group(request):
    raise ExceptionGroup("one", [CircuitOpenError("payments", State.OPEN, 2.5)])


def mixed(request):
    raise ExceptionGroup("two", [CircuitOpenError("payments"), KeyError()])


def stream(request):
    def chunks():
        with payments:
            yield "ran"

    return StreamingHttpResponse(chunks())


def token(request):
    """Set the cookie, and show the token that belongs to it."""
    from django.middleware.csrf import get_token

    return HttpResponse(get_token(request))
