"""``Celery``: the app, its settings, and how it finds and sends tasks."""

from __future__ import annotations

import datetime
import pickle

import pytest
from django.utils import timezone

import taskq.celery
from taskq.celery import (
    Celery,
    Task,
    current_app,
    current_task,
    exceptions,
    shared_task,
)
from taskq.models import Task as Row
from taskq.task import discovery
from taskq.testing import run_all
from tests.project.lab import tasks as lab

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered", "no_apps")]


def add(a, b=0):
    return a + b


def test_the_decorator_with_and_without_parentheses(app):
    @app.task
    def one():
        pass

    @app.task()
    def two():
        pass

    @app.task(bind=True, name="three", ignore_result=True, shared=False)
    def three(self):
        seen.append(self.request.task)

    assert (one.name, two.name) == (f"{__name__}.one", f"{__name__}.two")
    assert isinstance(one, Task)
    assert one.app is app
    seen = []
    three.delay()
    run_all()
    assert seen == ["three"]
    assert {one.name, two.name, "three"} <= set(app.tasks)


def test_the_current_app_is_the_last_one_or_one_with_djangos_settings(settings):
    settings.CELERY_TASK_DEFAULT_QUEUE = "low"
    assert current_app.conf.task_default_queue == "low"
    first, second = Celery("first"), Celery("second", set_as_current=False)
    assert current_app == first
    second.set_default()
    assert current_app.main == "second"
    assert shared_task(name="x")(add).app is second


def test_the_base_class_of_an_app(app):
    class Base(Task):
        queue = "mail"

    app.Task = Base
    assert isinstance(shared_task(name="x")(add), Base)
    assert app.task(name="y")(add).queue == "mail"
    other = Celery("other", task_cls=f"{__name__}:OwnTask")
    assert other.Task is OwnTask


class OwnTask(Task):
    pass


def test_an_app_may_leave_the_arguments_to_the_runs():
    app = Celery("loose", strict_typing=False)
    app.task(name="x")(add).delay(no_such=1)
    with pytest.raises(TypeError):
        app.task(name="y", typing=True)(add).delay(no_such=1)


def test_eager_mode_of_the_app(app):
    task = app.task(name="x")(add)
    app.conf.task_always_eager = True
    assert task.delay(1, b=2).get() == 3
    app.conf.task_always_eager = False
    assert task.delay(1).status == "PENDING"


def test_the_app_and_the_task_behind_their_stand_ins(app):
    from taskq.celery._state import get_current_app, get_current_task

    assert current_app._get_current_object() is get_current_app() is app
    assert current_task._get_current_object() is get_current_task() is None
    with pytest.raises(TypeError, match="takes a function and options by name"):
        app.task(add, add)


def test_a_task_is_sent_by_its_name(app):
    app.task(name="sum", ignore_result=False)(add)
    result = app.send_task("sum", args=(1,), kwargs={"b": 2}, countdown=0, queue="default")
    run_all()
    assert result.get() == 3
    with pytest.raises(exceptions.NotRegistered, match=r"no task is registered .*'sun': did you"):
        app.send_task("sun")
    with pytest.raises(KeyError):
        app.tasks["sun"]
    assert current_app.AsyncResult(result.id).get() == 3
    assert app.signature("sum", (1,)).task == "sum"


def test_modules_are_found_once_the_apps_are_loaded(monkeypatch):
    asked = []
    monkeypatch.setattr(discovery, "_is_done", False)
    monkeypatch.setattr(discovery, "_import", lambda modules: asked.extend(modules))
    app = Celery("proj", include=["shop.extra"])
    app.autodiscover_tasks()
    app.autodiscover_tasks(lambda: ["tests.project.lab"], related_name="secrets")
    app.autodiscover_tasks(["json"], related_name=None)
    app.autodiscover_tasks(["no_such_package"])
    assert asked == []
    discovery.discover()
    assert asked.count("tests.project.lab.tasks") == 2
    assert {"shop.extra", "tests.project.lab.secrets", "json", "no_such_package.tasks"} <= {*asked}
    assert "taskq.contrib.tasks" not in asked


def test_the_signals_of_an_app_come_when_all_tasks_are_known(monkeypatch):
    monkeypatch.setattr(discovery, "_is_done", False)
    app, heard = Celery("proj"), []

    @app.on_after_configure.connect
    def configured(sender, **kwargs):
        heard.append(("configured", sender, kwargs["source"]))
        sender.add_periodic_task(30.0, lab.add.s(1, 2), name="each")

    @app.on_after_finalize.connect
    def finalized(sender, **kwargs):
        heard.append(("finalized", sender))

    assert heard == []
    app.finalize()
    app.finalize()
    assert heard == [("configured", app, app.conf), ("finalized", app)]
    assert app.conf.beat_schedule["each"] == {
        "task": lab.add.name,
        "schedule": 30.0,
        "args": (1, 2),
        "kwargs": {},
        "options": {},
    }


def test_what_an_app_does_not_have_says_what_to_use(app):
    with pytest.raises(AttributeError, match=r"no 'worker_main' here: run manage.py taskq_pool"):
        app.worker_main()
    with pytest.raises(AttributeError, match="no 'backend' here: results are in the database"):
        app.backend  # noqa: B018
    with pytest.raises(AttributeError, match="no 'pool_grow' here: send TTIN"):
        app.control.pool_grow(1)


def test_the_time_of_an_app(app):
    assert app.now() - timezone.now() < datetime.timedelta(minutes=1)
    assert app.timezone is timezone.get_default_timezone()


def test_control_works_on_the_tables(app):
    first, second = lab.quick.delay("a"), lab.quick.delay("b")
    app.control.revoke([first.id, str(second.id), None])
    assert not Row.objects.exists()
    third = lab.quick.delay("c")
    app.control.terminate(third.id)
    assert not Row.objects.exists()
    lab.quick.apply_async(("d",), countdown=3600)
    lab.quick.delay("e")
    assert app.control.purge() == 2
    assert app.control.ping() == []
    assert app.control.inspect().active() is None


def test_the_modules_of_celery_are_there():
    from taskq.celery.app import shared_task as one
    from taskq.celery.app.task import Context
    from taskq.celery.app.task import Task as OneTask
    from taskq.celery.utils import uuid as one_uuid
    from taskq.celery.utils.log import get_task_logger

    assert (one, OneTask, one_uuid) == (shared_task, Task, taskq.celery.uuid)
    assert Context(pk=None, name="x", queue="y").get("nothing", 1) == 1
    logger = get_task_logger("proj.tasks")
    assert (logger.name, logger.parent.name, logger.parent.parent.name) == (
        "proj.tasks",
        "celery.task",
        "celery",
    )
    assert logger.parent.parent.parent.name == "taskq"
    with pytest.raises(RuntimeError):
        get_task_logger("celery")


def test_the_exceptions_of_a_retry_and_a_reject_are_pickled():
    retry = exceptions.Retry("soon", KeyError("k"), when=30)
    again = pickle.loads(pickle.dumps(retry))
    assert (again.message, repr(again.exc), again.when) == ("soon", "KeyError('k')", 30)
    assert (retry.humanize(), again.humanize()) == ("in 30s", "in 30s")
    reject = pickle.loads(pickle.dumps(exceptions.Reject("no", requeue=True)))
    assert (reject.reason, reject.requeue) == ("no", True)


@pytest.mark.parametrize("name", exceptions.__all__)
def test_the_exceptions_of_celery_are_there(name):
    assert issubclass(getattr(exceptions, name), Exception)
