"""Rejections, health routes and settings of Flask, under real servers."""

from __future__ import annotations

import pytest
from flask import Flask, Response, stream_with_context

from recloser import CircuitBreaker, CircuitOpenError, Policy, State, Wait
from recloser.integrations import wsgi as plain_wsgi
from recloser.integrations.flask import health, reject, settings
from recloser.settings import Settings
from recloser.testing import FakeClock
from tests.integrations.serving import wsgi

each_server = pytest.mark.parametrize("server", ["wsgiref", "werkzeug"])


@pytest.fixture(autouse=True)
def _alone(recloser_registry):
    """No breaker of one test is found in another."""


@pytest.fixture
def payments():
    breaker = CircuitBreaker(
        "payments", clock=FakeClock(), recovery=Wait(11.2, jitter=0)
    )
    breaker.trip()
    return breaker


@pytest.fixture
def app(payments):
    app = Flask(__name__)

    @app.get("/")
    def route():
        with payments:
            raise AssertionError

    @app.get("/group")
    def group():
        raise ExceptionGroup("one", [CircuitOpenError("payments", State.OPEN, 2.5)])

    @app.get("/mixed")
    def mixed():
        raise ExceptionGroup("two", [CircuitOpenError("payments"), KeyError()])

    @app.get("/stream")
    def stream():
        def chunks():
            with payments:
                yield "never"

        return Response(stream_with_context(chunks()))

    return app


# -- rejections ------------------------------------------------------------------------


@each_server
def test_rejection_becomes_503_with_the_wait_rounded_up(app, server):
    reject(app)

    with wsgi(app, server) as served:
        reply, group = served.ask("/"), served.ask("/group")

    assert (reply.status, reply.headers["retry-after"]) == (503, "12")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert "breaker" not in reply.json
    assert (group.status, group.headers["retry-after"]) == (503, "3")


def test_caller_is_told_of_the_breaker_only_when_asked(app):
    reject(app, tell=("name", "state"))

    with wsgi(app) as served:
        told = served.ask("/").json

    assert (told["breaker"], told["state"]) == ("payments", "open")


def test_group_with_another_failure_is_flasks_own_500(app):
    reject(app)
    app.logger.disabled = True

    with wsgi(app) as served:
        assert served.ask("/mixed").status == 500


def test_stream_is_served_by_the_middleware_around_it(app):
    reject(app)
    app.wsgi_app = plain_wsgi.RejectionMiddleware(app.wsgi_app)

    with wsgi(app) as served:
        reply = served.ask("/stream")

    assert (reply.status, reply.headers["retry-after"]) == (503, "12")


# -- health ----------------------------------------------------------------------------


def by_token(request, action, name):
    return request.headers.get("Authorization") == "Bearer token"


@each_server
def test_breakers_can_be_looked_at(app, server):
    routes = health(ready_unless_open=("payments",))
    app.register_blueprint(routes, url_prefix="/circuits")

    with wsgi(app, server) as served:
        listing, one = (
            served.ask("/circuits/"),
            served.ask("/circuits/breakers/payments"),
        )
        live, ready = served.ask("/circuits/live"), served.ask("/circuits/ready")
        head = served.ask("/circuits/live", "HEAD")

    assert [found["name"] for found in listing.json["breakers"]] == ["payments"]
    assert one.json["state"] == "open"
    assert (live.status, ready.status) == (200, 503)
    assert (head.status, head.body) == (200, b"")


@each_server
def test_any_name_can_be_found_and_none_is_made(app, server, recloser_registry):
    breaker = CircuitBreaker("größe//a b")
    app.register_blueprint(health(), url_prefix="/circuits")

    with wsgi(app, server) as served:
        found = served.ask("/circuits/breakers/gr%C3%B6%C3%9Fe%2F%2Fa%20b")
        unknown = served.ask("/circuits/breakers/unknown")

    assert (found.status, found.json["name"]) == (200, breaker.name)
    assert unknown.status == 404
    assert len(recloser_registry) == 2


@each_server
def test_state_can_be_changed_by_who_may(app, server, payments):
    routes = health(allow_changes=True, authorise=by_token)
    app.register_blueprint(routes, url_prefix="/circuits")
    path = "/circuits/breakers/payments/reset"

    with wsgi(app, server) as served:
        stranger = served.post(path)
        form = served.ask(path, "POST", {"Authorization": "Bearer token"}, b"a=b")
        foreign = served.post(path, Authorization="Bearer token", Origin="http://evil")
        before = payments.state
        friend = served.post(path, Authorization="Bearer token")

    assert (stranger.status, form.status, foreign.status) == (403, 415, 403)
    assert (before, friend.status, payments.state) == (State.OPEN, 200, State.CLOSED)


def test_changes_are_off_unless_switched_on(app, payments):
    app.register_blueprint(health(), url_prefix="/circuits")

    with wsgi(app) as served:
        reply = served.post("/circuits/breakers/payments/reset")
        options = served.ask("/circuits/breakers/payments/reset", "OPTIONS")

    assert (reply.status, options.status, payments.state) == (405, 405, State.OPEN)


def test_what_the_application_asks_of_requests_comes_first(app):
    app.register_blueprint(health(), url_prefix="/circuits")

    @app.before_request
    def refuse():
        return "ours", 401

    with wsgi(app) as served:
        assert served.ask("/circuits/").status == 401


def test_hook_gets_the_request_itself(app):
    seen = []

    def authorise(request, action, name):
        seen.append((type(request).__name__, request.path, action, name))
        return True

    app.register_blueprint(health(authorise=authorise), url_prefix="/circuits")

    with wsgi(app) as served:
        served.ask("/circuits/breakers/payments")

    assert seen == [("Request", "/circuits/breakers/payments", "show", "payments")]


def test_two_blueprints_can_show_different_things(app):
    app.register_blueprint(health(), url_prefix="/circuits")
    app.register_blueprint(
        health("probes", ready_unless_open=("payments",)), url_prefix="/probes"
    )

    with wsgi(app) as served:
        statuses = (
            served.ask("/circuits/ready").status,
            served.ask("/probes/ready").status,
        )

    assert statuses == (200, 503)


def test_bad_options_are_refused():
    async def authorise(request, action, name):
        return True

    with pytest.raises(TypeError, match="authorise must be a plain function here"):
        health(allow_changes=True, authorise=authorise)
    with pytest.raises(ValueError, match="allow_changes needs authorise"):
        health(allow_changes=True)


# -- settings --------------------------------------------------------------------------


def test_breakers_come_from_the_configuration():
    app = Flask(__name__)
    app.config["RECLOSER"] = {"breakers": {"search": {"trip": 3}}}

    search = settings(app).breaker("search")

    assert search.policy == Policy(trip=3)
    assert settings(app) is settings(app)


def test_configuration_can_change_while_running():
    app = Flask(__name__)
    search = settings(app).breaker("search")

    app.config["RECLOSER"] = {"breakers": {"search": {"trip": 4}}}
    settings(app).update(Settings(app.config["RECLOSER"]))

    assert search.policy == Policy(trip=4)


def test_bad_configuration_names_its_path():
    app = Flask(__name__)
    app.config["RECLOSER"] = {"breakers": {"search": {"probes": 0}}}

    with pytest.raises(ValueError, match=r"^breakers\.search\.probes must be at least"):
        settings(app)
