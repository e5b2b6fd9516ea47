"""Rows that somebody typed, or another deployment wrote: no worker dies of them."""

import pickle
from base64 import b64encode

import pytest

from stress.rig.pools import wait_until
from taskq.models import State, Task
from tests.project.lab import tasks
from tests.taskq.store.bad_rows import insert


def test_a_row_typed_by_hand_is_a_task_like_any_other(start_pool, runs):
    start_pool("-c", 1)
    insert()
    wait_until(lambda: runs("end", "a"))


@pytest.mark.postgresql
def test_rows_that_were_parked_for_ever_stop_nobody(start_pool, runs):
    insert(execute_at="infinity", priority=9)
    insert('["parked", "too"]', queue="mail", execute_at="infinity")
    pool = start_pool("-c", 1)
    insert()
    wait_until(lambda: runs("end", "a"))
    insert(payload='[["late"],{}]', execute_at="-infinity")
    wait_until(lambda: runs("end", "late"))
    assert "the database" not in pool.log()


FORGED = "pickle:" + b64encode(pickle.dumps([["a"], {}])).decode() + ":forged"
BAD = {
    "broken JSON": ('[["a"', "not JSON"),
    "empty": ("", "not JSON"),
    "not a pair": ('{"args": []}', "not of the form"),
    "wrong types": ('["a", {}]', "not of the form"),
    "unknown tag": ('[[{"$taskq": "evil", "value": 1}], {}]', "cannot be read"),
    "malformed date": ('[[{"$taskq": "date", "value": "2026-13-99"}], {}]', "cannot be read"),
    "pickle not accepted": (FORGED, "pickled"),
    "too few arguments": ("[[], {}]", "missing 1 required positional argument"),
    "unknown arguments": ('[["a"], {"b": 1}]', "unexpected keyword argument"),
    "deep nesting": ("[" * 100_000 + "]" * 100_000, "not JSON"),
}


@pytest.mark.parametrize("opted_in", [False, True])
def test_bad_arguments_fail_their_task_with_a_clear_reason(
    start_pool, runs, drained, settings, opted_in
):
    more = {"TASKQ_SERIALIZER": "pickle"} if opted_in else {}
    pool = start_pool("-c", 1, **more)
    for payload, _ in BAD.values():
        insert(payload=payload)
    insert(payload='[["good"], {}]')
    drained()
    assert runs("end", "good")
    errors = {row.payload: row.error for row in Task.objects.failed()}
    for what, (payload, reason) in BAD.items():
        expected = "signature" if opted_in and payload is FORGED else reason
        assert expected in errors[payload], what
    assert "died" not in pool.log()


def test_a_payload_of_100_megabytes_harms_nobody(start_pool, runs, drained):
    pool = start_pool("-c", 1)
    insert(payload='[["' + "x" * 100_000_000 + '"],{"y": 1}]')
    insert(payload='[["good"], {}]')
    drained()
    assert runs("end", "good")
    assert "unexpected keyword argument" in Task.objects.failed().defer("payload").get().error
    assert "died" not in pool.log()


def test_a_task_unknown_here_is_left_for_a_worker_that_knows_it(start_pool, runs):
    pool = start_pool("-c", 1)
    insert(name="another.deployment.task")
    pool.wait_for_log("not known here")
    row = wait_until(lambda: Task.objects.filter(state=State.READY, attempt__gt=0).first())
    assert row.unknown_since is not None
    assert row.execute_at > row.unknown_since
    assert row.losses == row.retries == 0
    tasks.quick.delay("others go on")
    wait_until(lambda: runs("end", "others go on"))


def test_a_task_nobody_knew_for_long_enough_fails_and_says_so(start_pool):
    start_pool("-c", 1, TASKQ_UNKNOWN_TASK_TTL="0.5")
    insert(name="another.deployment.task")
    row = wait_until(lambda: Task.objects.failed().first())
    assert "no worker knew the task 'another.deployment.task'" in row.error


def test_names_are_looked_up_and_never_imported(start_pool, drained):
    start_pool("-c", 1, TASKQ_UNKNOWN_TASK_TTL="0.1")
    insert(name="os.abort", payload="[[],{}]")
    drained()
    assert "no worker knew" in Task.objects.failed().get().error


def test_expired_tasks_are_dropped_and_not_run(start_pool, runs, drained):
    tasks.quick.apply_async(("late",), expires=0.0)
    pool = start_pool("-c", 1)
    drained()
    assert not Task.objects.exists()
    assert not runs("start", "late")
    pool.wait_for_log("expired before it was started")
