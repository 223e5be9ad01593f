"""Figures over a real UDP socket."""

from __future__ import annotations

import socket

import pytest

from recloser import BreakerGroup
from recloser.listeners.statsd import StatsdListener


@pytest.fixture
def server():
    """A UDP socket on loopback that nobody reads but the test."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        yield server


@pytest.fixture
def listen(server):
    """Make listeners that send to the server only when a test says so."""
    made = []

    def make_listener(**options):
        port = server.getsockname()[1]
        made.append(StatsdListener(port=port, every=3600, **options))
        return made[-1]

    yield make_listener
    for listener in made:
        listener.close()


@pytest.fixture
def heard(server):
    """Return the lines of every datagram that has come, as name -> (value, rest)."""

    def hear():
        lines = []
        server.settimeout(0)
        try:
            while True:
                datagram = server.recv(65536)
                assert len(datagram) <= 1432
                lines += datagram.decode().split("\n")
        except BlockingIOError:
            server.settimeout(30)
        named = [line.partition(":") for line in lines]
        return {name: rest for name, _, rest in named}

    return hear


def test_counters_are_sent_as_growth(make, clock, live, listen, heard):
    listener = listen()
    payments = make(listeners=[listener])
    live(payments, clock)

    listener.flush()
    first = heard()
    payments.reset()
    payments.call(lambda: "answer")
    listener.flush()
    second = heard()

    assert first["recloser.payments.calls.success"] == "3|c"
    assert first["recloser.payments.rejected_calls"] == "5|c"
    assert first["recloser.payments.transitions.closed.open"] == "1|c"
    assert first["recloser.payments.state_seconds.open"] == "12|c"
    assert second["recloser.payments.calls.success"] == "1|c"
    assert "recloser.payments.rejected_calls" not in second


def test_every_state_is_a_gauge(make, listen, heard):
    listener = listen()
    payments = make(listeners=[listener])
    payments.trip()

    listener.flush()
    lines = heard()

    assert lines["recloser.payments.state.open"] == "1|g"
    assert lines["recloser.payments.state.closed"] == "0|g"
    assert lines["recloser.payments.retry_after_seconds"] == "10|g"


def test_labels_are_tags_for_dogstatsd(make, server, listen):
    listener = listen(tags={"service": "shop", "worker": "a b"})
    payments = make(listeners=[listener])
    payments.call(lambda: "answer")

    listener.flush()
    lines = server.recv(65536).decode().split("\n")

    tags = "service:shop,worker:a_b,name:payments,outcome:success"
    assert f"recloser.calls:1|c|#{tags}" in lines


def test_names_cannot_break_a_line(clock, listen, server, heard):
    listener = listen(names=2)
    api = BreakerGroup("api", clock=clock, listeners=[listener])
    api["evil:1|c|#x,y\n.@"].call(lambda: "answer")

    listener.flush()

    names = {name.split(".")[1] for name in heard()}
    assert names == {"api_", "api_evil_1_c_x_y_"}


def test_change_of_state_is_sent_soon(make, server, listen):
    payments = make(listeners=[listen()])

    payments.trip()  # and the listener's thread sends, though its next time is far

    assert b"recloser.payments.state.open:1|g" in server.recv(65536)


def test_guarded_calls_send_nothing_themselves(make, listen, heard):
    payments = make(listeners=[listen()])
    for _ in range(100):
        payments.call(lambda: "answer")

    assert heard() == {}


def test_what_could_not_be_sent_is_sent_later(make, server, caplog):
    port = server.getsockname()[1]
    listener = StatsdListener(host="no.such.host.invalid", port=port, every=3600)
    payments = make(listeners=[listener])
    payments.call(lambda: "answer")
    listener.flush()
    assert [r.getMessage() for r in caplog.records] == [
        "metrics could not be handed over"
    ]

    payments.call(lambda: "answer")
    listener._target = ("127.0.0.1", port)  # the name is there again
    listener.flush()
    listener.close()

    assert b"recloser.payments.calls.success:2|c" in server.recv(65536)


def test_nobody_listening_is_no_error(make, server, caplog):
    port = server.getsockname()[1]
    server.close()
    listener = StatsdListener(port=port, every=3600)
    payments = make(listeners=[listener])

    for _ in range(3):
        payments.call(lambda: "answer")
        listener.flush()
    listener.close()

    assert caplog.records == []


def test_closing_sends_what_is_left(make, listen, heard):
    listener = listen()
    payments = make(listeners=[listener])
    payments.call(lambda: "answer")

    listener.close()

    assert heard()["recloser.payments.calls.success"] == "1|c"


def test_many_breakers_fill_many_datagrams(make, listen, heard):
    listener = listen()
    made = [make(f"breaker-{number}", listeners=[listener]) for number in range(90)]
    for breaker in made:
        breaker.call(lambda: "answer")

    listener.flush()
    lines = heard()

    sent = [name for name in lines if name.endswith(".calls.success")]
    assert len(sent) == 90


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": 0}, "port must be at least 1, got 0"),
        ({"port": 65536}, "port must be at most 65535, got 65536"),
        ({"prefix": "a:b"}, "prefix must be text without spaces"),
        ({"every": -1}, "every must"),
    ],
)
def test_bad_options_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        StatsdListener(**options)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"host": None}, "host must be the name or address of a host, got None"),
        ({"prefix": 3}, "prefix must be text without spaces"),
        ({"tags": ["env:live"]}, "tags must be a mapping of names to values, got"),
        ({"label": "name"}, "label must be a function of a breaker's name, got 'name'"),
    ],
)
def test_option_of_the_wrong_type_is_shown_with_its_rule(options, rule):
    with pytest.raises((TypeError, ValueError), match=rule):
        StatsdListener(**options)
