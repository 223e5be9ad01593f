"""The settings of a small project."""

from __future__ import annotations

SECRET_KEY = "only for tests"  # noqa: S105 - no secret
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.integrations.django_project.urls"
INSTALLED_APPS = ["recloser.integrations.django"]
MIDDLEWARE = [
    "django.middleware.csrf.CsrfViewMiddleware",
    "recloser.integrations.django.middleware.RejectionMiddleware",
]
USE_TZ = True
LOGGING_CONFIG = None
RECLOSER = {
    "defaults": {"recovery": {"wait": 11.2, "jitter": 0}},
    "breakers": {"payments": {"trip": 3}},
    "groups": {"hosts": {"max_size": 10}},
    "health": {
        "ready_unless_open": ["payments"],
        "groups": ["hosts"],
        "allow_changes": True,
        "authorise": "tests.integrations.django_project.views.authorise",
    },
}
