"""Django's own tasks (or their backport): what can be one, with which options and settings."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys

import django
import pytest
from django.core.checks import run_checks

from tests.taskq.djangos_tasks import native  # first: there may be none

# isort: split
from taskq.backend import TaskqBackend
from taskq.celery import shared_task
from taskq.django import TaskqTask
from taskq.django import task as task_with_options
from taskq.django.compat import InvalidTask, TaskResultStatus
from taskq.django.compat import Task as DjangoTask
from taskq.models import Task
from taskq.task import registry
from tests.project.lab import tasks as lab


@pytest.fixture
def _registry(monkeypatch):
    """What a test defines is gone after it."""
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


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
def test_a_variant_for_another_backend_leaves_the_task_as_it_is(settings):
    backend = {"BACKEND": "taskq.backend.TaskqBackend", "QUEUES": []}
    other = {**backend, "OPTIONS": {"database": "default"}}
    settings.TASKS = {"default": backend, "other": other}
    defined = task_with_options(schedule="0 0 * * *")(module_level)
    before = registry.find(defined.module_path)
    variant = defined.using(backend="other")
    assert variant.backend == "other"
    assert registry.find(defined.module_path) is before
    assert before.database is None


@pytest.mark.django_db
@pytest.mark.usefixtures("_registry")
def test_a_result_is_of_the_backend_that_was_asked(settings):
    backend = {"BACKEND": "taskq.backend.TaskqBackend", "QUEUES": []}
    settings.TASKS = {"default": backend, "other": backend}
    defined = task_with_options()(module_level)
    sent = defined.using(backend="other").enqueue()
    assert sent.backend == "other"
    for each, name in [(defined, "default"), (defined.using(backend="other"), "other")]:
        known = each.get_result(sent.id)
        assert (known.backend, known.task.backend) == (name, name)


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
        ({"sensitive": "token"}, ValueError),
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


@pytest.mark.django_db
@pytest.mark.usefixtures("_registry")
def test_two_tasks_of_one_function_are_sent_with_their_own_options():
    held = task_with_options(on_lost="fail")(module_level)
    again = task_with_options(on_lost="retry")(module_level)
    for each in (held, held, again, held):
        each.enqueue(1)
    assert list(Task.objects.order_by("id").values_list("max_losses", flat=True)) == [0, 0, 3, 0]


class Strict(TaskqBackend):
    """A backend of the site's own, which checks more than ours does."""

    closed = False

    def validate_task(self, task):
        super().validate_task(task)
        if self.closed:
            raise InvalidTask("closed for today")


@pytest.mark.django_db
@pytest.mark.usefixtures("_registry")
def test_a_backend_that_checks_more_checks_each_call(settings, monkeypatch):
    settings.TASKS = {"default": {"BACKEND": f"{__name__}.Strict"}}
    defined = task_with_options()(module_level)
    defined.enqueue(1)
    monkeypatch.setattr(Strict, "closed", True)
    with pytest.raises(InvalidTask, match="closed for today"):
        defined.enqueue(1)


@pytest.mark.django_db
@pytest.mark.usefixtures("_registry")
def test_a_task_is_checked_by_the_settings_in_force(settings):
    backend = {"BACKEND": "taskq.backend.TaskqBackend", "QUEUES": ["default", "mail"]}
    settings.TASKS = {"default": backend}
    defined = task_with_options(queue_name="mail")(module_level)
    defined.enqueue(1)
    settings.TASKS = {"default": {**backend, "QUEUES": ["default"]}}
    with pytest.raises(InvalidTask, match="Queue 'mail' is not valid"):
        defined.enqueue(1)


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
        ({"OPTIONS": {"data_base": "x"}}, "taskq.E007", r"\['OPTIONS'\] has 'data_base'"),
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


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="Django has its own tasks")
def test_the_backport_may_name_its_error_as_django_does():
    """As its next release does: InvalidTaskError was its name up to 0.12."""
    code = (
        "from django_tasks import exceptions as names;"
        "new = vars(names).pop('InvalidTaskError', None) or names.InvalidTask;"
        "names.InvalidTask = new;"
        "from taskq.django import compat;"
        "assert compat.InvalidTask is new;"
        "import taskq.backend"
    )
    said = subprocess.run([sys.executable, "-c", f"import django; django.setup(); {code}"],
                          capture_output=True, text=True)  # fmt: skip
    assert said.returncode == 0, said.stderr
