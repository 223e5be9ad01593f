"""Rejections and health routes under wsgiref and werkzeug, as real servers."""

from __future__ import annotations

import io
import socket
from contextlib import closing

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from recloser import CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations.wsgi import Health, RejectionMiddleware
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


def begin(start_response):
    return start_response("200 OK", [("Content-Type", "text/plain"), ("X-Ours", "1")])


# -- rejections ------------------------------------------------------------------------


@each_server
def test_rejection_becomes_503_with_the_wait_rounded_up(server, payments):
    def app(environ, start_response):
        with payments:
            raise AssertionError

    with wsgi(RejectionMiddleware(app), server) as served:
        reply = served.ask("/")
        head = served.ask("/", "HEAD")

    assert served.escaped == []
    assert (reply.status, reply.headers["retry-after"]) == (503, "12")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["retry_after"] == 12
    assert (head.status, head.body) == (503, b"")


@each_server
def test_body_that_is_rejected_before_its_first_chunk_is_replaced(server, payments):
    closed = []

    class Body:
        def __iter__(self):
            with payments:
                yield b"never"

        def close(self):
            closed.append(True)

    def app(environ, start_response):
        begin(start_response)
        return Body()

    with wsgi(RejectionMiddleware(app, tell=("name",)), server) as served:
        reply = served.ask("/")

    assert reply.status == 503
    assert "x-ours" not in reply.headers
    assert reply.json["breaker"] == "payments"
    assert (served.escaped, closed) == ([], [True])


@each_server
def test_generator_that_is_rejected_before_it_begins_is_replaced(server, payments):
    def app(environ, start_response):
        with payments:
            begin(start_response)
            yield b"never"

    with wsgi(RejectionMiddleware(app), server) as served:
        assert served.ask("/").status == 503


@each_server
@pytest.mark.parametrize("way", ["yield", "write", "yield nothing"])
def test_rejection_after_the_first_chunk_is_left_alone(server, payments, way):
    def app(environ, start_response):
        write = begin(start_response)
        if way == "write":
            write(b"first")
        else:
            yield b"first" if way == "yield" else b""
        with payments:
            raise AssertionError

    with (
        wsgi(RejectionMiddleware(app), server) as served,
        closing(socket.create_connection(served.host.split(":"))) as raw,
    ):
        raw.settimeout(10)
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: raw.recv(4096), b""))

    assert b" 200 " in received.splitlines()[0]
    assert (b"first" in received) == (way != "yield nothing")
    assert b"Retry-After" not in received
    assert [type(error) for error in served.escaped] == [CircuitOpenError]


@each_server
def test_other_exceptions_pass_through(server):
    def app(environ, start_response):
        raise ExceptionGroup("both", [CircuitOpenError("payments"), KeyError()])

    with wsgi(RejectionMiddleware(app), server) as served:
        assert served.ask("/").status == 500

    assert [type(error) for error in served.escaped] == [ExceptionGroup]


@each_server
def test_answers_pass_through(server):
    def app(environ, start_response):
        begin(start_response)
        if environ["PATH_INFO"] == "/list":
            return [b"a", b"b"]
        if environ["PATH_INFO"] == "/file":
            return environ["wsgi.file_wrapper"](io.BytesIO(b"ab"))
        return iter([b"a", b"", b"b"])

    with wsgi(RejectionMiddleware(app), server) as served:
        paths = ["/list", "/iterator"] + ["/file"] * (server == "wsgiref")
        bodies = [served.ask(path).body for path in paths]

    assert bodies == [b"ab"] * len(paths)


def test_what_servers_send_fast_stays_what_it_is():
    body, file = [b"a"], io.BytesIO(b"a")

    class Wrapper:
        def __init__(self, file):
            self.file = file

    environ = {"REQUEST_METHOD": "GET", "wsgi.file_wrapper": Wrapper}
    app = RejectionMiddleware(lambda environ, start: body)
    filing = RejectionMiddleware(lambda environ, start: Wrapper(file))

    assert app(environ, None) is body
    assert filing(environ, None).file is file


# -- health ----------------------------------------------------------------------------


@each_server
def test_breakers_can_be_looked_at(server, payments):
    with wsgi(Health(ready_unless_open=("payments",)), server) as served:
        listing, one = served.ask("/"), served.ask("/breakers/payments")
        live, ready = served.ask("/live"), served.ask("/ready")
        head = served.ask("/", "HEAD")

    assert [found["name"] for found in listing.json["breakers"]] == ["payments"]
    assert one.json["state"] == "open"
    assert (live.status, ready.status) == (200, 503)
    assert (head.status, head.body) == (200, b"")


@each_server
def test_any_name_can_be_found(server):
    breaker = CircuitBreaker("größe/a b")

    with wsgi(Health(), server) as served:
        reply = served.ask("/breakers/gr%C3%B6%C3%9Fe%2Fa%20b")
        nonsense = served.ask("/breakers/%FF%FE")

    assert (reply.status, reply.json["name"]) == (200, breaker.name)
    assert nonsense.status == 404


@each_server
def test_state_can_be_changed_by_who_may(server, payments):
    asked = []

    def authorise(environ, action, name):
        asked.append((action, name))
        return environ.get("HTTP_AUTHORIZATION") == "Bearer token"

    with wsgi(Health(allow_changes=True, authorise=authorise), server) as served:
        stranger = served.post("/breakers/payments/reset")
        friend = served.post("/breakers/payments/reset", Authorization="Bearer token")

    assert (stranger.status, friend.status) == (403, 200)
    assert payments.state is State.CLOSED
    assert asked == [("reset", "payments")] * 2


@each_server
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
    ],
)
def test_foreign_page_cannot_change_anything(server, payments, headers, status):
    health = Health(allow_changes=True, authorise=lambda *_: True)

    with wsgi(health, server) as served:
        reply = served.ask("/breakers/payments/reset", "POST", headers)

    assert (reply.status, payments.state) == (status, State.OPEN)


@each_server
def test_changes_are_off_unless_switched_on(server, payments):
    with wsgi(Health(), server) as served:
        reply = served.post("/breakers/payments/reset")

    assert (reply.status, payments.state) == (405, State.OPEN)


def test_hook_that_would_never_run_is_refused():
    async def authorise(environ, action, name):
        return True

    with pytest.raises(TypeError, match="authorise must be a plain function here"):
        Health(allow_changes=True, authorise=authorise)


def test_changes_without_a_hook_are_refused():
    with pytest.raises(ValueError, match="allow_changes needs authorise"):
        Health(allow_changes=True)


@each_server
def test_routes_can_be_mounted(server, payments):
    def app(environ, start_response):
        begin(start_response)
        return [b"ours"]

    health = Health(allow_changes=True, authorise=lambda *_: True)

    with wsgi(DispatcherMiddleware(app, {"/circuits": health}), server) as served:
        ours = served.ask("/")
        listing = served.ask("/circuits/")
        changed = served.post("/circuits/breakers/payments/reset")

    assert ours.body == b"ours"
    assert listing.json["count"] == 1
    assert (changed.status, payments.state) == (200, State.CLOSED)
