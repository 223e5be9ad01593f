from __future__ import annotations

import pytest

from recloser.cli.demo.story import DYING, Act, Reply, Story

USUAL = Story.lasting(20)


def stage(act: Act, story: Story = USUAL):
    return next(stage for stage in story.stages if stage.act is act)


def test_script_goes_from_healthy_through_every_fault_back_to_healthy():
    acts = [stage.act for stage in USUAL.stages]

    assert acts == [
        Act.HEALTHY,
        Act.ERRORS,
        Act.HANGS,
        Act.SLOW,
        Act.RECOVERING,
        Act.HEALTHY,
    ]


@pytest.mark.parametrize("seconds", [2, 3, 20, 120])
def test_stages_follow_each_other_and_fill_the_run(seconds: float):
    stages = Story.lasting(seconds).stages

    assert stages[0].begins == 0
    assert stages[-1].ends == pytest.approx(seconds)
    assert [s.begins for s in stages[1:]] == [s.ends for s in stages[:-1]]


def test_moment_belongs_to_the_stage_that_begins_with_it():
    errors = stage(Act.ERRORS)

    assert USUAL.at(errors.begins) is errors
    assert USUAL.at(errors.ends).act is Act.HANGS


def test_last_stage_lasts_for_ever():
    assert USUAL.at(1e9) is USUAL.stages[-1]


def test_recovery_begins_when_the_service_stops_dying():
    assert USUAL.recovery == max(s.ends for s in USUAL.stages if s.act in DYING)


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_healthy_service_answers_well_within_patience(chance: float):
    reply = USUAL.reply(1.0, chance)

    assert reply.status == 200
    assert reply.delay <= 0.03


def test_nine_of_ten_requests_fail_among_errors():
    now = stage(Act.ERRORS).begins

    replies = [USUAL.reply(now, number / 100) for number in range(100)]

    assert sum(reply.status == 503 for reply in replies) == 90


def test_hanging_request_is_held_until_its_stage_ends_and_no_longer():
    hangs = stage(Act.HANGS)

    assert USUAL.reply(hangs.ends - 1.5, 0.5) == Reply(
        status=200, delay=pytest.approx(1.5)
    )


@pytest.mark.parametrize("chance", [0.0, 0.999])
@pytest.mark.parametrize("seconds", [2, 20, 120])
def test_slow_reply_comes_late_but_before_callers_give_up(
    seconds: float, chance: float
):
    story = Story.lasting(seconds)

    reply = story.reply(stage(Act.SLOW, story).begins, chance)

    assert 0.6 * story.patience < reply.delay < story.patience
    assert reply.status == 200


def test_recovery_has_fewer_and_fewer_errors_and_ever_faster_replies():
    recovering = stage(Act.RECOVERING)

    first = USUAL.reply(recovering.begins, 0.1)
    last = USUAL.reply(recovering.ends - 0.01, 0.1)

    assert (first.status, last.status) == (503, 200)
    assert first.delay > last.delay
