"""The front door: what Celery users write, and what it means here."""

from __future__ import annotations

import asyncio
import datetime
import functools
import inspect
import threading
import uuid

import pytest
from django.db import connections, transaction

from taskq import registry
from taskq.celery import AsyncResult, MaxRetriesExceededError, Retry, SharedTask, shared_task
from taskq.context import Request, current
from taskq.models import State, Task
from taskq.running import call
from tests.project.lab import tasks as lab


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


def run(task, *args, retries=0, **kwargs):
    """Run a task as a worker does."""
    definition = registry.find(task.name)
    request = Request(pk=7, name=task.name, queue="default", retries=retries)
    return call(definition, request, list(args), kwargs)


# The decorator


def test_decorator_without_arguments_makes_a_task():
    @shared_task
    def add(a, b):
        return a + b

    assert isinstance(add, SharedTask)


def test_decorator_with_empty_arguments_makes_a_task():
    @shared_task()
    def add(a, b):
        return a + b

    assert isinstance(add, SharedTask)


def test_decorator_with_options_makes_a_task():
    @shared_task(queue="mail", priority=5)
    def add(a, b):
        return a + b

    assert (add.options.queue, add.options.priority) == ("mail", 5)


def test_name_is_by_default_that_of_the_module_and_the_function():
    @shared_task
    def add(a, b):
        return a + b

    assert add.name == f"{__name__}.add"
    assert registry.find(add.name).function is add.run


def test_name_can_be_given():
    @shared_task(name="sums.add")
    def add(a, b):
        return a + b

    assert add.name == "sums.add"
    assert registry.find("sums.add").function is add.run


def test_task_looks_like_its_function():
    @shared_task
    def add(a: int, b: int = 2) -> int:
        """The sum."""
        return a + b

    assert add.__name__ == "add"
    assert add.__qualname__.endswith("<locals>.add")
    assert add.__doc__ == "The sum."
    assert add.__module__ == __name__
    assert add.__wrapped__ is add.run
    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 2) -> 'int'"
    assert repr(add) == f"<task {__name__}.add>"


def test_attributes_of_the_function_are_kept_but_cover_none_of_the_task():
    def add(a, b):
        return a + b

    add.owner = "accounts"
    add.options = add.name = "not these"
    task = shared_task(add)
    assert task.owner == "accounts"
    assert task.name == f"{__name__}.add"
    assert task.options.priority == 0


@pytest.mark.parametrize(
    "option",
    [
        {"ignore_result": True},
        {"serializer": "json"},
        {"acks_late": True},
        {"acks_on_failure_or_timeout": False},
        {"reject_on_worker_lost": True},
        {"track_started": True},
        {"compression": "zlib"},
        {"store_errors_even_if_ignored": True},
        {"throws": (KeyError,)},
        {"typing": False},
        {"trail": False},
        {"send_events": False},
        {"shared": True},
        {"lazy": False},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_of_celery_that_mean_nothing_here_are_ignored_by_the_decorator(option):
    @shared_task(**option)
    def add(a, b):
        return a + b

    assert add(1, 2) == 3


@pytest.mark.parametrize("option", ["rate_limit", "base", "max_retry", "routing", "expires"])
def test_unknown_option_of_the_decorator_is_refused_by_name(option):
    with pytest.raises(TypeError, match=f"unknown task option '{option}'; known are .*max_retries"):
        shared_task(**{option: 1})


def test_bad_option_is_refused_when_the_decorator_runs():
    with pytest.raises(ValueError, match="priority is 101: give a whole number from -100 to 100"):

        @shared_task(priority=101)
        def add(a, b):
            return a + b

    assert registry.find(f"{__name__}.add") is None


class Adder:
    def __call__(self, a, b):
        return a + b


@pytest.mark.parametrize(
    "thing", ["mail", 5, Adder, Adder(), functools.partial(max, 1), staticmethod(max), classmethod]
)
def test_only_functions_can_be_tasks(thing):
    with pytest.raises(TypeError, match="shared_task is for functions, not "):
        shared_task(thing)


def test_a_task_cannot_be_made_a_task_again():
    with pytest.raises(TypeError, match="for functions, not <task "):
        shared_task(lab.quick)


def test_a_lambda_needs_a_name():
    with pytest.raises(ValueError, match="give one by name="):
        shared_task(lambda: None)
    assert shared_task(name="nothing")(lambda: None).name == "nothing"


def test_a_generator_cannot_be_a_task():
    def numbers():
        yield 1

    async def more_numbers():
        yield 1

    for function in (numbers, more_numbers):
        with pytest.raises(TypeError, match=f"{function.__name__} is a generator"):
            shared_task(function)


def test_an_async_function_cannot_be_atomic():
    with pytest.raises(TypeError, match=r"atomic is True, but .*ship is async: .*plain def"):

        @shared_task(atomic=True)
        async def ship(number):
            pass

    assert registry.find(f"{__name__}.ship") is None


# Calling it


def test_calling_a_task_just_calls_the_function():
    @shared_task(autoretry_for=(ValueError,), queue="mail")
    def divide(a, b=2):
        if not b:
            raise ValueError("no")
        return a / b

    assert divide(8) == 4
    assert divide(8, b=4) == 2
    with pytest.raises(ValueError, match="no"):
        divide(8, 0)


def test_calling_an_async_task_gives_its_coroutine():
    @shared_task
    async def add(a, b):
        return a + b

    assert asyncio.run(add(1, 2)) == 3


def test_bound_task_is_called_with_itself_as_first_argument():
    @shared_task(bind=True)
    def who(self, greeting):
        return self, greeting

    assert who("hello") == (who, "hello")
    assert run(who, "hello") == (who, "hello")


# The request


def test_request_tells_of_the_run():
    @shared_task(bind=True)
    def look(self):
        return self.request

    request = run(look, retries=2)
    assert request.id == uuid.UUID(int=7)
    assert request.name == look.name
    assert request.retries == 2
    assert not request.called_directly


def test_request_is_there_for_a_task_that_is_not_bound():
    @shared_task
    def look():
        return look.request.retries

    assert run(look, retries=1) == 1


def test_request_of_an_async_task_is_seen_in_its_coroutine():
    @shared_task(bind=True)
    async def look(self):
        await asyncio.sleep(0)
        return self.request.retries

    assert run(look, retries=4) == 4


def test_request_of_a_direct_call_is_an_empty_one_as_in_celery():
    @shared_task(bind=True, queue="mail")
    def look(self):
        return self.request

    assert look() == Request(pk=None, name=look.name, queue="mail", called_directly=True)


def test_a_task_called_by_the_run_of_another_has_no_run_of_its_own():
    @shared_task(bind=True)
    def inner(self):
        return self.request

    @shared_task(bind=True)
    def outer(self):
        return self.request, inner(), self.request

    before, within, after = run(outer, retries=2)
    assert (before.retries, within.retries, after.retries) == (2, 0, 2)
    assert within.called_directly


def test_request_is_gone_after_the_run():
    @shared_task(bind=True)
    def fail(self):
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        run(fail)
    assert current.get() is None


# retry()


def test_retry_outside_of_a_run_raises_the_error_it_was_given():
    with pytest.raises(ValueError, match="the bank is down"):
        lab.retry_until.retry(exc=ValueError("the bank is down"))


def test_retry_outside_of_a_run_raises_retry():
    with pytest.raises(Retry):
        lab.retry_until.retry()


def test_retry_outside_of_a_run_raises_retry_whatever_the_limit():
    @shared_task(max_retries=0)
    def never_again():
        never_again.retry()

    with pytest.raises(Retry):
        never_again()


def test_retry_in_a_task_called_by_the_run_of_another_is_outside_of_a_run():
    @shared_task(bind=True, default_retry_delay=7)
    def inner(self, exc=None):
        self.retry(exc=exc, countdown=1)

    @shared_task
    def outer(exc=None):
        inner(exc)

    with pytest.raises(KeyError):
        run(outer, KeyError("k"))
    with pytest.raises(Retry):
        run(outer)


def test_retry_in_a_run_raises_retry_after_the_default_delay():
    @shared_task(bind=True, default_retry_delay=7)
    def work(self):
        self.retry()

    with pytest.raises(Retry) as caught:
        run(work)
    assert (caught.value.countdown, caught.value.eta, caught.value.exc) == (7, None, None)


def test_retry_is_three_minutes_later_by_default():
    @shared_task(bind=True)
    def work(self):
        self.retry()

    with pytest.raises(Retry) as caught:
        run(work)
    assert caught.value.countdown == 180


@pytest.mark.parametrize(
    ("countdown", "seconds"),
    [(0, 0), (1.5, 1.5), (datetime.timedelta(minutes=1), 60), (-1, 0)],
)
def test_retry_keeps_its_countdown(countdown, seconds):
    @shared_task(bind=True)
    def work(self):
        self.retry(countdown=countdown)

    with pytest.raises(Retry) as caught:
        run(work)
    assert caught.value.countdown == seconds


def test_retry_keeps_its_eta(settings):
    settings.TIME_ZONE = "Europe/Berlin"

    @shared_task(bind=True)
    def work(self, **when):
        self.retry(**when)

    noon = datetime.datetime(2030, 7, 1, 12)
    with pytest.raises(Retry) as caught:
        run(work, eta=noon)
    assert caught.value.eta == datetime.datetime(2030, 7, 1, 10, tzinfo=datetime.UTC)
    with pytest.raises(Retry) as caught:
        run(work, eta=noon, countdown=5)
    assert (caught.value.eta, caught.value.countdown) == (None, 5)


def test_retry_keeps_the_error():
    @shared_task(bind=True)
    def work(self):
        self.retry(exc=KeyError("k"))

    with pytest.raises(Retry) as caught:
        run(work)
    assert isinstance(caught.value.exc, KeyError)


def test_retry_within_an_except_block_keeps_the_error_as_context():
    @shared_task(bind=True)
    def work(self):
        try:
            raise KeyError("k")
        except KeyError as error:
            raise self.retry() from error

    with pytest.raises(Retry) as caught:
        run(work)
    assert isinstance(caught.value.__context__, KeyError)


def test_retry_gives_up_after_three_by_default():
    @shared_task(bind=True)
    def work(self, exc=None):
        self.retry(exc=exc)

    with pytest.raises(Retry):
        run(work, retries=2)
    with pytest.raises(MaxRetriesExceededError, match=r"test_celery.work was retried 3 times"):
        run(work, retries=3)
    with pytest.raises(KeyError):
        run(work, exc=KeyError("k"), retries=3)


def test_retry_never_gives_up_when_max_retries_of_the_task_is_none():
    @shared_task(bind=True, max_retries=None)
    def work(self, **limit):
        self.retry(**limit)

    with pytest.raises(Retry):
        run(work, retries=10**6)
    with pytest.raises(MaxRetriesExceededError):
        run(work, retries=5, max_retries=5)


def test_retry_gives_up_at_once_when_max_retries_is_zero():
    @shared_task(bind=True, max_retries=0)
    def work(self):
        self.retry()

    with pytest.raises(MaxRetriesExceededError):
        run(work)


def test_max_retries_of_a_retry_counts_instead_of_that_of_the_task():
    @shared_task(bind=True, max_retries=2)
    def work(self, limit):
        self.retry(max_retries=limit)

    with pytest.raises(Retry):
        run(work, 10, retries=9)
    with pytest.raises(MaxRetriesExceededError):
        run(work, 10, retries=10)
    with pytest.raises(MaxRetriesExceededError):
        run(work, 0)


def test_max_retries_none_of_a_retry_is_that_of_the_task_as_in_celery():
    @shared_task(bind=True, max_retries=2)
    def work(self):
        self.retry(max_retries=None)

    with pytest.raises(MaxRetriesExceededError):
        run(work, retries=2)


def test_retry_by_hand_does_not_use_the_arguments_of_the_automatic_one():
    @shared_task(bind=True, retry_kwargs={"max_retries": 10, "countdown": 5})
    def work(self):
        self.retry()

    with pytest.raises(Retry) as caught:
        run(work)
    assert caught.value.countdown == 180
    with pytest.raises(MaxRetriesExceededError):
        run(work, retries=3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"countdown": "soon"}, "countdown is 'soon': give a timedelta or a number of seconds"),
        ({"countdown": float("nan")}, "countdown is nan"),
        ({"eta": "tomorrow"}, "eta is 'tomorrow': give a datetime"),
        ({"max_retries": -1}, "max_retries is -1: give a whole number from 0"),
        ({"max_retries": 1.5}, "max_retries is 1.5"),
    ],
)
def test_misuse_of_retry_is_refused(wrong, message):
    for where in (lab.retry_until.retry, functools.partial(run, _retry_with)):
        with pytest.raises((TypeError, ValueError), match=message):
            where(**wrong)


@shared_task(bind=True)
def _retry_with(self, **arguments):
    self.retry(**arguments)


# Sending it


@pytest.mark.django_db
def test_delay_writes_a_row_and_returns_its_id():
    result = lab.quick.delay("a")
    task = Task.objects.get()
    assert isinstance(result, AsyncResult)
    assert isinstance(result.id, uuid.UUID)
    assert result.id.int == task.pk
    assert result.task_id == result.id == task.uuid
    assert task.name == "tests.project.lab.tasks.quick"
    assert task.payload == '[["a"],{}]'


@pytest.mark.django_db
def test_delay_takes_the_arguments_of_the_function():
    lab.nap.delay("a", seconds=2)
    assert Task.objects.get().payload == '[["a"],{"seconds":2}]'


@pytest.mark.django_db
def test_delay_takes_arguments_that_are_called_like_options():
    @shared_task
    def work(**everything):
        pass

    work.delay(queue="q", args=1, kwargs=2, countdown="c", priority="p")
    task = Task.objects.get()
    assert task.queue == "default"
    assert task.payload == '[[],{"queue":"q","args":1,"kwargs":2,"countdown":"c","priority":"p"}]'


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "payload"),
    [
        ((), "[[],{}]"),
        ((None, None), "[[],{}]"),
        (((1, 2),), "[[1,2],{}]"),
        (([1, 2], {"c": 3}), '[[1,2],{"c":3}]'),
        ((range(3),), "[[0,1,2],{}]"),
        (((), {"a": 1}), '[[],{"a":1}]'),
    ],
)
def test_apply_async_takes_args_and_kwargs(given, payload):
    lab.quick.apply_async(*given)
    assert Task.objects.get().payload == payload


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"args": "abc"}, "args is 'abc': give a list or tuple"),
        ({"args": b"abc"}, "args is b'abc'"),
        ({"args": 42}, "args is 42: give a list or tuple of the positional arguments"),
        ({"args": {"a": 1}}, "args is {'a': 1}"),
        ({"args": {1, 2}}, "args is {1, 2}"),
        ({"kwargs": [1]}, r"kwargs is \[1\]: give a dict of the keyword arguments"),
        ({"kwargs": "abc"}, "kwargs is 'abc'"),
        ({"kwargs": {1: 2}}, "kwargs is {1: 2}"),
    ],
)
def test_apply_async_refuses_arguments_of_another_form(wrong, message):
    with pytest.raises(TypeError, match=message):
        lab.quick.apply_async(**wrong)
    assert not Task.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "option",
    [
        "ignore_result",
        "add_to_parent",
        "serializer",
        "compression",
        "connection",
        "producer",
        "publisher",
        "exchange",
        "routing_key",
        "retry",
        "retry_policy",
        "shadow",
        "delivery_mode",
        "mandatory",
        "immediate",
    ],
)
def test_options_of_celery_that_mean_nothing_here_are_ignored_by_apply_async(option):
    lab.quick.apply_async(("a",), **{option: object()})
    task = Task.objects.get()
    assert (task.queue, task.payload) == ("default", '[["a"],{}]')


@pytest.mark.django_db
@pytest.mark.parametrize(
    "option", ["task_id", "link", "link_error", "time_limit", "header", "count_down", "chord"]
)
def test_unknown_options_of_apply_async_are_refused_by_name(option):
    with pytest.raises(TypeError, match=f"unknown apply_async option {option}; known are args, "):
        lab.quick.apply_async(("a",), **{option: 1})
    assert not Task.objects.exists()


def test_all_unknown_options_are_named():
    with pytest.raises(TypeError, match="unknown apply_async option link, task_id; known are"):
        lab.quick.apply_async(task_id="x", link="y", ignore_result=True)


@pytest.mark.django_db
def test_on_commit_variants_are_the_same_as_those_without():
    """A task is part of the transaction always: nothing is put off until the commit."""
    with transaction.atomic():
        first = lab.quick.delay_on_commit("a")
        second = lab.quick.apply_async_on_commit(("b",), queue="mail")
        rows = Task.objects.order_by("id").values_list("pk", "payload", "queue")
        assert list(rows) == [
            (first.id.int, '[["a"],{}]', "default"),
            (second.id.int, '[["b"],{}]', "mail"),
        ]


@pytest.mark.django_db
def test_an_async_task_is_sent_like_any_other():
    lab.doze.delay("a", 0.1)
    assert Task.objects.get().name == "tests.project.lab.tasks.doze"


@pytest.mark.django_db
def test_sending_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        lab.quick.delay("a")


# AsyncResult


def test_async_result_takes_a_uuid_and_its_text():
    id = uuid.UUID(int=42)
    assert AsyncResult(id).id == id
    assert AsyncResult(str(id)).id == id
    assert AsyncResult(id.hex).id == id
    assert AsyncResult(id=str(id)) == AsyncResult(id)
    assert hash(AsyncResult(str(id))) == hash(AsyncResult(id))
    assert AsyncResult(id) != AsyncResult(uuid.UUID(int=43))
    assert AsyncResult(id) != id
    assert str(AsyncResult(id)) == str(id)
    assert repr(AsyncResult(id)) == f"<AsyncResult {id}>"


@pytest.mark.parametrize(
    "nonsense", ["", "42", "not an id", 42, 4.2, None, b"\0" * 16, [], "é" * 32]
)
def test_async_result_refuses_nonsense(nonsense):
    with pytest.raises(ValueError, match="is no task id; give the UUID that delay"):
        AsyncResult(nonsense)


@pytest.mark.django_db
def test_revoke_removes_a_task_that_waits():
    result, other = lab.quick.delay("a"), lab.quick.delay("b")
    assert result.revoke() is True
    assert [task.uuid for task in Task.objects.all()] == [other.id]
    assert result.revoke() is False


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
        thread.join(0.3)
        assert not answers
    thread.join(10)
    assert answers == [False]
    assert Task.objects.get().state == State.RUNNING
