"""``AsyncResult``: by which ids it is found, and how it revokes."""

from __future__ import annotations

import copy
import pickle
import threading
import uuid

import pytest
from django.db import connections, transaction

from stress.rig.pools import wait_until
from taskq.celery import AsyncResult, NoResult
from taskq.models import State, Task
from tests.project.lab import tasks as lab
from tests.taskq.conftest import waits_for_a_lock

pytestmark = pytest.mark.usefixtures("registered")


def test_async_result_takes_an_id_its_uuid_and_its_number():
    id = uuid.UUID(int=42)
    for given in (id, str(id), id.hex, 42, "42"):
        assert AsyncResult(given).id == AsyncResult(given).task_id == str(id)
        assert AsyncResult(given).id.int == 42
        assert AsyncResult(id=given) == AsyncResult(id)
        assert hash(AsyncResult(given)) == hash(AsyncResult(id))
    assert AsyncResult(id) != AsyncResult(uuid.UUID(int=43))
    assert AsyncResult(id) == str(id)
    assert AsyncResult(id) != 42
    assert str(AsyncResult(id)) == str(id)
    assert repr(AsyncResult(id)) == f"<AsyncResult: {id}>"


def test_async_result_can_be_pickled_and_copied():
    result = AsyncResult(uuid.UUID(int=42), using="other")
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert (again, again.id.int, again._using) == (result, 42, "other")


@pytest.mark.django_db
@pytest.mark.parametrize("id", ["", "abc", "not an id", "é" * 32, "9" * 40, 2**100])
def test_of_what_can_be_no_tasks_id_nothing_is_known(id):
    """As in Celery."""
    result = AsyncResult(id)
    assert (result.status, result.result, result.ready()) == ("PENDING", None, False)
    assert result == AsyncResult(id)
    assert result != AsyncResult("another")
    assert (result.revoke(), result.cancel(), result.forget()) == (False, False, None)
    with pytest.raises(NoResult, match="there is neither a task"):
        result.get()


@pytest.mark.parametrize("nonsense", [4.2, None, b"\0" * 16, [], True, -1, 2**128])
def test_async_result_refuses_nonsense(nonsense):
    with pytest.raises(ValueError, match="is no task id: give its number, or the UUID"):
        AsyncResult(nonsense)


@pytest.mark.django_db
def test_an_id_finds_its_row_as_the_driver_has_it():
    result = lab.quick.delay("a")
    assert Task.objects.get(pk=result.id.int).uuid == result.id
    assert Task.objects.get(pk=result.id).pk == result.id.int
    Task.objects.update(error=result.id)
    assert Task.objects.get(error=result.id).error == result.id


@pytest.mark.django_db
def test_revoke_removes_a_task_that_waits():
    result, other = lab.quick.delay("a"), lab.quick.delay("b")
    assert result.revoke() is True
    assert [task.uuid for task in Task.objects.all()] == [other.id]
    assert result.revoke() is False


@pytest.mark.django_db
def test_revoke_takes_what_celerys_does():
    assert lab.quick.delay("a").revoke(terminate=True, signal="SIGKILL", wait=False, timeout=1)
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_revoke_removes_a_task_that_is_not_due_yet():
    assert lab.quick.apply_async(("a",), countdown=60).revoke()
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_revoke_works_by_the_stored_text_of_the_id():
    stored = str(lab.quick.delay("a").id)
    assert AsyncResult(stored).revoke()
    assert not Task.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("state", [State.RUNNING, State.FAILED])
def test_revoke_leaves_a_task_alone_that_has_started(state):
    result = lab.quick.delay("a")
    Task.objects.update(state=state)
    assert result.revoke() is False
    assert Task.objects.get().state == state


@pytest.mark.django_db
@pytest.mark.parametrize(
    "id", [uuid.UUID(int=0), uuid.UUID(int=2**63 - 1), uuid.uuid4(), uuid.NAMESPACE_DNS]
)
def test_revoke_of_another_id_removes_nothing(id):
    lab.quick.delay("a")
    assert AsyncResult(id).revoke() is False
    assert Task.objects.count() == 1


@pytest.mark.django_db
def test_revoke_is_part_of_the_transaction():
    result = lab.quick.delay("a")
    with transaction.atomic():
        result.revoke()
        transaction.set_rollback(True)
    assert Task.objects.get().uuid == result.id


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_revoke_does_not_remove_a_task_that_is_claimed_meanwhile():
    """The claim holds the row's lock; revoking waits for it, and looks again."""
    result = lab.quick.delay("a")
    answers = []

    def revoke():
        answers.append(result.revoke())
        connections.close_all()

    with transaction.atomic():
        Task.objects.update(state=State.RUNNING)
        thread = threading.Thread(target=revoke)
        thread.start()
        wait_until(waits_for_a_lock, what="it waits for the claim")
        assert not answers
    thread.join(60)
    assert answers == [False]
    assert Task.objects.get().state == State.RUNNING
