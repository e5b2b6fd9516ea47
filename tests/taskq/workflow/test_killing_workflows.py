"""Workers are killed in the midst of workflows: each step still runs, with the right inputs."""

from __future__ import annotations

import os
import random
import signal

import pytest

from stress.rig.pools import wait_until
from taskq.models import Edge, SentWorkflow, State, Task
from taskq.workflow import Workflow
from tests.project.lab import steps

FLOWS, PARTS = 12, 6


def send_one(number):
    """Parts of two kinds, a body for them, and a chain behind that."""
    flow = Workflow()
    first = flow.add(steps.part, [f"{number} first", number])
    parts = [
        flow.add(
            steps.atomic_part if place % 2 else steps.part,
            [f"{number} part {place}", 10 * number + place],
            after=[first],
        )
        for place in range(PARTS)
    ]
    body = flow.add(steps.gather, [f"{number} body", flow.results(parts)])
    middle = flow.add(steps.part, [f"{number} middle", body.result])
    flow.add(steps.gather, [f"{number} end", [middle.result, first.result]])
    return flow.send()


def test_each_body_runs_with_the_right_inputs_whoever_is_killed(start_pool, runs, drained):
    send_one(0)  # a pool that is idle at first would look after workflows 20 s later
    pool = start_pool("-c", 4, "--lease", 10, "--heartbeat", 1, "--poll", 0.5)
    pool.wait_ready(4)
    chance = random.Random(5)
    for number in range(1, FLOWS):
        send_one(number)
        victims = list(pool.children("worker").values())
        if victims and number % 2:
            os.kill(chance.choice(victims), signal.SIGKILL)
    drained()
    for number in range(FLOWS):
        values = [10 * number + place for place in range(PARTS)]
        bodies, ends = runs("gathered", f"{number} body"), runs("gathered", f"{number} end")
        assert {tuple(each["values"]) for each in bodies} == {tuple(values)}
        assert {tuple(each["values"]) for each in ends} == {(sum(values), number)}
    assert not Edge.objects.exists()
    wait_until(
        lambda: not SentWorkflow.objects.filter(finished_at=None).exists(), what="ends are noted"
    )
    assert pool.stop() == 0


def test_an_idle_pool_goes_through_a_chain_without_a_wait(start_pool, runs, drained):
    start_pool("-c", 2, "--poll", 30).wait_ready(2)
    flow = Workflow()
    step = flow.add(steps.part, ["0", 0])
    for number in range(1, 20):
        step = flow.add(steps.part, [str(number), step.result])
    flow.send()
    drained()
    starts = [runs("start", str(number))[0]["at"] for number in range(20)]
    assert starts == sorted(starts)


def test_a_step_of_another_queue_wakes_the_pool_that_serves_it(start_pool, runs, drained):
    start_pool("-c", 1, "-Q", "default", "--poll", 30).wait_ready(1)
    start_pool("-c", 1, "-Q", "other", "--poll", 30).wait_ready(1)
    flow = Workflow()
    first = flow.add(steps.part, ["first", 1])
    second = flow.add(steps.part, ["second", first.result], queue="other")
    flow.add(steps.part, ["third", second.result])
    flow.send()
    drained()
    assert [len(runs("end", key)) for key in ("first", "second", "third")] == [1, 1, 1]


def test_what_waits_for_a_failure_runs_when_the_last_loss_fails_a_step(start_pool, runs):
    flow = Workflow()
    bad = flow.add(steps.part, ["bad", 1, 60.0])
    flow.add(steps.part, ["errback", 2], after=[bad], on="failed")
    flow.add(steps.part, ["never", 3], after=[bad])
    sent = flow.send()
    start_pool("-c", 2, "--lease", 10, "--heartbeat", 1).wait_ready(2)
    for attempt in (1, 2, 3):
        wait_until(lambda attempt=attempt: len(runs("start", "bad")) == attempt)
        os.kill(runs("start", "bad")[-1]["pid"], signal.SIGKILL)
    wait_until(lambda: runs("end", "errback"))
    states = dict(Task.objects.values_list("pk", "state"))
    wait_until(lambda: len(Task.objects.all()) == 2)
    assert states[sent.task_ids[0]] == State.FAILED
    assert states[sent.task_ids[2]] == State.BLOCKED


@pytest.mark.parametrize("verb", ["cancel", "discard"])
def test_what_waits_for_a_removed_step_is_dropped(start_pool, drained, verb):
    flow = Workflow()
    first = flow.add(steps.part, ["first", 1], countdown=3600)
    second = flow.add(steps.part, ["second", first.result])
    flow.add(steps.part, ["third", second.result])
    sent = flow.send()
    getattr(Task.objects.filter(pk=sent.task_ids[0]), verb)()
    pool = start_pool("-c", 1, "--lease", 10, "--heartbeat", 1)
    drained()
    assert not Edge.objects.exists()
    pool.wait_for_log("dropped, as a step that they waited for was cancelled or removed")
