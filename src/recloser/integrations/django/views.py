"""Health and admin routes as one view."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_protect

from .._answers import Answer
from .apps import application
from .middleware import response


@csrf_protect  # also where the project's middleware does not
def route(request: HttpRequest, path: str = "") -> HttpResponse:
    """Answer on a health route.

    The routes and what is safe about them are those of
    `recloser.integrations.asgi.Health`; the options are in `RECLOSER["health"]`.
    Changes need Django's CSRF token besides.
    """
    desk, hook = application().desk
    query = request.META.get("QUERY_STRING", "")
    plan = desk.plan(request.method or "", path, query, request.headers.get)
    if isinstance(plan, Answer):
        return response(plan)
    allowed = True if hook is None else hook(request, plan.action, plan.name)
    return response(desk.answer(plan, allowed=allowed))
