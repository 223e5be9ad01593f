"""Rejections, health routes, settings and checks of a Django project.

Under a real WSGI server and a real ASGI server; the project is in `django_project`.
"""

from __future__ import annotations

import os

import django
import pytest
from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.test.utils import override_settings

from recloser import CircuitOpenError, State, get_breaker
from recloser.integrations import wsgi as plain_wsgi
from recloser.integrations.django import configured, reload
from recloser.testing import force
from tests.integrations import serving

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.integrations.django_project.settings"
django.setup()

WARNED = "ignore:StreamingHttpResponse must consume:Warning"


def under_wsgiref():
    return serving.wsgi(get_wsgi_application(), "wsgiref")


def under_werkzeug():
    return serving.wsgi(get_wsgi_application(), "werkzeug")


def without_lifespan(app):
    """Answer the lifespan for Django, which has none."""

    async def both(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for _ in range(2):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})

    return both


def under_uvicorn():
    return serving.asgi(without_lifespan(get_asgi_application()))


each_server = pytest.mark.parametrize(
    "server", [under_wsgiref, under_werkzeug, under_uvicorn]
)


@pytest.fixture
def payments():
    from tests.integrations.django_project import views

    yield views.payments
    views.payments.reset()


@pytest.fixture
def opened(payments):
    payments.trip()
    return payments


# -- rejections ------------------------------------------------------------------------


@each_server
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_rejection_becomes_503_with_the_wait_rounded_up(server, path, opened):
    with server() as served:
        reply, group = served.ask(path), served.ask("/group")

    assert reply.status == 503
    assert reply.headers["retry-after"] in {"11", "12"}  # on the clock of the machine
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert "breaker" not in reply.json
    assert (group.status, group.headers["retry-after"]) == (503, "3")


@each_server
@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_view_runs_while_the_breaker_is_closed(server, path, payments):
    with server() as served:
        assert served.ask(path).body == b"ran"


@each_server
def test_group_with_another_failure_is_djangos_own_500(server, payments):
    with server() as served:
        assert served.ask("/mixed").status == 500


def test_caller_is_told_of_the_breaker_only_when_asked(opened):
    with override_settings(RECLOSER={"tell": ("name",)}), under_wsgiref() as served:
        told = served.ask("/sync").json

    assert told["breaker"] == "payments"


def test_stream_is_served_by_the_middleware_around_it(opened):
    app = plain_wsgi.RejectionMiddleware(get_wsgi_application())

    with serving.wsgi(app) as served:
        assert served.ask("/stream").status == 503


# -- health ----------------------------------------------------------------------------


@each_server
def test_breakers_can_be_looked_at(server, opened):
    configured().group("hosts")["a"].trip()

    with server() as served:
        listing = served.ask("/circuits/?state=open")
        one = served.ask("/circuits/breakers/payments")
        member = served.ask("/circuits/breakers/hosts[a]")
        live, ready = served.ask("/circuits/live"), served.ask("/circuits/ready")
        unknown = served.ask("/circuits/breakers/unknown")

    names = [found["name"] for found in listing.json["breakers"]]
    assert {"payments", "hosts[a]"} <= set(names)
    assert (one.json["state"], member.json["state"]) == ("open", "open")
    assert (live.status, ready.status, unknown.status) == (200, 503, 404)
    assert get_breaker("unknown") is None


def with_token(served, **headers):
    """Return the headers of a client that plays by Django's rules."""
    reply = served.ask("/token")
    cookie = reply.headers["set-cookie"].partition(";")[0]
    return {"X_CSRFToken": reply.body.decode(), "Cookie": cookie, **headers}


PATH = "/circuits/breakers/payments/reset"


@each_server
def test_state_can_be_changed_by_who_may(server, opened):
    with server() as served:
        stranger = served.post(PATH, **with_token(served))
        before = opened.state
        friend = served.post(PATH, **with_token(served, Authorization="Bearer token"))

    assert (stranger.status, before) == (403, State.OPEN)
    assert (friend.status, opened.state) == (200, State.CLOSED)


@each_server
def test_request_without_djangos_token_changes_nothing(server, opened):
    with server() as served:
        reply = served.post(PATH, Authorization="Bearer token")

    assert (reply.status, opened.state) == (403, State.OPEN)


def test_token_is_asked_for_without_djangos_middleware_too(opened):
    middleware = ["recloser.integrations.django.middleware.RejectionMiddleware"]

    with override_settings(MIDDLEWARE=middleware), under_wsgiref() as served:
        reply = served.post(PATH, Authorization="Bearer token")

    assert (reply.status, opened.state) == (403, State.OPEN)


@each_server
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
    ],
)
def test_foreign_page_cannot_change_anything(server, headers, status, opened):
    with server() as served:
        given = with_token(served, Authorization="Bearer token", **headers)
        reply = served.post(PATH, **given)

    assert (reply.status, opened.state) == (status, State.OPEN)


def test_changes_are_off_unless_switched_on(opened):
    with override_settings(RECLOSER={}), under_wsgiref() as served:
        reply = served.post(PATH, **with_token(served, Authorization="Bearer token"))

    assert (reply.status, opened.state) == (405, State.OPEN)


# -- settings --------------------------------------------------------------------------


def test_breakers_come_from_the_settings(payments):
    assert payments.policy.trip.failures == 3
    assert configured().breaker("payments") is payments


def test_settings_can_change_while_running(payments):
    payments.acquire().failure()
    before = payments.policy

    with override_settings(RECLOSER={"breakers": {"payments": {"trip": 2}}}):
        during, streak = payments.policy, payments.snapshot().streak

    assert (during.trip.failures, streak) == (2, 1)
    assert payments.policy == before
    assert reload() == []


def bad(**options):
    return override_settings(RECLOSER=options)


@pytest.mark.parametrize(
    ("options", "number", "message"),
    [
        (
            {"breakers": {"payments": {"probes": 0}}},
            "E001",
            "RECLOSER: breakers.payments.probes must be at least 1, got 0",
        ),
        ({"breaker": {}}, "E001", "RECLOSER: breaker: unknown; known here: breakers"),
        ({"tell": "name"}, "E002", "RECLOSER: tell must be a tuple such as"),
        ({"tell": ("key",)}, "E002", "RECLOSER: tell may hold name, state, reason"),
        ({"health": 5}, "E003", "RECLOSER: health: must be a mapping, got 5"),
        ({"health": {"redy": 1}}, "E003", "RECLOSER: health: redy: unknown; known"),
        (
            {"health": {"allow_changes": True}},
            "E003",
            "RECLOSER: health: allow_changes needs authorise=",
        ),
        (
            {"health": {"authorise": "nowhere.to_be_found"}},
            "E003",
            "RECLOSER: health: No module named 'nowhere'",
        ),
        (
            {"health": {"allow_changes": "no"}},
            "E003",
            "RECLOSER: health: allow_changes must be True or False, got 'no'",
        ),
        (
            {"health": {"authorise": 5}},
            "E003",
            "RECLOSER: health: authorise must be a plain function",
        ),
        (
            {"health": {"ready_unless_open": "payments"}},
            "E003",
            "RECLOSER: health: ready_unless_open must be a tuple such as",
        ),
    ],
)
def test_check_reports_what_is_wrong(options, number, message, settled, monkeypatch):
    from django.conf import settings

    monkeypatch.setattr(settings, "RECLOSER", options)
    settled()

    [found] = run_checks()

    assert found.id == f"recloser.{number}"
    assert found.msg.startswith(message)


@pytest.fixture
def settled(payments):
    """Return a function that has the application read its settings anew."""
    from recloser.integrations.django.apps import application

    app = application()
    kept = dict(app.__dict__)

    def forget():
        app.__dict__.pop("circuits", None)
        app.__dict__.pop("desk", None)

    yield forget
    forget()
    app.__dict__.update(kept)


def test_check_finds_nothing_in_a_sound_project():
    assert run_checks() == []


def test_check_tells_of_a_missing_middleware():
    with override_settings(MIDDLEWARE=[]):
        [found] = run_checks()

    assert found.id == "recloser.W001"


def test_settings_that_are_wrong_change_nothing(payments):
    before = payments.policy

    with (
        pytest.raises(
            ImproperlyConfigured, match=r"breakers\.payments\.probes must be"
        ),
        bad(breakers={"payments": {"probes": 0}}),
    ):
        raise AssertionError

    assert payments.policy == before
    force(payments, State.OPEN)
    with pytest.raises(CircuitOpenError):
        payments.acquire()
