"""Django: rejections become 503, health routes, breakers from the project's settings.

    INSTALLED_APPS = [..., "recloser.integrations.django"]
    MIDDLEWARE = [..., "recloser.integrations.django.middleware.RejectionMiddleware"]
    RECLOSER = {"breakers": {"payments": {"trip": 3}}}

    urlpatterns = [path("circuits/", include("recloser.integrations.django.urls"))]

    payments = configured().breaker("payments", ignore=(NotFound,))

`RECLOSER` holds what `recloser.settings.Settings` takes, and two keys more: `tell`, what
callers of rejected views may know (any of "name", "state", "reason"), and `health`:
`ready_unless_open` (names), `groups` (names of groups to list), `allow_changes`, and
`authorise`, a dotted path to a function of request, action and name that returns True
for those who may. `manage.py check` reports what is wrong with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._extras import extra

with extra("django", django="4.2"):
    from .apps import application

if TYPE_CHECKING:
    from ...settings import Settings

__all__ = ["configured", "reload"]


def configured() -> Settings:
    """Return the project's breakers and groups, the same object every time.

    Raises:
        ImproperlyConfigured: `RECLOSER` is wrong; the message begins with the path.
    """
    return application().circuits


def reload() -> list[str]:
    """Take over what `settings.RECLOSER` says now; state and evidence stay.

    Called when tests override the setting; call it where yours can change otherwise.

    Returns:
        Names of the breakers and groups that changed.

    Raises:
        ImproperlyConfigured: `RECLOSER` is wrong; nothing was changed.
    """
    return application().reload()
