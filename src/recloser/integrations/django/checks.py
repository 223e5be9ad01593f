"""What `manage.py check` says of the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured

from .apps import application

_MIDDLEWARE = "recloser.integrations.django.middleware.RejectionMiddleware"


def check_settings(**_: Any) -> list[CheckMessage]:  # what Django passes to any check
    """Report bad settings, and a middleware that is not installed.

    `recloser.E001`: breakers, groups or defaults are wrong. `recloser.E002`: what
    callers are told is. `recloser.E003`: the health routes are. `recloser.W001`: nothing
    turns rejections into answers.
    """
    app = application()
    found = [
        *_tried("E001", lambda: app.circuits),
        *_tried("E002", lambda: app.tell),
        *_tried("E003", lambda: app.desk),
    ]
    if _MIDDLEWARE not in settings.MIDDLEWARE:
        found.append(
            Warning(
                "A rejection that leaves a view is a server error.",
                hint=f"Add {_MIDDLEWARE!r} to MIDDLEWARE.",
                id="recloser.W001",
            )
        )
    return found


def _tried(number: str, look: Callable[[], object]) -> list[CheckMessage]:
    try:
        look()
    except ImproperlyConfigured as error:
        return [Error(str(error), id=f"recloser.{number}")]
    return []
