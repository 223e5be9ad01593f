from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest

from recloser.cli.demo.records import Client, Recording
from recloser.cli.demo.service import CLIENT_HEADER, Service
from recloser.cli.demo.story import Act, Story

STORY = Story.lasting(20)
UNGUARDED = {CLIENT_HEADER: Client.UNGUARDED.value}


class Moment:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def move_into(self, act: Act) -> None:
        self.now = next(s.begins for s in STORY.stages if s.act is act)


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
def service(moment: Moment) -> Iterator[Service]:
    with Service(Recording(story=STORY, seed=1, elapsed=moment)) as service:
        yield service


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(headers=UNGUARDED, trust_env=False) as http:
        yield http


def test_status_follows_the_script(
    service: Service, moment: Moment, http: httpx.Client
):
    healthy = http.get(service.url).status_code
    moment.move_into(Act.ERRORS)
    failing = [http.get(service.url).status_code for _ in range(20)]

    assert healthy == 200
    assert failing.count(503) > 10


def test_both_clients_meet_the_same_row_of_chances(
    service: Service, moment: Moment, http: httpx.Client
):
    moment.move_into(Act.ERRORS)

    rows = [
        [
            http.get(service.url, headers={CLIENT_HEADER: client.value}).status_code
            for _ in range(20)
        ]
        for client in Client
    ]

    assert rows[0] == rows[1]
    assert len(set(rows[0])) == 2


def test_hanging_request_is_held_after_its_caller_left_until_it_is_let_go(
    service: Service, moment: Moment, http: httpx.Client
):
    moment.move_into(Act.HANGS)

    with pytest.raises(httpx.ReadTimeout):
        http.get(service.url, timeout=0.1)

    assert service.inside(Client.UNGUARDED) == 1
    service.let_go()
    assert http.get(service.url).status_code == 200


def test_every_request_that_came_is_one_visit_of_its_client_and_stage(
    moment: Moment, http: httpx.Client
):
    recording = Recording(story=STORY, seed=1, elapsed=moment)

    with Service(recording) as service:
        http.get(service.url)
        moment.move_into(Act.HANGS)
        with pytest.raises(httpx.ReadTimeout):
            http.get(service.url, timeout=0.1)

    assert [(visit.client, visit.act) for visit in recording.visits] == [
        (Client.UNGUARDED, Act.HEALTHY),
        (Client.UNGUARDED, Act.HANGS),
    ]


def test_leaving_ends_every_thread_even_while_requests_hang(
    moment: Moment, http: httpx.Client
):
    before = set(threading.enumerate())
    moment.move_into(Act.HANGS)

    with Service(Recording(story=STORY, seed=1, elapsed=moment)) as service:
        with pytest.raises(httpx.ReadTimeout):
            http.get(service.url, timeout=0.1)
        during = set(threading.enumerate()) - before
    http.close()

    assert len(during) == 2
    assert set(threading.enumerate()) == before
