"""The server that the other tests rely on does what its script says."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.integrations.loopback import (
    Answer,
    HangUp,
    Held,
    Loopback,
    Reset,
    Stream,
    refused,
)


def ask(
    server: Loopback, method: str = "GET", path: str = "/", body: bytes = b""
) -> tuple[int, bytes, dict[str, str]]:
    with closing(http.client.HTTPConnection(server.host, timeout=60)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.headers)


def test_script_is_followed_in_order_and_then_the_rule():
    with Loopback() as server:
        server.script(Answer(503, headers={"Retry-After": "7"}), Answer(201, b"made"))
        server.always(Answer(404))

        first, second, third = ask(server), ask(server), ask(server)

        assert (first[0], first[2]["Retry-After"]) == (503, "7")
        assert second[:2] == (201, b"made")
        assert third[0] == 404


def test_visits_are_kept_as_they_came(server: Loopback):
    ask(server, "POST", "/path?query", b"body")

    [visit] = server.visits
    assert (visit.method, visit.path, visit.body) == ("POST", "/path?query", b"body")


def test_stream_ends_as_it_should(server: Loopback):
    server.script(Stream([b"a", b"b"]), Stream([b"a"], ends="cut"))

    assert ask(server)[1] == b"ab"
    with pytest.raises(http.client.IncompleteRead):
        ask(server)


@pytest.mark.parametrize("step", [HangUp(), Reset(), Answer(body=b"half", cut=2)])
def test_faults_reach_the_client(server: Loopback, step: Answer | HangUp | Reset):
    server.script(step)

    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        ask(server)


def test_held_request_is_not_answered(server: Loopback):
    server.script(Held())
    connection = http.client.HTTPConnection(server.host, timeout=0.05)

    with closing(connection), pytest.raises(TimeoutError):
        connection.request("GET", "/")
        connection.getresponse()


def test_nobody_listens_where_connections_are_refused():
    target = urlsplit(refused())

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((target.hostname, target.port), timeout=60)
