"""How a workflow of Celery's canvas is sent: its transaction, options, ids, and what is refused."""

from __future__ import annotations

import pytest
from django.db import transaction

from taskq.celery import (
    AsyncResult,
    NoResult,
    chain,
    chord,
    group,
    shared_task,
    signature,
)
from taskq.celery.canvas import planning
from taskq.models import Edge, SentWorkflow, Task
from taskq.testing import run_all
from tests.taskq.celery.canvas_tasks import (
    add,
    note,
    ran,
    run,
    total,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_ran")]


def test_a_workflow_is_sent_with_its_transaction_or_not_at_all():
    with transaction.atomic():
        chord([add.s(1), add.s(2)], total.s()).delay()
        assert Task.objects.count() == 3
        transaction.set_rollback(True)
    assert (Task.objects.count(), Edge.objects.count()) == (0, 0)


def test_the_options_of_a_workflow_go_to_its_parts():
    add.s(1).set(queue="one", priority=3).delay()
    chain(add.s(1), add.s(2).set(queue="two")).apply_async(countdown=100, queue="first")
    group(add.s(1), add.s(2).set(queue="three")).apply_async(queue="all")
    chord([add.s(1)], total.s()).apply_async(queue="chord", countdown=50)
    rows = Task.objects.order_by("id").values_list("queue", "priority", "delay")
    assert list(rows) == [
        ("one", 3, None),
        ("first", 0, None),
        ("two", 0, None),
        ("all", 0, None),
        ("all", 0, None),
        ("chord", 0, None),
        ("chord", 0, None),
    ]
    assert Task.objects.future().count() == 2


def test_a_signature_is_passed_to_a_task_as_json():
    @shared_task(name="caller")
    def caller(callback):
        signature(callback).delay(1)

    caller.delay(note.s(2) | note.s(3))
    run_all()
    assert ran == [("note", (1, 2), {}), ("note", ([1, 2], 3), {})]


def test_a_workflow_that_holds_itself_is_refused():
    made = chain(add.s(1), add.s(2))
    made.tasks.append(made)
    with pytest.raises(ValueError, match=r"celery\.chain is a part of itself: a workflow has no c"):
        made.delay()
    deep = add.s(1)
    for _ in range(planning.DEEPEST + 1):
        deep = group(deep, add.s(1)) if deep.subtask_type is None else chord([deep], add.s(1))
    with pytest.raises(ValueError, match="lies in more than 100 parts: make it flatter"):
        deep.delay()
    assert not Task.objects.exists()


def test_bad_parts_are_refused_at_the_call_with_their_step():
    with pytest.raises(TypeError, match=r"step 2: .*add: missing a required argument: 'x'"):
        chord([add.s(1), add.s(2)], add.si()).delay()
    with pytest.raises(TypeError, match=r"step 1: .*add: too many positional arguments"):
        (add.s(1, 2) | add.s(1, 2)).delay()
    with pytest.raises(TypeError, match="unknown apply_async option cuontdown"):
        (add.s(1) | add.s(1).set(cuontdown=1)).delay()
    with pytest.raises(ValueError, match=r"no task is registered by the name 'app.nothing'"):
        (add.s(1) | signature("app.nothing")).delay()
    with pytest.raises(TypeError, match="a chord has no body: give one"):
        chord([add.s(1)]).delay()
    with pytest.raises(TypeError, match="link is 5: give a signature, such as task"):
        add.apply_async((1,), link=5)
    with pytest.raises(TypeError, match=r"part 1 of the group: .*missing a required argument"):
        group(add.s(1), add.s()).delay()
    with pytest.raises(TypeError, match=r"idempotency_key of .*: a step of a workflow cannot have"):
        add.apply_async((1,), link=note.s(), idempotency_key="k")
    assert not Task.objects.exists()


def test_tasks_of_a_workflow_have_the_ids_that_their_callers_gave():
    result = chain(add.s(1, 2).set(task_id="first"), add.s(3)).apply_async(task_id="last")
    assert (result.id, result.parent.id) == ("last", "first")
    chord([add.s(1).set(task_id="part")], own_id.si()).apply_async(task_id="body")
    group(add.s(1).set(task_id="one"), add.s(2)).apply_async(task_id="the group")
    run_all()
    found = [AsyncResult(id).get(0) for id in ("first", "last", "part", "body", "one")]
    assert found == [3, 6, 1, "body", 1]


@shared_task(bind=True, ignore_result=False)
def own_id(self):
    return self.request.id


def test_a_frozen_signature_knows_its_results_before_it_is_sent():
    made = add.s(1, 1) | group(add.s(1), add.s(2)) | total.s() | add.s(10)
    result = made.freeze()
    before = [each.id for each in result.parents() if isinstance(each, AsyncResult)]
    assert (len(set(before)), result.status, result.children) == (2, "PENDING", None)
    sent = made.delay()
    assert (sent.id, [each.id for each in sent.parents() if each.id in before]) == (
        result.id,
        before,
    )
    run_all()
    assert result.get(0) == 17
    assert [each.get(0) for each in result.parent.parent.results] == [3, 4]
    assert add.s(1).freeze("mine").id == "mine"
    assert group(add.s(1)).freeze("of all").id == "of all"
    for nothing in (chain(), add.chunks([(1, 2)], 1)):
        with pytest.raises(TypeError):
            nothing.freeze()


def test_a_part_with_limits_and_forebears_tells_its_run():
    made = add.s(1).set(time_limit=50, soft_time_limit=40, root_id="root", parent_id="parent")
    (made | about.s()).delay()
    (add.s(1) | about.s().set(root_id="root", parent_id="parent")).delay()
    run_all()
    assert ran[-1] == ("about", "root", "parent")


@shared_task(bind=True)
def about(self, value):
    ran.append(("about", self.request.root_id, self.request.parent_id))


def test_a_workflow_is_called_by_its_shape_without_arguments():
    (add.s(1, 2) | group(add.s(3), add.s(4), note.s()) | total.s() | add.s(5)).delay()
    chord([add.s(1)])(total.s())
    chain(add.s(1) for _ in range(200)).delay(1)
    names = SentWorkflow.objects.order_by("id").values_list("name", flat=True)
    assert list(names[:2]) == ["add | (2 of add, note) | total | add", "(add)"]
    assert names[2] == "add | " * 16 + "add…"


def test_an_empty_chain_sends_nothing():
    assert chain().delay() is None
    assert run(group(chain(), add.s(1)).delay()) == [1]
    assert run(group().delay()) == []


def test_a_result_of_which_nothing_is_known():
    result = (add.s(1) | add.s(2)).delay()
    Task.objects.all().delete()
    assert (result.status, result.ready()) == ("PENDING", False)
    with pytest.raises(NoResult):
        result.get(timeout=0)
