"""A step is released by the end of its last part, exactly once, whatever comes between."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from stress.rig.pools import wait_until
from taskq import sql
from taskq.models import Edge, On, State, Task
from taskq.store import endings
from taskq.store.keeper_endings import end_for
from taskq.store.releasing import Parts
from taskq.store.workflows import BEGIN, FIRST
from taskq.workflow import Workflow
from tests.project.lab import tasks as lab
from tests.taskq.workflow.ends import end_in, release_in


def send(parts):
    """Parts, and a step that gets their values. The ids of the parts, and that of the step."""
    flow = Workflow()
    steps = [flow.add(lab.add, [i, 0]) for i in range(parts)]
    flow.add(lab.trace, [flow.results(steps)])
    *ids, last = flow.send().task_ids
    return ids, last


def state_of(id):
    return Task.objects.values_list("state", flat=True).get(pk=id)


def ending(id, value="[[7],{}]"):
    return endings.pass_on((id, 1), None, None, value)


@pytest.mark.postgresql
def test_two_last_parts_that_end_together_release_once(two_sessions, new_worker):
    (one, two), last = send(2)
    workers = [new_worker(), new_worker()]
    for worker in workers:
        worker.claim()
    first, second = two_sessions
    # Neither sees the other's end: if they counted here, nobody would release the step.
    end_in(first, workers[0], one)
    assert release_in(first, one) == []
    end_in(second, workers[1], two)
    assert release_in(second, two) == []
    first.commit()
    second.commit()
    assert state_of(last) == State.BLOCKED
    # Then both look again, at the same time.
    released = [release_in(first, one)]
    waiting = threading.Thread(target=lambda: released.append(release_in(second, two)))
    waiting.start()
    first.commit()
    waiting.join(60)
    second.commit()
    assert [len(rows) for rows in released] == [1, 0]
    assert state_of(last) == State.READY
    assert not Edge.objects.exists()


def test_the_end_of_the_last_part_releases_in_its_own_transaction(worker):
    (one, two), last = send(2)
    worker.claim(limit=2, quick=(lab.add.name,))
    assert worker.db.end(worker.id, [ending(one)]) == {one}
    assert state_of(last) == State.BLOCKED
    assert worker.db.end(worker.id, [ending(two, "[[8],{}]")]) == {two}
    assert state_of(last) == State.READY
    assert Task.objects.get(pk=last).inputs.replace(" ", "") == '[[0,"[[7],{}]"],[1,"[[8],{}]"]]'


def test_a_task_of_no_workflow_is_no_step(worker):
    send(1)
    lab.noop.delay()
    part, plain = worker.claim(limit=2, quick=(lab.add.name, lab.noop.name))
    assert part.step is not None
    assert plain.step is None


def test_an_end_that_is_fenced_releases_nothing(worker, new_worker):
    (one,), last = send(1)
    worker.claim()
    stranger = new_worker()
    assert stranger.db.end(stranger.id, [ending(one)]) == set()
    late = endings.pass_on((one, 2), None, None, "x")
    assert worker.db.end(worker.id, [late]) == set()
    assert state_of(last) == State.BLOCKED
    assert set(Edge.objects.values_list("state", flat=True)) == {0}


def test_an_end_that_drops_what_follows_is_fenced_too(worker, new_worker):
    (one, two), last = send(2)
    worker.claim(limit=2, quick=(lab.add.name,))
    drops = endings.pass_on((one, 1), None, None, "x", 1 << On.DONE)
    assert endings.decoded([(*drops.run, drops.encoded())]) == [drops]
    stranger = new_worker()
    assert stranger.db.end(stranger.id, [drops]) == set()
    assert set(Edge.objects.values_list("state", flat=True)) == {0}
    kept = endings.pass_on((two, 1), None, None, "x", 1 << On.CHAIN)
    assert worker.db.end(worker.id, [drops, kept]) == {one, two}
    assert dict(Edge.objects.values_list("part_id", "state")) == {one: 2, two: 1}
    assert worker.db.workflows.drop_voided([last]) == [(last, lab.trace.name)]


def test_a_failure_that_nobody_is_to_hear_of_is_fenced_too(worker, new_worker):
    flow = Workflow()
    part = flow.add(lab.add, [1, 2])
    flow.add(lab.trace, [0], after=[part], on="failed")
    flow.add(lab.trace, [part.result])
    one, told, _ = flow.send().task_ids
    worker.claim()
    unheard = endings.fail((one, 1), error="no", traceback="", unheard=True)
    assert endings.decoded([(*unheard.run, unheard.encoded())]) == [unheard]
    stranger = new_worker()
    assert stranger.db.end(stranger.id, [unheard]) == set()
    assert set(Edge.objects.values_list("state", flat=True)) == {0}
    assert worker.db.end(worker.id, [unheard]) == {one}
    assert set(Edge.objects.values_list("waits_for", "state")) == {(On.FAILED, 2), (On.DONE, 0)}
    worker.db.workflows.settle(60)
    assert worker.db.workflows.drop_voided([told]) == [(told, lab.trace.name)]
    assert state_of(one) == State.FAILED


def test_a_keeper_releases_what_a_dead_worker_left(worker):
    (one,), last = send(1)
    worker.claim()
    vendor = connection.vendor
    # The end of the part alone, as if the process had died before it released anything.
    own = worker.db.connection
    own.batch(*endings.calls(sql.of(vendor), worker.id, [ending(one)]))
    assert state_of(last) == State.BLOCKED
    assert worker.db.workflows.settle(60) == 1
    assert state_of(last) == State.READY
    assert worker.db.workflows.settle(60) == 0


def test_what_a_keeper_writes_for_a_dead_worker_releases_too(worker):
    (one,), last = send(1)
    worker.claim()
    assert end_for(worker.db, worker.id, [ending(one)]) == set()
    assert state_of(last) == State.READY


def test_releasing_again_changes_nothing(worker):
    (one,), last = send(1)
    worker.claim()
    worker.db.end(worker.id, [ending(one)])
    Task.objects.filter(pk=last).update(state=State.RUNNING)
    assert worker.db.workflows.release(Parts([one])) == 0
    assert state_of(last) == State.RUNNING


def test_a_part_that_is_removed_takes_what_waits_with_it(worker):
    (one,), last = send(1)
    Task.objects.filter(pk=one).delete()  # by a person, past all of taskq's verbs
    store = worker.db.workflows
    walked = store.walk(BEGIN, 100)
    assert (walked.orphans, walked.next) == ([one], BEGIN)
    store.void(walked.orphans)
    assert store.with_voids(FIRST, 100) == [last]
    assert store.drop_voided([last]) == [(last, lab.trace.name)]
    assert not Task.objects.exists()
    assert not Edge.objects.exists()


def test_a_step_that_is_removed_leaves_no_edges(worker):
    send(3)
    Task.objects.filter(state=State.BLOCKED).delete()
    store = worker.db.workflows
    store.forget(store.walk(BEGIN, 100).gone)
    assert not Edge.objects.exists()


def test_what_is_over_is_noted(worker):
    flow = Workflow("short", deadline=-1)
    flow.add(lab.add, [1, 2])
    sent = flow.send()
    store = worker.db.workflows
    assert store.open(0, 10) == [(sent.pk, True, True)]
    store.cancel([sent.pk])
    assert not Task.objects.exists()
    ((_, left, overdue),) = store.open(0, 10)
    assert not left
    assert not overdue
    store.finish([sent.pk])
    sent.refresh_from_db()
    assert sent.finished_at is not None
    # The end may be as old as the clock of SQLite can tell: a millisecond.
    wait_until(lambda: store.prune(0.0, 10) == 1, what="the end of the workflow lies in the past")
