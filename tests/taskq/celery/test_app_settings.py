"""The settings of a Celery app: where they come from, and what they do to its tasks."""

from __future__ import annotations

import sys
import types

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from taskq.celery import (
    Celery,
    shared_task,
)
from taskq.models import Task as Row
from taskq.task import registry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered", "no_apps")]


def add(a, b=0):
    return a + b


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
