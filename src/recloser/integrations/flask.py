"""Flask: rejections become 503, and breakers have health routes as a blueprint.

reject(app)
app.register_blueprint(health(), url_prefix="/circuits")

app.config["RECLOSER"] = {"breakers": {"payments": {"trip": 3}}}
payments = settings(app).breaker("payments")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from typing import Any, cast

from .. import BreakerGroup, CircuitOpenError, Registry
from ..settings import Settings
from ._answers import Answer
from ._extras import extra
from ._health import Desk
from ._rejections import Told, answer_to, checked, rejection_in

with extra("flask", flask="3.0"):
    from flask import Blueprint, Flask, Request, Response, request

__all__ = ["Authorise", "health", "reject", "settings"]

Authorise = Callable[[Request, str, str], bool]
"""Decides by request, action and name; anything but True is a no."""

_KEY = "RECLOSER"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def reject(app: Flask, *, tell: Iterable[Told] = ()) -> None:
    """Have a `CircuitOpenError` that leaves a view become 503 with `Retry-After`.

    Also a group of exceptions with nothing but rejections in it. The body is a problem
    document (RFC 9457) that says nothing of the breaker unless told to. A body that is
    streamed runs outside Flask's error handling: for those, wrap `app.wsgi_app` in
    `recloser.integrations.wsgi.RejectionMiddleware` as well.

    Args:
        app: The application.
        tell: What callers may know: any of "name", "state", "reason". Default nothing.
    """
    wanted = checked(tell)

    def handle(error: Exception) -> Response:
        rejection = rejection_in(error)
        if rejection is None:
            raise error
        return _response(answer_to(rejection, wanted))

    app.register_error_handler(CircuitOpenError, handle)
    app.register_error_handler(ExceptionGroup, handle)


def health(
    name: str = "recloser",
    *,
    registry: Registry | None = None,
    groups: Iterable[BreakerGroup] = (),
    ready_unless_open: Iterable[str] = (),
    allow_changes: bool = False,
    authorise: Authorise | None = None,
) -> Blueprint:
    """Return a blueprint with routes for liveness, readiness and the breakers.

    The routes, the options and what is safe about them are those of
    `recloser.integrations.asgi.Health`; only the hook is another: it is plain, and takes
    Flask's request. Whatever the application asks of every request comes before it.

    Args:
        name: The blueprint's name.
        registry: Whose breakers. Default the process's own.
        groups: Groups whose breakers are listed, too.
        ready_unless_open: Names of breakers without which there is nothing to serve.
            Default none.
        allow_changes: Whether state can be changed. Default False.
        authorise: Decides by request, action and name. Asked for everything but `/live`
            and `/ready`. Needed for changes. Default: everybody may look.

    Raises:
        TypeError, ValueError: An option is wrong, or changes are allowed to everybody.
    """
    if iscoroutinefunction(authorise):
        msg = f"authorise must be a plain function here, got {authorise!r}"
        raise TypeError(msg)
    desk = Desk(
        registry=registry,
        groups=groups,
        ready_unless_open=ready_unless_open,
        allow_changes=allow_changes,
        has_hook=authorise is not None,
    )

    def view(path: str = "") -> Response:
        query = request.query_string.decode("latin-1")
        plan = desk.plan(request.method, path, query, request.headers.get)
        if isinstance(plan, Answer):
            return _response(plan)
        allowed: object = True
        if authorise is not None:
            whole = cast("Any", request)._get_current_object()  # noqa: SLF001 - documented by Werkzeug
            allowed = authorise(whole, plan.action, plan.name)
        return _response(desk.answer(plan, allowed=allowed))

    routes = Blueprint(name, __name__)
    options: dict[str, Any] = {  # of Werkzeug's rules
        "methods": _METHODS,
        "provide_automatic_options": False,
    }
    routes.add_url_rule("/", "index", view, **options)
    routes.add_url_rule("/<path:path>", "route", view, merge_slashes=False, **options)
    return routes


def settings(app: Flask) -> Settings:
    """Return the settings in `app.config["RECLOSER"]`, the same object every time.

    A mapping as `recloser.settings.Settings` takes. What is put there later is taken
    over by `settings(app).update(Settings(app.config["RECLOSER"]))`.

    Raises:
        TypeError, ValueError: A value is bad; the message begins with the path to it.
    """
    made = app.extensions.get("recloser")
    if not isinstance(made, Settings):
        config = cast("dict[str, Any]", app.config)
        made = Settings(config.get(_KEY))
        made = app.extensions.setdefault("recloser", made)
    return made


def _response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status, content_type=answer.content_type)
    for name, value in answer.headers:
        response.headers[name] = value
    return response
