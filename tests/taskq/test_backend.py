"""Django's own tasks (or their backport): sent, run, killed, told of, as Django has it."""

from __future__ import annotations

import datetime
import os
import re
import signal
import uuid

import django
import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core.checks import run_checks
from django.db import transaction
from django.utils import timezone

if not apps.is_installed("tests.project.native"):
    reason = "neither django.tasks (Django 6.0) nor django-tasks is installed"
    pytest.skip(reason, allow_module_level=True)

from stress.pools import wait_until
from stress.project.shop.models import Order
from taskq import payload, registry
from taskq.backend import TaskqBackend
from taskq.celery import AsyncResult, TaskCancelled, shared_task
from taskq.django import TaskqTask
from taskq.django import task as task_with_options
from taskq.framework import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
)
from taskq.framework import Task as DjangoTask
from taskq.models import Result, Task
from taskq.payload import PayloadError
from taskq.progress import Progress
from tests.project.lab import tasks as lab
from tests.project.native import tasks as native


@pytest.fixture
def backend():
    return task_backends["default"]


@pytest.fixture
def _registry(monkeypatch):
    """What a test defines is gone after it."""
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


def test_all_that_a_backend_can_do_ours_can(backend):
    assert isinstance(backend, TaskqBackend)
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority


# Sending


@pytest.mark.django_db
def test_enqueue_writes_a_row_and_returns_a_result_that_is_ready():
    before = timezone.now()
    result = native.add.enqueue(1, b=(2, 3))
    row = Task.objects.get()
    assert (row.name, row.payload) == ("tests.project.native.tasks.add", '[[1],{"b":[2,3]}]')
    assert (row.queue, row.priority, row.max_losses) == ("default", 0, 3)
    assert result.id == str(row.uuid) == str(uuid.UUID(int=row.pk))
    assert result.status == TaskResultStatus.READY
    assert (result.task, result.backend) == (native.add, "default")
    assert (result.args, result.kwargs) == ([1], {"b": [2, 3]})
    assert (result.errors, result.worker_ids, result.attempts) == ([], [], 0)
    assert before <= result.enqueued_at <= timezone.now()
    assert result.started_at is result.last_attempted_at is result.finished_at is None
    assert not result.is_finished
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value


@pytest.mark.django_db
def test_queue_and_priority_are_those_of_the_task_and_using_changes_them():
    native.send.enqueue(1)
    native.send.using(priority=-100, queue_name="default").enqueue(2)
    rows = Task.objects.order_by("id").values_list("queue", "priority")
    assert list(rows) == [("mail", 7), ("default", -100)]


@pytest.mark.django_db
def test_run_after_defers_the_task():
    when = timezone.now() + datetime.timedelta(hours=1)
    native.add.using(run_after=when).enqueue(1)
    assert Task.objects.get().execute_at == when


@pytest.mark.django_db(transaction=True)
def test_a_task_lives_and_dies_with_the_transaction():
    with transaction.atomic():
        Order.objects.create(number=1)
        result = native.add.enqueue(1)
        assert native.add.get_result(result.id).status == TaskResultStatus.READY
        transaction.set_rollback(True)
    assert (Order.objects.count(), Task.objects.count()) == (0, 0)
    with pytest.raises(TaskResultDoesNotExist):
        native.add.get_result(result.id)


@pytest.mark.django_db
def test_sending_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        native.add.enqueue(1)
    with django_assert_num_queries(1):
        native.add.enqueue_many([(1,), {"a": 2}, [3, 4]])


@pytest.mark.django_db
def test_many_are_sent_in_order():
    results = native.send.enqueue_many([(number,) for number in range(100)])
    assert [result.args for result in results] == [[number] for number in range(100)]
    rows = Task.objects.in_bulk()
    assert [payload.decode(rows[uuid.UUID(result.id).int].payload)[0] for result in results] == [
        [number] for number in range(100)
    ]
    assert set(Task.objects.values_list("queue", "priority")) == {("mail", 7)}
    assert native.send.enqueue_many([]) == []
    with pytest.raises(TypeError, match=r"calls\[1\] is 5: give a tuple"):
        native.add.enqueue_many([(1,), 5])


@pytest.mark.django_db(transaction=True)
def test_sending_and_asking_from_a_coroutine(worker):
    async def send_and_ask():
        result = await native.add.aenqueue(1, b=2)
        assert (await native.add.aget_result(result.id)).status == TaskResultStatus.READY
        return result

    result = async_to_sync(send_and_ask)()
    worker.db.keep(worker.id, worker.claim_one().run, payload.encode_result(3))
    async_to_sync(result.arefresh)()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 3)


@pytest.mark.django_db
@pytest.mark.parametrize("argument", [object(), {1, 2}, datetime.date(2030, 1, 1)])
def test_arguments_that_json_has_not_are_refused_as_django_does(argument):
    with pytest.raises(TypeError, match="Unsupported type"):
        native.add.enqueue(argument)
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_too_much_is_refused(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 100}
    with pytest.raises(PayloadError, match="more than TASKQ"):
        native.add.enqueue("x" * 100)


@pytest.mark.django_db
def test_enqueued_is_signalled_with_the_result():
    heard = []

    def hear(sender, task_result, **kwargs):
        heard.append((sender, task_result))

    task_enqueued.connect(hear)
    try:
        result = native.add.enqueue(1)
        many = native.add.enqueue_many([(2,), (3,)])
    finally:
        task_enqueued.disconnect(hear)
    assert heard == [(TaskqBackend, each) for each in [result, *many]]


# What comes of it


def test_result_through_the_life_of_its_task(worker):
    result = native.add.enqueue(1, 2)
    enqueued_at = Task.objects.get().created_at
    claimed = worker.claim_one()
    result.refresh()
    first = f"host:1/worker 1/{worker.id}"
    assert (result.status, result.attempts) == (TaskResultStatus.RUNNING, 1)
    assert (result.worker_ids, result.errors) == ([first], [])
    assert result.started_at == result.last_attempted_at
    assert result.enqueued_at == enqueued_at <= result.started_at

    worker.db.retry(
        worker.id, claimed.run,
        when=None, delay=0.0, error="E", traceback="Traceback …", kind="builtins.KeyError",
    )  # fmt: skip
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 1)
    (error,) = result.errors
    assert (error.exception_class, error.traceback) == (KeyError, "Traceback …")
    assert not result.is_finished
    started_at = result.started_at

    claimed = worker.claim_one()
    worker.db.keep(worker.id, claimed.run, payload.encode_result({"sum": 3}))
    result.refresh()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, {"sum": 3})
    assert (result.worker_ids, result.attempts, result.is_finished) == ([first] * 2, 2, True)
    assert [each.exception_class for each in result.errors] == [KeyError]
    assert result.started_at == started_at < result.last_attempted_at <= result.finished_at
    again = native.add.get_result(result.id)
    assert again == result
    assert (again.task, again.args, again.kwargs, again.backend) == (
        native.add, [1, 2], {}, "default",
    )  # fmt: skip


def test_result_of_a_task_that_failed_has_the_error_of_each_attempt(worker, new_worker):
    result = native.send.using(priority=3).enqueue(1)
    worker.db.workers.retire(
        worker.id, ran=worker.claim_one().id, charge=True, cause="killed by SIGKILL"
    )
    other = new_worker()
    other.db.fail(
        other.id, other.claim_one().run,
        error="ValueError: no", traceback="T", kind="builtins.ValueError",
    )  # fmt: skip
    result.refresh()
    assert (result.status, result.attempts, result.is_finished) == (
        TaskResultStatus.FAILED, 2, True,
    )  # fmt: skip
    assert [(each.exception_class_path, each.traceback) for each in result.errors] == [
        ("taskq.exceptions.WorkerLost", "killed by SIGKILL"),
        ("builtins.ValueError", "T"),
    ]
    assert all(issubclass(each.exception_class, Exception) for each in result.errors)
    assert result.worker_ids == [f"host:1/worker 1/{worker.id}", f"host:1/worker 2/{other.id}"]
    assert result.started_at < result.last_attempted_at <= result.finished_at
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value
    task = native.send.get_result(result.id).task
    assert (task.priority, task.queue_name, task.func) == (3, "mail", native.send.func)


@pytest.mark.django_db
@pytest.mark.parametrize("id", [str(uuid.uuid4()), str(uuid.UUID(int=1)), "", "x", 5, None])
def test_an_unknown_id_has_no_result(backend, id):
    with pytest.raises(TaskResultDoesNotExist):
        backend.get_result(id)


@pytest.mark.django_db
def test_a_task_of_another_front_door_has_no_result_here(backend):
    with pytest.raises(TaskResultDoesNotExist):
        backend.get_result(str(lab.add.delay(1, 2).id))


@pytest.mark.django_db
def test_the_result_of_another_task_is_a_mismatch():
    result = native.send.enqueue(1)
    with pytest.raises(Exception, match=r"Task does not match \(received '.*tasks\.send'\)"):
        native.add.get_result(result.id)


def test_a_result_can_be_asked_for_as_celery_does(worker):
    result = AsyncResult(native.add.enqueue(1, 2).id)
    assert result.status == "PENDING"
    worker.db.keep(worker.id, worker.claim_one().run, payload.encode_result(3))
    assert result.get() == 3


# Defining


def module_level(a, b=None):
    pass


def without_context(a, context):
    pass


def generator():
    yield


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"func": lambda: None}, "Task function must have a name of its own"),
        ({"func": len}, "Task function must be defined at a module level"),
        ({"func": without_context, "takes_context": True}, "does not have a first argument"),
        ({"priority": 101}, "priority must be a whole number between -100 and 100"),
        ({"priority": -101}, "priority must be a whole number between -100 and 100"),
        ({"priority": 1.5}, "priority must be a whole number between -100 and 100"),
        ({"run_after": datetime.datetime(2030, 1, 1)}, "run_after must be an aware datetime"),
        ({"queue_name": "other"}, "Queue 'other' is not valid for backend"),
        ({"func": generator}, "is a generator: calling it runs nothing"),
        ({"func": native.doze.func, "atomic": True}, "atomic is True, but .* is async"),
    ],
)
@pytest.mark.usefixtures("_registry")
def test_what_cannot_be_a_task_is_refused_as_django_words_it(options, message):
    given = {"func": module_level, "priority": 0, "queue_name": "default", "backend": "default"}
    with pytest.raises(InvalidTask, match=message):
        TaskqTask(**{**given, "run_after": None, **options})


@pytest.mark.usefixtures("_registry")
def test_a_queue_that_no_pool_can_name_is_refused(settings):
    settings.TASKS = {"default": {"BACKEND": "taskq.backend.TaskqBackend", "QUEUES": []}}
    with pytest.raises(InvalidTask, match="a comma or a star cannot be in it"):
        task_with_options(queue_name="a,b")(module_level)


@pytest.mark.usefixtures("_registry")
def test_options_are_those_of_the_other_front_door():
    @shared_task(name="backend.celery", autoretry_for=(OSError,), retry_backoff=True)
    def celery():
        pass

    defined = task_with_options(
        autoretry_for=(OSError,),
        retry_backoff=True,
        max_retries=8,
        time_limit=60,
        soft_time_limit=30,
        on_lost="fail",
        atomic=True,
    )(module_level)
    options = registry.find(defined.module_path).options
    theirs = registry.find("backend.celery").options
    assert (options.autoretry_for, options.retry_backoff) == ((OSError,), 1.0)
    assert options.retry_backoff == theirs.retry_backoff
    assert (options.max_retries, options.time_limit, options.soft_time_limit) == (8, 60, 30)
    assert (options.on_lost, options.atomic, options.ignore_result) == ("fail", True, False)


@pytest.mark.skipif(
    (6, 0) <= django.VERSION < (6, 1), reason="Django's own decorator takes no options in 6.0"
)
@pytest.mark.usefixtures("_registry")
def test_options_ride_on_djangos_own_decorator():
    defined = native.task(max_retries=8, on_lost="fail")(module_level)
    options = registry.find(defined.module_path).options
    assert (options.max_retries, options.on_lost) == (8, "fail")
    with pytest.raises(TypeError, match="max_retry"):
        native.task(max_retry=8)(module_level)


@pytest.mark.django_db
@pytest.mark.usefixtures("_registry")
def test_using_leaves_what_workers_know_of_the_task_alone():
    defined = task_with_options(max_retries=8, on_lost="fail")(module_level)
    known = registry.find(defined.module_path)
    changed = defined.using(priority=5, queue_name="mail")
    assert (changed.max_retries, changed.on_lost) == (8, "fail")
    assert registry.find(defined.module_path) is known
    changed.enqueue(1)
    row = Task.objects.get()
    assert (row.queue, row.priority, row.max_losses) == ("mail", 5, 0)


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"max_retries": -1}, ValueError),
        ({"on_lost": "x"}, ValueError),
        ({"autoretry_for": 5}, ValueError),
        ({"time_limit": 0}, ValueError),
        ({"atomic": "yes"}, ValueError),
        ({"bind": True}, TypeError),
        ({"name": "x"}, TypeError),
        ({"unique": "all"}, ValueError),
        ({"unique_until": "end"}, ValueError),
        ({"once": True}, TypeError),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_by_its_name(option, error):
    with pytest.raises(error, match=next(iter(option))):
        task_with_options(**option)


@pytest.mark.usefixtures("_registry")
def test_with_another_backend_our_options_are_left_out(settings, backend):
    """As in tests, by Django's own ImmediateBackend."""
    (base,) = [each for each in type(backend).__mro__ if each.__name__ == "BaseTaskBackend"]
    package = base.__module__.removesuffix(".base")
    settings.TASKS = {"default": {"BACKEND": f"{package}.immediate.ImmediateBackend"}}
    defined = task_with_options(max_retries=8)(module_level)
    assert type(defined) is DjangoTask
    assert defined.enqueue(1).status == TaskResultStatus.SUCCESSFUL
    with pytest.raises(TypeError, match="unknown task option max_retry; known are"):
        task_with_options(max_retry=8)


@pytest.mark.django_db
@pytest.mark.usefixtures("_registry")
def test_a_plain_task_of_djangos_can_be_sent():
    plain = DjangoTask(
        func=module_level, priority=0, queue_name="default", backend="default", run_after=None
    )
    plain.enqueue(1)
    assert registry.find(plain.module_path).options.ignore_result is False
    assert Task.objects.get().name == f"{__name__}.module_level"


def test_tasks_in_any_tasks_py_are_known_without_being_sent():
    assert registry.find("tests.project.native.tasks.send").function is native.send.func
    assert lab.add.name in registry.names()


# The checks


@pytest.mark.django_db
def test_the_settings_of_the_tests_are_good():
    assert not [each for each in run_checks() if each.id and each.id.startswith("taskq.E")]


@pytest.mark.parametrize(
    ("params", "id", "text"),
    [
        ({"OPTIONS": {"databse": "x"}}, "taskq.E007", r"\['OPTIONS'\] has 'databse'"),
        ({"OPTIONS": {"database": "x"}}, "taskq.E008", "is 'x': no such database"),
        ({"QUEUES": ["a", "b*"]}, "taskq.E009", "a comma or a star cannot be in it"),
        ({"QUEUES": ["a", 5]}, "taskq.E009", "queue is 5: give its name as a str"),
    ],
)
def test_wrong_settings_are_found(params, id, text):
    (message,) = TaskqBackend("other", {"BACKEND": "x", **params}).check()
    assert message.id == id
    assert re.match(r"TASKS\['other'\].*" + text, message.msg)


def test_taskq_must_be_installed(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "taskq"]
    (message,) = TaskqBackend("default", {}).check()
    assert message.id == "taskq.E006"


# With a pool


def finished(result, seconds=20):
    def look():
        result.refresh()
        return result.is_finished

    wait_until(look, seconds=seconds, what=f"{result.task.name} is finished")
    return result


def test_both_front_doors_are_one_queue(start_pool, runs):
    sums = native.add.enqueue_many([(number, 1) for number in range(20)])
    celery = lab.add.delay(1, 2)
    sent = native.send.enqueue(5)
    asleep = native.doze.enqueue("a", 0)
    told = native.tell.enqueue("b")
    broken = native.fail.enqueue("c")
    twice = native.fail_twice.enqueue("d")
    placed = native.place.enqueue(1)
    misplaced = native.place.enqueue(2, succeed=False)
    strange = native.give_back_an_object.enqueue()
    pool = start_pool("-c", 2)

    assert [finished(result).return_value for result in sums] == list(range(1, 21))
    assert celery.get(timeout=20) == 3
    assert finished(sent).return_value == {"sent": 5}
    assert finished(asleep).return_value in (0, 1)
    status, args, name, workers, attempt = finished(told).return_value
    assert (status, args, name, attempt) == ("RUNNING", ["b"], "tell", 1)
    assert workers == told.worker_ids

    assert finished(broken).status == TaskResultStatus.FAILED
    (error,) = broken.errors
    assert error.exception_class is ValueError
    assert error.traceback.endswith("ValueError: no good\n")

    assert finished(twice).return_value == 3
    assert [record["attempt"] for record in runs("attempt")] == [1, 2, 3]
    assert twice.attempts == 3
    assert [each.traceback.splitlines()[-1] for each in twice.errors] == [
        "ValueError: attempt 1",
        "ValueError: attempt 2",
    ]

    assert finished(placed).return_value == 1
    assert finished(misplaced).status == TaskResultStatus.FAILED
    assert [order.number for order in Order.objects.all()] == [1]

    assert finished(strange).status == TaskResultStatus.FAILED
    assert strange.errors[0].exception_class is PayloadError

    assert Result.objects.count() == 20 + 6
    # The last signals are sent once the outcome can be seen.
    everything = [*sums, sent, asleep, told, broken, twice, placed, misplaced, strange]
    wait_until(lambda: len(runs("finished")) == len(everything))
    for result in everything:
        signals = [record for record in runs(key=result.id) if "status" in record]
        assert [(record["kind"], record["attempts"]) for record in signals] == [
            *(("started", number) for number in range(1, result.attempts + 1)),
            ("finished", result.attempts),
        ]
        assert signals[0]["status"] == "RUNNING"
        assert signals[-1]["status"] == result.status
        if result.status == TaskResultStatus.SUCCESSFUL:
            assert signals[-1]["value"] == result.return_value
    assert "a receiver that fails" in pool.log()
    assert "has no TaskResult" not in pool.log()


def test_a_task_whose_worker_is_killed_succeeds_on_its_second_attempt(start_pool, runs):
    start_pool("-c", 1)
    result = native.nap_and_tell.enqueue("a", 60)
    (start,) = wait_until(lambda: runs("start", "a"))
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.RUNNING, 1)
    os.kill(start["pid"], signal.SIGKILL)
    finished(result)
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert result.attempts == len(set(result.worker_ids)) == 2
    assert result.return_value == {"attempt": 2, "id": result.id}
    (error,) = result.errors
    assert error.exception_class_path == "taskq.exceptions.WorkerLost"
    assert error.traceback == "killed by SIGKILL"
    assert result.started_at < result.last_attempted_at < result.finished_at
    assert len(runs("start", "a")) == 2


def test_on_lost_fail_is_held_and_says_why(start_pool, runs):
    start_pool("-c", 1)
    result = native.charge.enqueue("a", 60)
    (start,) = wait_until(lambda: runs("start", "a"))
    os.kill(start["pid"], signal.SIGKILL)
    finished(result)
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 1)
    assert result.errors[0].traceback == "killed by SIGKILL"


def test_a_context_says_how_far_it_is_and_is_told_to_stop(start_pool, runs):
    start_pool("-c", 1)
    sent = native.count.enqueue("a")
    result = AsyncResult(sent.id)
    (start,) = wait_until(lambda: runs("start", "a"))
    assert (start["headers"], start["stopping"]) == ({}, False)
    wait_until(lambda: result.progress == Progress(3, 4))
    assert result.cancel()
    wait_until(lambda: result.status == "REVOKED")
    assert runs("stopping", "a")
    sent.refresh()
    assert sent.status == TaskResultStatus.FAILED
    assert [each.exception_class for each in sent.errors] == [TaskCancelled]
