"""Rejections and health routes on a real uvicorn; frameworks beside bare ASGI."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import closing

import pytest
import websockets.exceptions
import websockets.sync.client
from litestar import Litestar
from litestar import asgi as litestar_asgi
from litestar.types import Receive, Scope, Send
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from recloser import BreakerGroup, CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations.asgi import Health, RejectionMiddleware
from recloser.testing import FakeClock, force
from tests.integrations.serving import asgi


@pytest.fixture(autouse=True)
def _alone(recloser_registry):
    """No breaker of one test is found in another."""


@pytest.fixture
def clock():
    return FakeClock()


def open_breaker(clock, name="payments", wait=11.2):
    breaker = CircuitBreaker(name, clock=clock, recovery=Wait(wait, jitter=0))
    breaker.trip()
    return breaker


def rejected_by(breaker):
    """Return an application whose every request is rejected before it answers."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        with breaker:
            raise AssertionError

    return app


# -- rejections ------------------------------------------------------------------------


def test_rejection_becomes_503_with_the_wait_rounded_up(clock):
    app = RejectionMiddleware(rejected_by(open_breaker(clock)))

    with asgi(app) as served:
        reply = served.ask("/")

    assert served.escaped == []
    assert reply.status == 503
    assert reply.headers["retry-after"] == "12"
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json == {
        "title": "Service Unavailable",
        "status": 503,
        "detail": (
            "A service that this request needs is not available. Try again in 12 s."
        ),
        "retry_after": 12,
    }


def test_forced_open_has_no_time_to_come_back(clock):
    breaker = open_breaker(clock)
    breaker.force_open()

    with asgi(RejectionMiddleware(rejected_by(breaker))) as served:
        reply = served.ask("/")

    assert reply.status == 503
    assert "retry-after" not in reply.headers
    assert "retry_after" not in reply.json


def test_caller_is_told_of_the_breaker_only_when_asked(clock):
    app = RejectionMiddleware(
        rejected_by(open_breaker(clock)), tell=("name", "state", "reason")
    )

    with asgi(app) as served:
        told = served.ask("/").json

    assert (told["breaker"], told["state"]) == ("payments", "open")
    assert told["reason"] == "tripped by hand"


def test_message_of_the_failure_never_leaves(clock):
    breaker = CircuitBreaker("payments", trip=1)
    with pytest.raises(ConnectionError), breaker:
        raise ConnectionError("password=hunter2")
    app = RejectionMiddleware(rejected_by(breaker), tell=("name", "state", "reason"))

    with asgi(app) as served:
        reply = served.ask("/")
        listing = served.ask("/")

    assert reply.status == 503
    assert b"hunter2" not in reply.body + listing.body


def test_name_cannot_write_headers_or_lines(clock):
    name = 'evil"\r\nSet-Cookie: a=b\r\n\r\n<script>\ud800\u2028' + "x" * 1000
    app = RejectionMiddleware(rejected_by(open_breaker(clock, name)), tell=("name",))

    with asgi(app) as served:
        reply = served.ask("/")

    assert "set-cookie" not in reply.headers
    assert b"\n" not in reply.body
    assert reply.json["breaker"] == name[:200]


def test_head_request_gets_no_body(clock):
    with asgi(RejectionMiddleware(rejected_by(open_breaker(clock)))) as served:
        reply = served.ask("/", "HEAD")

    assert (reply.status, reply.body) == (503, b"")
    assert int(reply.headers["content-length"]) > 0


def test_other_exceptions_pass_through(clock):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            raise KeyError("ours")

    async def ask():
        await RejectionMiddleware(app)({"type": "http"}, None, None)

    with pytest.raises(KeyError, match="ours"):
        asyncio.run(ask())


def test_rejection_after_the_answer_began_is_left_alone(clock):
    breaker = open_breaker(clock)

    async def stream():
        yield "first"
        with breaker:
            raise AssertionError

    async def route(request):
        return StreamingResponse(stream())

    app = Starlette(
        routes=[Route("/", route)], middleware=[Middleware(RejectionMiddleware)]
    )

    with asgi(app) as served, closing(socket.create_connection(where(served))) as raw:
        raw.settimeout(10)
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: raw.recv(4096), b""))

    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"503" not in received
    assert not received.endswith(b"0\r\n\r\n")  # the client sees that it was cut
    assert [type(error) for error in leaves(served.escaped)] == [CircuitOpenError]


def where(served):
    host, _, port = served.host.partition(":")
    return host, int(port)


def leaves(errors):
    for error in errors:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error.exceptions)
        else:
            yield error


def test_group_of_rejections_is_one_with_the_longest_wait(clock):
    short, long = open_breaker(clock, "short", 3), open_breaker(clock, "long", 30)

    async def one(breaker):
        with breaker:
            raise AssertionError

    async def route(request):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one(short))
            tasks.create_task(one(long))

    app = Starlette(
        routes=[Route("/", route)], middleware=[Middleware(RejectionMiddleware)]
    )

    with asgi(app) as served:
        reply = served.ask("/")

    assert (reply.status, reply.headers["retry-after"]) == (503, "30")


def test_group_with_another_failure_in_it_is_no_rejection(clock):
    async def route(request):
        raise ExceptionGroup("both", [CircuitOpenError("payments"), KeyError()])

    app = Starlette(
        routes=[Route("/", route)], middleware=[Middleware(RejectionMiddleware)]
    )

    with asgi(app) as served:
        assert served.ask("/").status == 500


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [
        (0.0, "0"),
        (0.001, "1"),
        (2.0, "2"),
        (-3.0, "0"),
        (float("inf"), None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_wait_is_whole_seconds_or_nothing(retry_after, header):
    async def route(request):
        raise CircuitOpenError("payments", State.OPEN, retry_after)

    app = Starlette(
        routes=[Route("/", route)], middleware=[Middleware(RejectionMiddleware)]
    )

    with asgi(app) as served:
        reply = served.ask("/")

    assert (reply.status, reply.headers.get("retry-after")) == (503, header)


def test_rejection_passes_other_middleware_of_starlette(clock):
    breaker = open_breaker(clock)

    async def through(request, call_next):
        return await call_next(request)

    def route(request):  # runs on another thread
        with breaker:
            raise AssertionError

    app = Starlette(
        routes=[Route("/", route)],
        middleware=[
            Middleware(RejectionMiddleware),
            Middleware(BaseHTTPMiddleware, dispatch=through),
        ],
    )

    with asgi(app) as served:
        assert served.ask("/").status == 503


def test_error_handler_of_the_application_comes_first(clock):
    breaker = open_breaker(clock)

    async def route(request):
        with breaker:
            raise AssertionError

    async def cached(request, error):
        return PlainTextResponse("cached")

    app = Starlette(
        routes=[Route("/", route)],
        middleware=[Middleware(RejectionMiddleware)],
        exception_handlers={CircuitOpenError: cached},
    )

    with asgi(app) as served:
        assert served.ask("/").body == b"cached"


def test_lifespan_is_the_applications_own():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])
        raise CircuitOpenError("payments")

    async def start():
        await RejectionMiddleware(app)({"type": "lifespan"}, None, None)

    with pytest.raises(CircuitOpenError):
        asyncio.run(start())
    assert seen == ["lifespan"]


def test_early_hints_are_no_beginning(clock):
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": []})
        raise CircuitOpenError("payments", State.OPEN, 2.0)

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "headers": []}
    asyncio.run(RejectionMiddleware(app)(scope, None, send))

    assert sent == [
        "http.response.early_hint",
        "http.response.start",
        "http.response.body",
    ]


def test_websocket_handshake_is_refused_with_the_same_answer(clock):
    app = RejectionMiddleware(rejected_by(open_breaker(clock)))

    with (
        asgi(app) as served,
        pytest.raises(websockets.exceptions.InvalidStatus) as caught,
    ):
        websockets.sync.client.connect(f"ws://{served.host}/", proxy=None)

    answer = caught.value.response
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "12"
    assert json.loads(answer.body)["status"] == 503


def test_websocket_of_a_server_that_cannot_answer_is_closed(clock):
    sent = []

    async def send(message):
        sent.append(message)

    app = RejectionMiddleware(rejected_by(open_breaker(clock)))
    asyncio.run(app({"type": "websocket", "extensions": None}, None, send))

    assert sent == [{"type": "websocket.close", "code": 1013}]


def test_websocket_that_talks_is_left_alone(clock):
    breaker = open_breaker(clock)

    async def talk(socket):
        await socket.accept()
        with breaker:
            raise AssertionError

    app = Starlette(
        routes=[WebSocketRoute("/", talk)], middleware=[Middleware(RejectionMiddleware)]
    )

    with (
        asgi(app) as served,
        websockets.sync.client.connect(f"ws://{served.host}/", proxy=None) as client,
        pytest.raises(websockets.exceptions.ConnectionClosed) as caught,
    ):
        client.recv(timeout=60)

    assert caught.value.rcvd is None or caught.value.rcvd.code == 1011
    assert [type(error) for error in served.escaped] == [CircuitOpenError]


@pytest.mark.parametrize(
    ("tell", "kind", "message"),
    [
        ("name", TypeError, r"tell must be a tuple such as \('name',\)"),
        (("name", "secret"), ValueError, "tell may hold name, state, reason, got 'sec"),
    ],
)
def test_what_cannot_be_told_is_refused(tell, kind, message):
    with pytest.raises(kind, match=message):
        RejectionMiddleware(None, tell=tell)


# -- health: looking -------------------------------------------------------------------


def test_breakers_are_listed_by_name(clock):
    held = [CircuitBreaker("search"), open_breaker(clock)]

    with asgi(Health()) as served:
        reply = served.ask("/")

    assert len(held) == reply.json["count"]
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    listing = reply.json
    assert listing["states"] == {
        "closed": 1,
        "open": 1,
        "half_open": 0,
        "forced_open": 0,
        "disabled": 0,
        "metrics_only": 0,
    }
    assert [one["name"] for one in listing["breakers"]] == ["payments", "search"]


@pytest.fixture
def keep():
    """Hold breakers that nobody else does."""
    return []


def test_one_breaker_is_shown_with_its_figures(clock):
    payments = CircuitBreaker("payments", clock=clock, trip=2)
    with pytest.raises(ConnectionError), payments:
        raise ConnectionError("password=hunter2")
    payments.call(int)
    with pytest.raises(ConnectionError), payments:
        raise ConnectionError

    with asgi(Health()) as served:
        reply = served.ask("/breakers/payments")

    assert reply.json == {
        "name": "payments",
        "state": "closed",
        "retry_after": 0.0,
        "reason": "",
        "last_failure": None,
        "epoch": payments.snapshot().epoch,
        "failures_in_a_row": 1,
        "rates": [],
        "totals": {
            "calls": 3,
            "successes": 1,
            "failures": 2,
            "slow": 0,
            "neutral": 0,
            "rejected": 0,
            "fallbacks": 0,
            "late": 0,
            "lost": 0,
            "trips": 0,
        },
    }


def test_reading_changes_nothing_and_makes_nothing(clock, recloser_registry):
    payments = open_breaker(clock)
    hosts = BreakerGroup("hosts")
    before = payments.snapshot()

    with asgi(Health(groups=[hosts])) as served:
        statuses = [
            served.ask(path).status
            for path in ("/", "/live", "/ready", "/breakers/payments", "/breakers/new")
        ] + [served.ask("/breakers/hosts[new]").status]

    assert statuses == [200, 200, 200, 200, 404, 404]
    assert payments.snapshot() == before
    assert len(recloser_registry) == 1
    assert len(hosts) == 0


def test_listing_comes_in_pages(keep):
    keep += [CircuitBreaker(f"b{number:04}") for number in range(250)]

    with asgi(Health()) as served:
        first = served.ask("/").json
        second = served.ask(f"/?after={first['next']}&limit=100").json
        third = served.ask(f"/?after={second['next']}").json

    pages = [first, second, third]
    assert [len(page["breakers"]) for page in pages] == [100, 100, 50]
    assert [page["next"] for page in pages] == ["b0099", "b0199", None]
    assert {page["count"] for page in pages} == {250}


def test_listing_of_ten_thousand_keys_is_one_page():
    hosts = BreakerGroup("hosts", max_size=10_000)
    for number in range(10_000):
        hosts[f"host-{number:05}"]
    force(hosts["host-07777"], State.OPEN)

    with asgi(Health(groups=[hosts])) as served:
        reply = served.ask("/")
        found = served.ask("/?state=open").json

    assert len(reply.body) < 100_000
    assert reply.json["count"] == 10_000
    assert [one["name"] for one in found["breakers"]] == ["hosts[host-07777]"]


def test_newest_of_a_name_is_listed(keep, clock):
    keep += [CircuitBreaker("payments"), open_breaker(clock)]

    with asgi(Health()) as served:
        listing = served.ask("/").json

    assert [(one["name"], one["state"]) for one in listing["breakers"]] == [
        ("payments", "open")
    ]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=%C2%B2",
        "limit=" + "9" * 5000,
        "limit=",
        "limit=1&limit=2",
        "state=broken",
        "state=",
        "other=1",
        "&".join(f"a{number}=1" for number in range(50)),
    ],
)
def test_query_that_makes_no_sense_is_refused(query):
    with asgi(Health()) as served:
        reply = served.ask(f"/?{query}")

    assert (reply.status, reply.headers["content-type"]) == (
        400,
        "application/problem+json",
    )


@pytest.mark.parametrize(
    "path", ["/none", "/live/more", "/ready/more", "/breakers", "/breakers/", "/list"]
)
def test_route_that_is_not_there_is_not_found(path):
    with asgi(Health()) as served:
        assert served.ask(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/live", "/ready"])
def test_only_reading_is_possible_there(method, path):
    with asgi(Health(allow_changes=True, authorise=lambda *_: True)) as served:
        reply = served.ask(path, method)

    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "name",
    ["a/b", "a//b", "a b", "größe", "a?b#c", "hosts[x]", "trip", "../up", 'q"<script>'],
)
def test_any_name_can_be_found(name, keep):
    from urllib.parse import quote

    keep.append(CircuitBreaker(name))

    with asgi(Health()) as served:
        reply = served.ask("/breakers/" + quote(name, safe=""))

    assert (reply.status, reply.json["name"]) == (200, name)
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_another_registry_can_be_shown(keep):
    from recloser import Registry

    other = Registry()
    keep += [CircuitBreaker("ours"), CircuitBreaker("theirs", registry=other)]

    with asgi(Health(registry=other)) as served:
        names = [one["name"] for one in served.ask("/").json["breakers"]]
        missing = served.ask("/breakers/ours").status

    assert (names, missing) == (["theirs"], 404)


# -- health: live and ready ------------------------------------------------------------


def test_open_circuit_fails_neither_liveness_nor_readiness(clock):
    payments = open_breaker(clock)
    payments.force_open()

    with asgi(Health()) as served:
        live, ready = served.ask("/live"), served.ask("/ready")

    assert (live.status, live.json) == (200, {"status": "alive"})
    assert (ready.status, ready.json) == (200, {"status": "ready", "open": []})


def test_readiness_heeds_the_breakers_it_is_asked_to(clock, keep):
    payments = open_breaker(clock)
    keep.append(open_breaker(clock, "search"))
    health = Health(ready_unless_open=("payments",))

    with asgi(health) as served:
        while_open, alive = served.ask("/ready"), served.ask("/live")
        clock.advance(11.2)
        when_over = served.ask("/ready")

    assert payments.state is State.OPEN
    assert (while_open.status, alive.status) == (503, 200)
    assert while_open.json == {"status": "not ready", "open": ["payments"]}
    assert when_over.json == {"status": "ready", "open": []}


def test_probing_breaker_is_ready_as_it_needs_calls(clock):
    payments = open_breaker(clock)
    clock.advance(12)
    permit = payments.acquire()

    with asgi(Health(ready_unless_open=("payments",))) as served:
        status = served.ask("/ready").status

    permit.release()
    assert status == 200


def test_forced_open_breaker_is_not_ready(clock):
    payments = open_breaker(clock)
    payments.force_open()
    clock.advance(1000)

    with asgi(Health(ready_unless_open=("payments",))) as served:
        assert served.ask("/ready").status == 503


def test_breaker_that_is_not_there_is_told_and_not_made():
    with asgi(Health(ready_unless_open=("paymets",))) as served:
        reply = served.ask("/ready")

    assert reply.status == 200
    assert reply.json == {"status": "ready", "open": [], "unknown": ["paymets"]}


def test_readiness_tells_no_names_where_a_hook_decides_who_may_know_them(clock):
    payments = open_breaker(clock)
    health = Health(
        ready_unless_open=("payments", "paymets"), authorise=lambda *_: False
    )

    with asgi(health) as served:
        reply = served.ask("/ready")

    assert payments.state is State.OPEN
    assert (reply.status, reply.json) == (503, {"status": "not ready"})


def test_breaker_of_a_group_can_be_heeded():
    hosts = BreakerGroup("hosts")
    force(hosts["a"], State.OPEN)

    with asgi(Health(groups=[hosts], ready_unless_open=("hosts[a]",))) as served:
        assert served.ask("/ready").status == 503


# -- health: changing ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("trip", State.OPEN),
        ("force_open", State.FORCED_OPEN),
        ("disable", State.DISABLED),
        ("observe", State.METRICS_ONLY),
        ("reset", State.CLOSED),
    ],
)
def test_state_can_be_changed_by_who_may(action, state, caplog):
    payments = CircuitBreaker("payments")
    asked = []

    def authorise(scope, action, name):
        asked.append((scope["type"], action, name))
        return True

    with (
        caplog.at_level(logging.WARNING, "recloser"),
        asgi(Health(allow_changes=True, authorise=authorise)) as served,
    ):
        reply = served.post(f"/breakers/payments/{action}")

    assert payments.state is state
    assert (reply.status, reply.json["state"]) == (200, state)
    assert asked == [("http", action, "payments")]
    assert caplog.messages == [
        f"'payments': {action}, by hand through the admin route (was closed)"
    ]


def test_hook_can_be_async_and_name_can_have_slashes():
    payments = CircuitBreaker("eu/payments")

    async def authorise(scope, action, name):
        return name == "eu/payments"

    with asgi(Health(allow_changes=True, authorise=authorise)) as served:
        reply = served.post("/breakers/eu%2Fpayments/trip")

    assert (reply.status, payments.state) == (200, State.OPEN)


def test_breaker_of_a_group_can_be_changed():
    hosts = BreakerGroup("hosts")
    force(hosts["a"], State.OPEN)
    health = Health(groups=[hosts], allow_changes=True, authorise=lambda *_: True)

    with asgi(health) as served:
        reply = served.post("/breakers/hosts[a]/reset")

    assert (reply.status, hosts["a"].state) == (200, State.CLOSED)
    assert len(hosts) == 1


def test_changes_are_off_unless_switched_on():
    payments = CircuitBreaker("payments")

    with asgi(Health(authorise=lambda *_: True)) as served:
        reply = served.post("/breakers/payments/trip")

    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert payments.state is State.CLOSED


def test_changes_without_a_hook_are_refused_when_made():
    with pytest.raises(ValueError, match=r"allow_changes needs authorise=: a function"):
        Health(allow_changes=True)


async def unawaited():
    return True


@pytest.mark.parametrize("said", [False, None, 0, 1, "yes", [True], object()])
def test_only_true_is_a_yes(said):
    payments = CircuitBreaker("payments")

    with asgi(Health(allow_changes=True, authorise=lambda *_: said)) as served:
        reply = served.post("/breakers/payments/trip")

    assert (reply.status, payments.state) == (403, State.CLOSED)


def test_who_may_not_is_not_told_which_names_exist():
    payments = CircuitBreaker("payments")

    with asgi(Health(allow_changes=True, authorise=lambda *_: False)) as served:
        there = served.post("/breakers/payments/trip")
        not_there = served.post("/breakers/other/trip")
        shown = served.ask("/breakers/payments"), served.ask("/breakers/other")

    assert payments.state is State.CLOSED
    assert there.body == not_there.body
    assert [reply.status for reply in (there, not_there, *shown)] == [403] * 4


def test_hook_that_raises_changes_nothing():
    payments = CircuitBreaker("payments")

    def authorise(scope, action, name):
        raise PermissionError

    with asgi(Health(allow_changes=True, authorise=authorise)) as served:
        reply = served.post("/breakers/payments/trip")

    assert (reply.status, payments.state) == (500, State.CLOSED)
    assert [type(error) for error in served.escaped] == [PermissionError]


def test_hook_decides_who_may_look_but_not_about_probes():
    def authorise(scope, action, name):
        return (b"authorization", b"Bearer token") in scope["headers"]

    with asgi(Health(authorise=authorise)) as served:
        stranger = [served.ask(path).status for path in ("/", "/live", "/ready")]
        friend = served.ask("/", headers={"Authorization": "Bearer token"}).status

    assert (stranger, friend) == ([403, 200, 200], 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # what a form can send
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "text/plain; application/json"}, 415),
        ({}, 415),
        # what a foreign page can send where CORS is open
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "null"}, 403),
        ({"Content-Type": "application/json", "Origin": "http://["}, 403),
        # what an operator sends
        ({"Content-Type": "application/json"}, 200),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, 200),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "none"}, 200),
    ],
)
def test_foreign_page_cannot_change_anything(headers, status):
    payments = CircuitBreaker("payments")

    with asgi(Health(allow_changes=True, authorise=lambda *_: True)) as served:
        cookie = {"Cookie": "session=operator"}
        reply = served.ask("/breakers/payments/trip", "POST", {**headers, **cookie})

    assert reply.status == status
    assert payments.state is (State.OPEN if status == 200 else State.CLOSED)


def test_page_of_our_own_can_change_things():
    payments = CircuitBreaker("payments")

    with asgi(Health(allow_changes=True, authorise=lambda *_: True)) as served:
        reply = served.post("/breakers/payments/trip", Origin=f"http://{served.host}")

    assert (reply.status, payments.state) == (200, State.OPEN)


def test_second_header_cannot_hide_the_first():
    payments = CircuitBreaker("payments")
    health = Health(allow_changes=True, authorise=lambda *_: True)
    request = (
        b"POST /breakers/payments/trip HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Length: 0\r\nContent-Type: text/plain\r\n"
        b"Content-Type: application/json\r\n\r\n"
    )

    with (
        asgi(health) as served,
        closing(socket.create_connection(where(served))) as raw,
    ):
        raw.settimeout(10)
        raw.sendall(request)
        received = b"".join(iter(lambda: raw.recv(4096), b""))

    assert received.startswith(b"HTTP/1.1 415")
    assert payments.state is State.CLOSED


@pytest.mark.parametrize("action", ["__init__", "_circuit", "close", "", "TRIP"])
def test_only_the_five_actions_exist(action):
    payments = CircuitBreaker("payments")

    with asgi(Health(allow_changes=True, authorise=lambda *_: True)) as served:
        reply = served.post(f"/breakers/payments/{action}")

    assert (reply.status, payments.state) == (404, State.CLOSED)


def test_breaker_that_is_not_there_cannot_be_changed(recloser_registry):
    with asgi(Health(allow_changes=True, authorise=lambda *_: True)) as served:
        reply = served.post("/breakers/other/trip")

    assert reply.status == 404
    assert len(recloser_registry) == 0


def test_trip_of_a_held_breaker_is_a_conflict():
    payments = CircuitBreaker("payments")
    payments.force_open()

    with asgi(Health(allow_changes=True, authorise=lambda *_: True)) as served:
        reply = served.post("/breakers/payments/trip")

    assert (reply.status, payments.state) == (409, State.FORCED_OPEN)
    assert "reset" in reply.json["detail"]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"allow_changes": "no"}, TypeError, "allow_changes must be True or False, go"),
        ({"registry": {}}, TypeError, "registry must be a Registry, got {}"),
        ({"groups": ["hosts"]}, TypeError, "groups must be of BreakerGroup, got 'host"),
        ({"ready_unless_open": "payments"}, TypeError, "ready_unless_open must be a t"),
        ({"ready_unless_open": [5]}, TypeError, "ready_unless_open must hold names"),
        ({"ready_unless_open": [""]}, TypeError, "ready_unless_open must hold names"),
    ],
)
def test_bad_option_is_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        Health(**options)


# -- health: mounting ------------------------------------------------------------------


def starlette_with(health):
    return Starlette(routes=[Mount("/circuits", health)])


def litestar_with(health):
    @litestar_asgi("/circuits", is_mount=True, copy_scope=False)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await health(scope, receive, send)

    return Litestar([mounted], openapi_config=None)


@pytest.mark.parametrize("mounted", [starlette_with, litestar_with])
def test_routes_can_be_mounted(mounted):
    payments = CircuitBreaker("payments")
    app = mounted(Health(allow_changes=True, authorise=lambda *_: True))

    with asgi(app) as served:
        listing = served.ask("/circuits/").json
        ready = served.ask("/circuits/ready").status
        changed = served.post("/circuits/breakers/payments/trip").status

    assert [one["name"] for one in listing["breakers"]] == ["payments"]
    assert (ready, changed, payments.state) == (200, 200, State.OPEN)


def test_websocket_to_the_routes_is_refused():
    with (
        asgi(Health()) as served,
        pytest.raises(websockets.exceptions.InvalidStatus) as caught,
    ):
        websockets.sync.client.connect(f"ws://{served.host}/live", proxy=None)

    assert caught.value.response.status_code == 403
