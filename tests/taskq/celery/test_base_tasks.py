"""``base=``, hooks, and tasks that are classes."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from taskq.celery import AsyncResult, Celery, Task, shared_task
from taskq.models import Task as Row
from taskq.task import registry
from taskq.testing import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]


class Noted(Task):
    """A base that notes what happens."""

    abstract = True
    max_retries = 1
    default_retry_delay = 0
    ignore_result = False

    def __init__(self):
        self.heard = []

    def before_start(self, task_id, args, kwargs):
        self.heard.append(("before_start", task_id, args, kwargs))

    def on_success(self, retval, task_id, args, kwargs):
        self.heard.append(("on_success", retval, task_id, args, kwargs))

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        assert type(exc).__name__ in str(einfo)
        self.heard.append(("on_failure", repr(exc), task_id, args, kwargs))

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        assert einfo.exception is exc
        self.heard.append(("on_retry", repr(exc), task_id, args, kwargs))

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        self.heard.append(("after_return", status, task_id, args, kwargs))


@pytest.fixture(params=["worker", "eager"])
def go(request, settings):
    """Send a task and have it run."""

    def run(task, *args, **kwargs):
        settings.CELERY_TASK_ALWAYS_EAGER = request.param == "eager"
        result = task.delay(*args, **kwargs)
        if request.param == "worker":
            run_all(propagate=False, forward=None)
        return result.id

    return run


def test_the_hooks_of_a_run_that_succeeds(go):
    @shared_task(base=Noted)
    def add(a, b=0):
        return a + b

    id = go(add, 1, b=2)
    call = id, [1], {"b": 2}
    assert add.heard == [
        ("before_start", *call),
        ("on_success", 3, *call),
        ("after_return", "SUCCESS", *call),
    ]


def test_the_hooks_of_a_run_that_is_retried_and_fails(go):
    @shared_task(base=Noted, bind=True)
    def fail(self, key):
        try:
            raise KeyError(key)
        except KeyError as error:
            self.retry(exc=error)

    id = go(fail, "k")
    call = id, ["k"], {}
    assert fail.heard == [
        ("before_start", *call),
        ("on_retry", "KeyError('k')", *call),
        ("before_start", *call),
        ("on_failure", "KeyError('k')", *call),
        ("after_return", "FAILURE", *call),
    ]


def test_a_hook_that_raises_is_logged_and_harms_nothing(go, caplog):
    class Broken(Task):
        ignore_result = False

        def on_success(self, *args):
            raise ValueError("in the hook")

        def after_return(self, *args):
            heard.append("after_return")

    @shared_task(base=Broken)
    def work():
        heard.append("ran")

    heard = []
    go(work)
    assert heard == ["ran", "after_return"]
    assert "on_success of <task" in caplog.text
    assert not Row.objects.exists()


def test_before_start_is_a_part_of_the_run(go):
    class Guarded(Task):
        def before_start(self, task_id, args, kwargs):
            raise PermissionError("not today")

        def on_failure(self, exc, *args):
            heard.append(repr(exc))

    @shared_task(base=Guarded)
    def work():
        heard.append("ran")

    heard = []
    go(work)
    assert heard == ["PermissionError('not today')"]


def test_hooks_are_told_once_the_end_is_written():
    class Looks(Task):
        ignore_result = False

        def on_success(self, retval, task_id, args, kwargs):
            result = AsyncResult(task_id)
            heard.append((result.state, result.result))

        def on_failure(self, exc, task_id, *args):
            heard.append(AsyncResult(task_id).state)

    heard = []
    work = shared_task(base=Looks, name="work")(_divide)
    work.delay(6, 2)
    work.delay(1, 0)
    run_all(propagate=False)
    assert heard == [(("SUCCESS"), 3.0), "FAILURE"]


def _divide(a, b):
    return a / b


def test_call_surrounds_the_function(go):
    class Timed(Task):
        def __call__(self, *args, **kwargs):
            heard.append(("begin", self.request.args))
            try:
                return super().__call__(*args, **kwargs)
            finally:
                heard.append("end")

    @shared_task(base=Timed, bind=True)
    def bound(self, a, *, b):
        heard.append((self.name, a, b))

    @shared_task(base=Timed)
    def plain(a):
        heard.append(a)

    @shared_task(base=Timed)
    async def waits(a):
        await asyncio.sleep(0)
        heard.append(a)

    heard = []
    go(bound, 1, b=2)
    assert heard == [("begin", [1]), (bound.name, 1, 2), "end"]
    heard.clear()
    go(plain, 3)
    assert heard == [("begin", [3]), 3, "end"]
    heard.clear()
    go(waits, 4)
    assert heard == [("begin", [4]), "end", 4]
    with pytest.raises(TypeError, match="missing a required argument: 'b'"):
        bound.delay(1)


def test_options_are_inherited_and_overridden():
    class Mixin:
        autoretry_for = (KeyError,)

    class Base(Mixin, Task):
        max_retries = 7
        queue = "mail"
        acks_late = True

    class Slow(Base):
        queue = "slow"
        time_limit = 60

        @property
        def priority(self):
            return 5

    one = shared_task(base=Base, name="one")(_divide)
    two = shared_task(base=Slow, name="two", max_retries=None)(_divide)
    assert (one.queue, one.max_retries, one.autoretry_for) == ("mail", 7, (KeyError,))
    assert (two.queue, two.max_retries, two.priority, two.time_limit) == ("slow", None, 5, 60)
    assert (Base.queue, Slow.queue, Slow.max_retries, Task.max_retries) == ("mail", "slow", 7, 3)
    assert registry.find("two").options.queue == "slow"
    two.delay(1, 1)
    assert Row.objects.get().queue == "slow"


def test_a_refused_option_of_a_class_names_the_option():
    class Limited(Task):
        rate_limit = "10/m"

    with pytest.raises(TypeError, match="no 'rate_limit' here: give the task a queue"):
        shared_task(base=Limited, name="one")(_divide)


def test_what_is_no_base_is_refused():
    for wrong in (object, "Task", Task()):
        with pytest.raises(TypeError, match=r"base is .*: give a subclass of taskq\.celery\.Task"):
            shared_task(base=wrong)


def test_attributes_and_hooks_of_the_decorator():
    class Base(Task):
        owner = "nobody"

    def noted(self, retval, task_id, args, kwargs):
        heard.append((self.name, retval))

    heard = []
    task = shared_task(base=Base, name="work", owner="accounts", on_success=noted)(_divide)
    assert (task.owner, Base.owner) == ("accounts", "nobody")
    task.delay(4, 2)
    run_all()
    assert heard == [("work", 2.0)]


def test_a_class_is_made_once_a_process_and_keeps_what_it_has():
    class Connected(Task):
        made = 0

        def __init__(self):
            type(self).made += 1
            self.session = object()

    @shared_task(base=Connected, bind=True)
    def work(self):
        seen.append(self.session)

    seen = []
    work.delay()
    work.delay()
    run_all()
    assert seen == [work.session, work.session]
    assert Connected.made == 1


def test_a_class_with_run_is_a_task():
    app = Celery("proj", set_as_current=False)

    class Add(app.Task):
        ignore_result = False

        def run(self, a, b=1):
            return a + b, self.request.id

    add = app.register_task(Add())
    assert add.name == f"{__name__}.Add"
    assert app.tasks[add.name] is add
    result = add.delay(2)
    run_all()
    assert result.get() == [3, result.id]
    assert add(2, 3) == (5, None)
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        add.delay(1, c=2)
    assert pickle.loads(pickle.dumps(add)) is add

    class Named(Task):
        name = "named"

        def run(self):
            pass

    assert app.register_task(Named, queue="mail").queue == "mail"
    assert registry.find("named").bound.name == "named"

    class Base(Task):
        pass

    with pytest.raises(TypeError, match=r"Base has no method run\(\)"):
        app.register_task(Base)


def test_an_atomic_task_with_hooks():
    @shared_task(base=Noted, atomic=True)
    def work():
        return "done"

    result = work.delay()
    run_all()
    assert [each[0] for each in work.heard] == ["before_start", "on_success", "after_return"]
    assert result.get() == "done"


def test_the_plain_path_has_no_hooks():
    @shared_task
    def plain():
        pass

    definition = registry.find(plain.name)
    assert definition.hooks is None
    assert definition.function is plain.run
    assert plain.terms_of is None


def test_a_task_without_an_expiry_gets_that_of_its_class():
    class Fleeting(Task):
        expires = 60

    task = shared_task(base=Fleeting, name="work")(_divide)
    task.delay(1, 1)
    task.apply_async((1, 1), expires=3600)
    first, second = Row.objects.order_by("pk")
    assert (second.expires_at - first.expires_at).total_seconds() > 3000


def test_a_test_may_stand_for_a_run():
    @shared_task(bind=True, name="work", max_retries=2)
    def work(self):
        request = self.request
        return request.id, request.retries, request.args, request.headers, request.root_id

    work.push_request(id="x", retries=2, args=[1], headers={"a": 1}, root_id="r")
    work.push_request(id="y")
    assert work()[0] == "y"
    work.pop_request()
    assert work() == ("x", 2, [1], {"a": 1}, "r")
    work.pop_request()
    assert work.request.id is None
    with pytest.raises(TypeError, match="a request has no hostname of its own"):
        work.push_request(hostname="x")


def test_a_task_is_forgotten_and_registered_again():
    app = Celery("proj", set_as_current=False)
    task = shared_task(name="work", base=Noted)(_divide)
    app.tasks.unregister("work")
    assert "work" not in app.tasks
    app.tasks.register(task)
    assert app.tasks["work"] is task
    with pytest.raises(KeyError):
        app.tasks.unregister("none")
