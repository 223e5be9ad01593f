"""Rejections of Litestar handlers, on a real uvicorn."""

from __future__ import annotations

import pytest
from litestar import Litestar, Response, get
from litestar.response import Stream

from recloser import CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations.litestar import RejectionPlugin
from recloser.testing import FakeClock
from tests.integrations.serving import asgi


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


def made(payments, **options):
    @get("/")
    async def route() -> str:
        async with payments:
            raise AssertionError

    @get("/sync", sync_to_thread=True)
    def sync() -> str:
        with payments:
            raise AssertionError

    @get("/group")
    async def group() -> str:
        raise ExceptionGroup("one", [CircuitOpenError("payments", State.OPEN, 2.5)])

    @get("/mixed")
    async def mixed() -> str:
        raise ExceptionGroup("two", [CircuitOpenError("payments"), KeyError()])

    @get("/stream")
    async def stream() -> Stream:
        async def chunks():
            yield "first"
            with payments:
                raise AssertionError

        return Stream(chunks())

    routes = [route, sync, group, mixed, stream]
    return Litestar(routes, openapi_config=None, **options)


@pytest.mark.parametrize("path", ["/", "/sync"])
def test_rejection_becomes_503_with_the_wait_rounded_up(payments, path):
    with asgi(made(payments, plugins=[RejectionPlugin()])) as served:
        reply, group = served.ask(path), served.ask("/group")

    assert (reply.status, reply.headers["retry-after"]) == (503, "12")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json["retry_after"] == 12
    assert "breaker" not in reply.json
    assert (group.status, group.headers["retry-after"]) == (503, "3")


def test_caller_is_told_of_the_breaker_only_when_asked(payments):
    plugin = RejectionPlugin(tell=("name",))

    with asgi(made(payments, plugins=[plugin])) as served:
        assert served.ask("/").json["breaker"] == "payments"


def test_group_with_another_failure_is_litestars_own_500(payments):
    with asgi(made(payments, plugins=[RejectionPlugin()])) as served:
        assert served.ask("/mixed").status == 500


def test_handler_of_the_application_comes_first(payments):
    def cached(request, error):
        return Response("cached")

    app = made(
        payments,
        plugins=[RejectionPlugin()],
        exception_handlers={CircuitOpenError: cached},
    )

    with asgi(app) as served:
        assert served.ask("/").body == b"cached"


def test_stream_that_has_begun_is_left_alone(payments):
    from http.client import HTTPConnection, IncompleteRead

    with asgi(made(payments, plugins=[RejectionPlugin()])) as served:
        connection = HTTPConnection(served.host, timeout=60)
        connection.request("GET", "/stream")
        answer = connection.getresponse()
        with pytest.raises(IncompleteRead) as caught:
            answer.read()
        connection.close()

    assert answer.status == 200
    assert b"503" not in caught.value.partial
