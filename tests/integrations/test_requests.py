"""Against a real server, through real sessions."""

from __future__ import annotations

import gc
import io
import pickle
import shutil
import threading
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.exceptions import ClosedPoolError, EmptyPoolError, ProtocolError

from recloser import BreakerGroup, CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations import requests as ours
from recloser.testing import FakeClock
from tests.integrations.loopback import (
    Answer,
    HangUp,
    Held,
    Reset,
    Stream,
    refused,
)

SUCCESS, FAILURE, NEUTRAL = (1, 0, 0), (0, 1, 0), (0, 0, 1)
NO_PAUSE = {"backoff_factor": 0, "respect_retry_after_header": False}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    """A breaker that one failure opens."""
    return CircuitBreaker(
        "api", trip=1, recovery=Wait(10, jitter=0), clock=clock, registry="none"
    )


@pytest.fixture
def session(breaker: CircuitBreaker):
    """A session in front of one breaker."""
    with guarded(breakers=breaker) as made:
        yield made


def guarded(adapter: Any = None, **options: Any) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", ours.CircuitAdapter(adapter, **options))
    return session


def counted(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 409, 501, 505, 529])
def test_other_answers_are_successes(session, server, breaker, status):
    server.script(Answer(status, b"" if status == 204 else b"body"))

    assert session.get(server.url).status_code == status
    assert counted(breaker) == SUCCESS


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failing_statuses_open_and_the_caller_gets_the_answer(
    session, server, breaker, status
):
    server.script(Answer(status, b"sorry", headers={"Retry-After": "40"}))

    response = session.get(server.url)

    assert (response.status_code, response.content) == (status, b"sorry")
    assert counted(breaker) == FAILURE
    assert breaker.state is State.OPEN
    assert 40 <= breaker.snapshot().retry_after <= 44


def test_status_that_is_no_status_is_refused_at_construction():
    with pytest.raises(ValueError, match="got 42"):
        ours.CircuitAdapter(statuses={42})


def test_open_circuit_rejects_without_reaching_the_server(session, server, breaker):
    breaker.trip()

    with pytest.raises(ours.CircuitOpenConnectionError) as caught:
        session.get(server.url)

    error = caught.value
    assert isinstance(error, requests.ConnectionError)
    assert isinstance(error, CircuitOpenError)
    assert str(error) == "'api' is open (tripped by hand): retry in 10 s"
    assert (error.retry_after, error.request.url) == (10, f"{server.url}/")
    assert (error.errno, error.filename, error.response) == (None, None, None)
    assert server.visits == []


@pytest.mark.parametrize("step", [HangUp(), Reset()])
def test_broken_connection_is_a_failure(session, server, breaker, step):
    server.script(step)

    with pytest.raises(requests.ConnectionError):
        session.get(server.url)

    assert counted(breaker) == FAILURE


def test_refused_connection_is_a_failure(session, breaker):
    with pytest.raises(requests.ConnectionError):
        session.get(refused())

    assert counted(breaker) == FAILURE


def test_timeout_is_a_failure(session, server, breaker):
    server.script(Held())

    with pytest.raises(requests.ReadTimeout):
        session.get(server.url, timeout=(30, 0.05))

    assert counted(breaker) == FAILURE


@pytest.mark.parametrize(
    "step",
    [
        Answer(body=b"0123456789", cut=5),
        Stream([b"one", b"two"], ends="cut"),
        Stream([b"one", b"two"], ends="reset"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_body_that_dies_midway_is_a_failure(session, server, breaker, step, stream):
    server.script(step)

    def read() -> None:
        with session.get(server.url, stream=stream) as response:
            list(response.iter_content(3))

    with pytest.raises(
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    ):
        read()

    assert counted(breaker) == FAILURE


def test_body_that_stalls_is_a_failure(session, server, breaker):
    server.script(Stream([b"one"], ends="held"))

    with pytest.raises(requests.ConnectionError):  # the head was in time
        session.get(server.url, timeout=(30, 0.5))

    assert counted(breaker) == FAILURE


def test_raw_body_that_dies_inside_its_block_is_a_failure(session, server, breaker):
    server.script(Answer(body=b"0123456789", cut=5))

    with (
        pytest.raises(ProtocolError),
        session.get(server.url, stream=True) as response,
    ):
        response.raw.enforce_content_length = True
        shutil.copyfileobj(response.raw, io.BytesIO())

    assert counted(breaker) == FAILURE


def test_body_is_not_judged_before_its_end(session, server, breaker):
    server.script(Stream([b"one\n", b"two\n", b"three"]))

    with session.get(server.url, stream=True) as response:
        lines = response.iter_lines(chunk_size=1)
        first = next(lines)
        during = counted(breaker)
        rest = list(lines)

    assert during == (0, 0, 0)
    assert [first, *rest] == [b"one", b"two", b"three"]
    assert counted(breaker) == SUCCESS


def test_body_left_early_is_a_success(session, server, breaker):
    server.script(Stream([b"one"], ends="held"), Stream([b"one"], ends="held"))

    with session.get(server.url, stream=True) as response:
        next(response.iter_content(1))
    with session.get(server.url, stream=True):
        pass

    assert counted(breaker) == (2, 0, 0)


def test_text_is_decoded_as_ever(session, server):
    server.script(
        Answer(
            body="größe".encode(), headers={"Content-Type": "text/plain; charset=utf-8"}
        )
    )

    response = session.get(server.url, stream=True)

    assert "".join(response.iter_content(2, decode_unicode=True)) == "größe"


def test_guarded_response_is_a_response(session, server):
    server.script(Answer(body=b'{"a": 1}'))

    response = session.get(server.url)
    copy = pickle.loads(pickle.dumps(response))  # noqa: S301 - our own bytes

    assert response.json() == {"a": 1}
    assert (type(copy), copy.content) == (requests.Response, b'{"a": 1}')
    assert isinstance(response, requests.Response)
    assert repr(response) == "<Response [200]>"


def test_cookies_and_redirects_work_as_ever(session, server):
    server.script(
        Answer(302, headers={"Location": "/there", "Set-Cookie": "a=1"}), Answer()
    )

    response = session.get(server.url)

    assert [each.status_code for each in response.history] == [302]
    assert server.visits[1].headers["Cookie"] == "a=1"


def test_probe_that_still_delivers_when_its_lease_ends_closes(
    session, server, breaker, clock
):
    more = threading.Event()

    def chunks():
        yield b"1"
        more.wait(120)
        yield b"2"

    server.script(Stream(chunks(), ends="held"))
    breaker.trip()
    clock.advance(10)
    with session.get(server.url, stream=True) as response:
        parts = response.iter_content(1)
        next(parts)
        before = breaker.state
        clock.advance(30)
        more.set()
        next(parts)
        after = breaker.state

    assert (before, after) == (State.HALF_OPEN, State.CLOSED)


class ImpatientHTTP(HTTPConnectionPool):
    """A pool that does not wait for ever for one of its connections."""

    def urlopen(self, *args: Any, **options: Any) -> Any:
        return super().urlopen(*args, **{**options, "pool_timeout": 0.02})


class SmallPool(HTTPAdapter):
    """An adapter with one connection, on that pool."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(1, 1, block=True)
        self.poolmanager.pool_classes_by_scheme = {
            "http": ImpatientHTTP,
            "https": HTTPSConnectionPool,
        }


def test_pool_without_a_free_connection_is_neutral(server, breaker):
    server.script(Stream([b"one"], ends="held"))

    with (
        guarded(SmallPool(), breakers=breaker) as session,
        session.get(server.url, stream=True),
        pytest.raises(EmptyPoolError),
    ):
        session.get(server.url)

    assert counted(breaker) == (1, 0, 1)


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("http://*nobody", requests.exceptions.InvalidURL),
        ("http://nobody:port", requests.exceptions.InvalidURL),
    ],
)
def test_mistake_in_the_request_is_no_evidence(session, breaker, url, mistake):
    with pytest.raises(mistake):
        session.get(url)

    assert counted(breaker)[:2] == (0, 0)


def test_each_host_has_its_own_breaker(server, other_server):
    hosts = BreakerGroup("hosts", trip=1)
    server.script(Answer(503))

    with guarded(breakers=hosts) as session:
        session.get(server.url)
        answer = session.get(other_server.url)

    assert answer.status_code == 200
    assert set(hosts) == {server.host, other_server.host}
    assert hosts[server.host].state is State.OPEN


def test_keys_are_any_function_and_bounded(server):
    paths = BreakerGroup("paths", max_size=3)

    with guarded(breakers=paths, key=lambda request: request.path_url) as session:
        for number in range(10):
            session.get(f"{server.url}/{number}")

    assert list(paths) == ["/7", "/8", "/9"]


def test_retries_inside_count_once(server, breaker):
    inside = HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], **NO_PAUSE))
    server.script(Answer(503), Answer(503))

    with guarded(inside, breakers=breaker) as session:
        response = session.get(server.url)

    assert response.status_code == 200
    assert len(server.visits) == 3
    assert counted(breaker) == SUCCESS


def test_retries_inside_that_are_used_up_count_once(server, breaker):
    inside = HTTPAdapter(max_retries=Retry(2, status_forcelist=[503], **NO_PAUSE))
    server.always(Answer(503))

    with (
        guarded(inside, breakers=breaker) as session,
        pytest.raises(requests.exceptions.RetryError),
    ):
        session.get(server.url)

    assert len(server.visits) == 3
    assert counted(breaker) == FAILURE


def test_retries_outside_count_each_try(server):
    breaker = CircuitBreaker("api", trip=9, registry="none")
    server.script(Answer(503), HangUp())
    retries = Retry(3, status_forcelist=[503], **NO_PAUSE)

    with guarded(breakers=breaker, retries=retries) as session:
        response = session.get(server.url)

    assert response.status_code == 200
    assert counted(breaker) == (1, 2, 0)


def test_retries_outside_end_when_the_circuit_opens(server, breaker):
    server.always(Answer(503, b"sorry"))
    retries = Retry(5, status_forcelist=[503], **NO_PAUSE)

    with guarded(breakers=breaker, retries=retries) as session:
        response = session.get(server.url)

    assert (response.status_code, response.content) == (503, b"sorry")
    assert len(server.visits) == 1
    assert breaker.snapshot().rejected == 0


def test_retries_outside_give_the_error_that_opened_the_circuit(server, breaker):
    server.always(HangUp())

    with guarded(breakers=breaker, retries=5) as session:
        with pytest.raises(requests.ConnectionError) as caught:
            session.get(server.url)
        with pytest.raises(ours.CircuitOpenConnectionError):
            session.get(server.url)

    assert not isinstance(caught.value, CircuitOpenError)
    assert len(server.visits) == 1


def test_retries_outside_that_are_used_up_give_the_last_answer(server):
    server.script(Answer(503, b"1"), Answer(503, b"2"), Answer(503, b"3"))
    retries = Retry(2, status_forcelist=[503], **NO_PAUSE)

    with guarded(retries=retries) as session:
        assert session.get(server.url).content == b"3"


def test_retries_outside_send_the_body_again(server):
    server.script(Answer(503))
    retries = Retry(2, status_forcelist=[503], allowed_methods=None, **NO_PAUSE)

    with guarded(retries=retries) as session:
        session.post(server.url, data=io.BytesIO(b"body"))

    assert [visit.body for visit in server.visits] == [b"body", b"body"]


def test_retries_outside_leave_methods_alone_that_must_not_be_repeated(server):
    server.script(HangUp())

    with guarded(retries=3) as session, pytest.raises(requests.ConnectionError):
        session.post(server.url, data=b"body")

    assert len(server.visits) == 1


def test_rejection_survives_pickling_without_its_request():
    error = ours.CircuitOpenConnectionError("api", State.OPEN, 3.0, "why", None)
    error.request = requests.Request("GET", headers={"K": "secret"})

    data = pickle.dumps(error)
    copy = pickle.loads(data)  # noqa: S301 - our own bytes

    assert type(copy) is type(error)
    assert (copy.args, str(copy), copy.request) == (error.args, str(error), None)
    assert b"secret" not in data


def test_ready_judgement(server):
    def error_of(status: int) -> requests.HTTPError:
        server.script(Answer(status, headers={"Retry-After": "7"}))
        with pytest.raises(requests.HTTPError) as caught:
            requests.get(server.url, timeout=60).raise_for_status()
        return caught.value

    down, missing = error_of(503), error_of(404)
    said = [
        [judge(error) for judge in (ours.failures, ours.successes, ours.ignore)]
        for error in (
            down,
            missing,
            requests.ConnectTimeout(),
            requests.ConnectionError(ClosedPoolError(None, "")),
            requests.exceptions.InvalidURL(),
            ours.CircuitOpenConnectionError("api"),
            KeyError(),
        )
    ]

    assert said == [
        [True, False, False],
        [False, True, False],
        [True, False, False],
        [False, False, True],
        [False, False, True],
        [False, False, True],
        [False, False, False],
    ]
    assert ours.retry_after(down) == ours.retry_after(down.response) == 7
    assert ours.retry_after(requests.ConnectionError()) is None


class Elsewhere(requests.Response):
    """A response of another adapter's own class."""


class ElsewhereAdapter(HTTPAdapter):
    def build_response(self, *args: Any) -> requests.Response:
        made = Elsewhere()
        made.__dict__.update(super().build_response(*args).__dict__)
        return made


def test_response_of_another_class_is_judged_by_its_head(server, breaker):
    server.script(Answer(200))

    with guarded(ElsewhereAdapter(), breakers=breaker) as session:
        response = session.get(server.url)

    assert type(response) is Elsewhere
    assert counted(breaker) == SUCCESS


def test_response_that_nobody_closes_holds_nothing_up(session, server, breaker):
    server.script(Stream([b"one"], ends="well"))
    response = session.get(server.url, stream=True)

    del response
    gc.collect()

    assert session.get(server.url).status_code == 200
    assert counted(breaker) == SUCCESS
