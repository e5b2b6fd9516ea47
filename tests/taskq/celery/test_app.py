"""``Celery``: the app, its settings, and how it finds and sends tasks."""

from __future__ import annotations

import datetime
import pickle
import sys
import types

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

import taskq.celery
from taskq.celery import (
    Celery,
    Task,
    apps,
    current_app,
    current_task,
    eager,
    exceptions,
    shared_task,
)
from taskq.models import Task as Row
from taskq.schedules import celery_form
from taskq.task import discovery, registry
from taskq.testing import run_all
from tests.project.lab import tasks as lab

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]


@pytest.fixture(autouse=True)
def no_apps(monkeypatch, settings):
    """The apps that a test makes are gone afterwards, with what they have changed."""
    monkeypatch.setattr(apps, "_apps", [])
    monkeypatch.setattr(apps, "_current", None)
    monkeypatch.setattr(celery_form, "_sources", [])
    for name in ("_more", "_then"):
        monkeypatch.setattr(discovery, name, [])
    monkeypatch.setattr(eager, "_always", None)
    monkeypatch.setattr(eager, "_propagates", None)


@pytest.fixture
def app(settings):
    app = Celery("proj")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    return app


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


def test_settings_are_attributes_and_items(app, settings):
    settings.CELERY_TASK_ROUTES = {"a": "b"}
    settings.CELERY_MY_OWN = 3
    assert app.conf.task_routes == app.conf["task_routes"] == {"a": "b"}
    assert app.conf.my_own == 3
    assert app.conf.get("nothing", 7) == 7
    assert app.conf.broker_url is None
    with pytest.raises(AttributeError, match="Celery has no setting 'tusk_routes'"):
        app.conf.tusk_routes  # noqa: B018
    app.conf.task_routes = {"c": "d"}
    app.conf.update(timezone="UTC", CELERY_ALWAYS_EAGER=False)
    assert (app.conf.task_routes, app.conf.timezone) == ({"c": "d"}, "UTC")
    assert app.conf.task_always_eager is False
    assert "task_routes" in app.conf
    app.conf.beat_schedule["x"] = {"task": "y"}
    assert app.conf.beat_schedule == {"x": {"task": "y"}}


def test_settings_of_a_module_of_a_dict_and_of_old_names():
    app = Celery("proj", broker="redis://", backend="rpc://", include=["json"])
    assert (app.conf.broker_url, app.conf.result_backend) == ("redis://", "rpc://")
    module = types.ModuleType("own_config")
    module.task_default_queue = "own"
    module.CELERYD_TASK_TIME_LIMIT = 30
    sys.modules["own_config"] = module
    try:
        app.config_from_object("own_config")
    finally:
        del sys.modules["own_config"]
    assert (app.conf.task_default_queue, app.conf.task_time_limit) == ("own", 30)
    app.config_from_object({"task_default_priority": 3})
    assert app.task(name="x")(add).options.priority == 3
    with pytest.raises(ImproperlyConfigured, match="names 'no_such_module', which cannot"):
        app.config_from_object("no_such_module")
    app.config_from_object("no_such_module", silent=True)


def test_without_a_namespace_only_old_names_of_djangos_settings_are_celerys(settings):
    settings.CACHE_MIDDLEWARE_SECONDS = 5
    settings.CELERY_DEFAULT_QUEUE = "old"
    settings.BROKER_URL = "redis://"
    app = Celery("proj")
    app.config_from_object("django.conf:settings")
    assert app.conf.task_default_queue == "old"
    assert app.conf.CACHE_MIDDLEWARE_SECONDS == 5
    assert app.conf.given() == {"task_default_queue": "old", "broker_url": "redis://"}
    app.conf["CELERY_TASK_DEFAULT_QUEUE"] = "new"
    assert app.conf.task_default_queue == "new"


def test_settings_that_mean_something_are_honored(app, settings):
    settings.CELERY_TASK_DEFAULT_QUEUE = "low"
    settings.CELERY_TASK_DEFAULT_PRIORITY = 2
    settings.CELERY_TASK_IGNORE_RESULT = False
    settings.CELERY_TASK_TIME_LIMIT = 50
    settings.CELERY_TASK_SOFT_TIME_LIMIT = 40
    task = shared_task(name="x")(add)
    own = shared_task(name="y", queue="own", time_limit=90, ignore_result=True)(add)
    shown = ("queue", "priority", "ignore_result", "time_limit", "soft_time_limit")
    assert [getattr(task, name) for name in shown] == ["low", 2, False, 50, 40]
    assert [getattr(own, name) for name in shown] == ["own", 2, True, 90, 40]
    del settings.CELERY_TASK_DEFAULT_QUEUE
    settings.CELERY_TASK_TIME_LIMIT = None
    assert (task.queue, task.time_limit) == (None, None)


def test_eager_mode_of_the_app(app):
    task = app.task(name="x")(add)
    app.conf.task_always_eager = True
    assert task.delay(1, b=2).get() == 3
    app.conf.task_always_eager = False
    assert task.delay(1).status == "PENDING"


def test_annotations(app, settings):
    def failed(self, *args):
        pass

    settings.CELERY_TASK_ANNOTATIONS = {
        "*": {"max_retries": 9, "queue": "all"},
        "x": {"queue": "x", "on_failure": failed},
    }
    one, two = shared_task(name="x", queue="own")(add), shared_task(name="y")(add)
    assert (one.queue, one.max_retries, two.queue, two.max_retries) == ("x", 9, "all", 9)
    assert registry.find("x").hooks is not None

    class Annotator:
        def annotate(self, task):
            return {"priority": 8} if task.name == "x" else None

    settings.CELERY_TASK_ANNOTATIONS = (Annotator(),)
    assert (one.priority, two.priority, one.queue) == (8, 0, "own")


def queue_of(task):
    Row.objects.all().delete()
    task.delay(1)
    return Row.objects.get().queue


def route_function(name, args, kwargs, options, task=None, **more):
    if name == "by.function" and args == (1,):
        return {"queue": "one", "priority": 7}
    return None


class Router:
    def route_for_task(self, task, args=None, kwargs=None):
        return "classes" if task == "by.class" else None


@pytest.mark.parametrize(
    ("routes", "name", "queue"),
    [
        ({"feeds.a": "exact", "feeds.*": {"queue": "glob"}}, "feeds.a", "exact"),
        ({"feeds.*": {"queue": "glob", "routing_key": "x"}}, "feeds.b", "glob"),
        ({"feeds.*": {"queue": "glob"}}, "other", "default"),
        ([[("a*", "first"), ("*", "second")]], "ab", "first"),
        ([{"a": "no"}, {"ab": {"queue": "second"}}], "ab", "second"),
        ([route_function, {"*": "rest"}], "by.function", "one"),
        ([route_function, {"*": "rest"}], "by.other", "rest"),
        (f"{__name__}.route_function", "by.function", "one"),
        (f"{__name__}.Router", "by.class", "classes"),
        ({"x": {"exchange": "broker only"}}, "x", "default"),
    ],
)
def test_routes(app, settings, routes, name, queue):
    settings.CELERY_TASK_ROUTES = routes
    assert queue_of(shared_task(name=name)(add)) == queue


def test_what_a_call_or_its_task_says_wins_over_a_route(app, settings):
    settings.CELERY_TASK_ROUTES = {"*": {"queue": "routed", "priority": 4}}
    settings.CELERY_TASK_DEFAULT_QUEUE = "low"
    plain, own = shared_task(name="x")(add), shared_task(name="y", queue="own")(add)
    assert (queue_of(plain), queue_of(own)) == ("routed", "own")
    assert Row.objects.get().priority == 4
    plain.apply_async((1,), queue="called")
    assert Row.objects.latest("pk").queue == "called"
    plain.delay_many([(1,), (2,)])
    assert {row.queue for row in Row.objects.order_by("-pk")[:2]} == {"routed"}


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


def test_settings_that_mean_nothing_are_listed_once(app, settings, monkeypatch):
    settings.CELERY_BROKER_URL = "redis://"
    settings.CELERY_WORKER_CONCURRENCY = 4
    settings.CELERY_TASK_ACKS_LATE = True
    settings.CELERY_TASK_DEFAULT_QUEUE = "x"
    (found,) = [each for each in run_checks() if each.id == "taskq.W022"]
    assert found.msg.endswith("nothing here: CELERY_BROKER_URL, CELERY_WORKER_CONCURRENCY.")
    monkeypatch.setitem(sys.modules, "celery", types.ModuleType("celery"))
    assert not [each for each in run_checks() if each.id == "taskq.W022"]


def test_settings_that_are_wrong_are_errors_of_the_checks(app, settings):
    shared_task(name="x", soft_time_limit=50)(add)
    settings.CELERY_TASK_TIME_LIMIT = 40
    settings.CELERY_TASK_ROUTES = "no.such.function"
    settings.CELERY_TASK_ANNOTATIONS = 3
    said = "\n".join(each.msg for each in run_checks() if each.id == "taskq.E021")
    assert "soft_time_limit is 50: it must be below time_limit (40)" in said
    assert "task_routes names 'no.such.function', which cannot be imported" in said
    assert "task_annotations has 3: give a dict" in said


def test_what_an_app_does_not_have_says_what_to_use(app):
    with pytest.raises(AttributeError, match=r"no 'worker_main' here: run manage.py taskq_pool"):
        app.worker_main()
    with pytest.raises(AttributeError, match="no 'backend' here: results are in the database"):
        app.backend  # noqa: B018
    with pytest.raises(AttributeError, match="no 'pool_grow' here: send TTIN"):
        app.control.pool_grow(1)


def test_the_time_of_an_app(app):
    assert app.now() - timezone.now() < datetime.timedelta(seconds=1)
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
