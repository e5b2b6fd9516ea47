"""Sensitive arguments are shown nowhere, and stored whole."""

from __future__ import annotations

import functools
import json
import logging

import pytest
from django.utils import timezone

from stress.rig.pools import wait_until
from taskq.celery import shared_task
from taskq.logs import JsonFormatter, TaskFilter
from taskq.models import Result, Schedule, State, Task
from taskq.task import masking, payload, registry
from taskq.task.masking import MASK, shown_arguments
from taskq.task.options import task_options
from taskq.testing import run_all
from tests.project.lab import secrets
from tests.taskq.admin_site import LIST, page, text

TOKEN, NUMBER = "tok-5f2a'9c", "4111111111111111"
CARD = {"number": NUMBER, "valid": [2030, "secret-valid"]}
VALUES = (TOKEN, TOKEN.replace("'", "\\'"), NUMBER, "secret-valid")


def nothing_of(values, shown):
    return not [value for value in values if value in shown]


def shown(task, *args, **kwargs):
    found = shown_arguments(task.name, payload.encode(args, kwargs))
    assert found is not None
    return ", ".join(found)


def make(function, registered_name, *names):
    return shared_task(name=registered_name, sensitive=names)(function)


def test_a_masked_call_shows_the_other_arguments(registered):
    task = make(lambda order, token, note=None: None, "a", "token")
    assert shown(task, 7, "abc") == f"7, {MASK}"
    assert shown(task, 7, token="abc", note="n") == f"7, token={MASK}, note='n'"
    assert shown(task, 7) == "7"


def test_places_beyond_the_parameters_are_masked_as_their_name_says(registered):
    def taken(order, *parts, **named):
        pass

    assert shown(make(taken, "a", "parts"), 1, "b", "c", x=5) == f"1, {MASK}, {MASK}, x=5"
    assert shown(make(taken, "b", "named"), 1, "b", x=5) == f"1, 'b', x={MASK}"
    assert shown(make(taken, "c", "x"), 1, "b", x=5, y=6) == f"1, 'b', x={MASK}, y=6"


def test_behind_the_args_of_a_decorator_all_places_are_masked(registered):
    def adding(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(0, *args, **kwargs)

        return inner

    task = make(adding(lambda client, order, token: None), "a", "token")
    assert shown(task, 7, "abc") == f"{MASK}, {MASK}"
    assert shown(task, order=7, token="abc") == f"order=7, token={MASK}"


def test_what_fits_no_parameter_any_more_is_masked(registered):
    task = make(lambda order, token: None, "a", "token")
    assert shown(task, 7, "abc", "new", old=5) == f"7, {MASK}, {MASK}, old={MASK}"


def test_the_first_argument_of_a_bound_task_is_none_of_the_call(registered):
    task = shared_task(name="a", bind=True, sensitive=["token"])(lambda self, order, token: None)
    assert shown(task, 7, "abc") == f"7, {MASK}"


@pytest.mark.parametrize(
    ("function", "names", "message"),
    [
        (lambda order, token: None, ("tokn",), "has no parameter 'tokn'; it has order, token"),
        (lambda: None, ("token", "pin"), "has no parameter 'token'; it has none"),
    ],
)
def test_a_name_that_is_no_parameter_is_refused_at_the_declaration(
    registered, function, names, message
):
    with pytest.raises(ValueError, match=message):
        make(function, "a", *names)
    assert registry.find("a") is None


@pytest.mark.parametrize("unique", ["card-{token}", "{token.id}", "{order}{token[0]!r}"])
def test_a_key_that_would_show_a_sensitive_value_is_refused(unique):
    with pytest.raises(ValueError, match=r"unique is .*: the key would show a sensitive argument"):
        task_options({"unique": unique, "sensitive": ["token"]})
    task_options({"unique": "{order}", "sensitive": ["token"]})
    task_options({"unique": "args", "sensitive": ["token"]})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("hunter2", "pass hunter2"),
        ("hunter2", "pass 'hunter2'"),
        ("ab", "pass 'ab'"),
        ("it's\ttab", "pass " + repr("it's\ttab")),
        ("ключ ☃", "pass " + json.dumps("ключ ☃")),
        ("-----BEGIN\nMIIEkey\n-----END", "  | -----BEGIN\n  | MIIEkey\n  | -----END"),
        (41111111, "pass 41111111"),
        (3.14159, "pass 3.14159"),
        ({"a": ["deep-secret"]}, "pass deep-secret"),
    ],
)
def test_a_value_is_masked_where_it_stands_in_a_text(registered, value, said):
    task = make(lambda order, token: None, "a", "token")
    hide = masking.hiding(task.name, [7, value], {})
    assert hide is not None
    hidden = hide(said)
    for part in ("hunter2", "'ab'", "it's", "MIIE", "4111", "3.14", "deep", "ключ"):
        assert part not in hidden
    assert MASK in hidden
    by_name = masking.hiding(task.name, [7], {"token": value})
    assert by_name is not None
    assert by_name(said) == hidden


def test_short_values_leave_the_rest_of_the_text_alone(registered):
    name = make(lambda token: None, "a", "token").name
    for value in ("a", 5, None, True, ""):
        hide = masking.hiding(name, [value], {})
        assert hide is not None
        assert hide("line 5: a None True") == "line 5: a None True"


class Odd:
    def __str__(self):
        raise ValueError


def test_a_value_whose_own_code_raises_hides_the_whole_text(registered):
    hide = masking.hiding(make(lambda token: None, "a", "token").name, [Odd()], {})
    assert hide is not None
    assert hide("anything") == MASK


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.said = []
        self.addFilter(TaskFilter())
        self.setFormatter(JsonFormatter())

    def emit(self, record):
        self.said.append(self.format(record))


@pytest.fixture
def lines():
    handler = Lines()
    logging.root.addHandler(handler)
    yield handler.said
    logging.root.removeHandler(handler)


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["fail", "retry"])
def test_errors_tracebacks_and_logs_of_a_run_show_no_value(lines, how):
    secrets.pay.delay(7, TOKEN, card=CARD, how=how)
    run_all(propagate=False)
    row = Task.objects.get()
    assert TOKEN in row.payload  # whole, for the next run
    assert row.state == (State.FAILED if how == "fail" else State.READY)
    for said in (row.error, row.traceback, *lines):
        assert nothing_of(VALUES, said), said
    assert f"LookupError: retry {{'number': {MASK}, 'valid': " in row.error or (
        row.error == f"ValueError: order 7: {MASK} refused, token {MASK}"
    )
    assert f"KeyError: {MASK}" in row.traceback  # the cause
    paying, caught, *_ = map(json.loads, lines)
    assert paying["message"] == f"paying 7 with {MASK}"
    assert (paying["card"], paying["said"]) == (MASK, f"<{MASK}>")
    assert caught["exception"].endswith(f"KeyError: {MASK}")


@pytest.mark.django_db
def test_a_long_error_is_masked_before_it_is_cut(registered):
    @shared_task(name="a", sensitive=["token"])
    def long(token):
        raise ValueError("x" * 975 + token + "y" * 3000)

    long.delay("secret-" * 3)
    run_all(propagate=False)
    assert "secr" not in Task.objects.get().error


@pytest.mark.django_db
def test_the_admin_shows_no_value_in_lists_and_on_pages(root):
    short = secrets.pay.delay(7, TOKEN).id.int
    long = secrets.pay.delay(7, TOKEN, card={"pad": "x" * 500}).id.int
    payloads = Task.objects.in_bulk()
    now = timezone.now()
    Result.objects.create(
        id=9,
        name=secrets.pay.name,
        payload=payloads[short].payload,
        value="[1]",
        priority=0,
        created_at=now,
        started_at=now,
        finished_at=now,
    )
    schedule = Schedule.objects.create(
        name="s",
        task=secrets.pay.name,
        payload=payloads[short].payload,
        schedule="every 60 s",
        priority=0,
        max_losses=3,
        next_at="2030-01-01T00:00:00Z",
    )
    pages = [LIST, *(page(payloads[id]) for id in (short, long))]
    pages += ["/admin/taskq/result/", "/admin/taskq/result/9/change/"]
    pages += [f"/admin/taskq/schedule/{schedule.pk}/change/"]
    for path in pages:
        answer = text(root.get(path))
        assert nothing_of(("5f2a", NUMBER), answer), path
        assert MASK in answer, path
    assert f"7, {MASK}" in text(root.get(LIST))


def give(token):
    raise ValueError(token)


@pytest.mark.django_db
def test_djangos_log_has_no_value(lines, registered):
    pytest.importorskip("taskq.django")
    from taskq.django import task

    task(sensitive=("token",))(give).enqueue("hunter2")
    run_all(propagate=False)
    assert "hunter2" not in "".join(lines)
    assert "hunter2" not in Task.objects.get().traceback
    failed = [line for line in map(json.loads, lines) if line["level"] == "ERROR"]
    assert len(failed) == 2
    assert all(f"ValueError: {MASK}" in line["exception"] for line in failed)


@pytest.mark.django_db
def test_a_line_with_a_wrong_format_shows_nothing_and_fails_no_task(lines, registered):
    @shared_task(name="a", sensitive=["token"])
    def wrong(token):
        logging.getLogger("shop").error("%d", token, extra={"said": token})

    wrong.delay("hunter2")
    assert run_all().succeeded
    (line,) = map(json.loads, lines)
    assert (line["message"], line["said"]) == ("(a line that cannot be masked)", MASK)


def test_a_pools_log_and_rows_show_no_value(start_pool):
    pool = start_pool("-c", 1)
    secrets.pay.delay(7, TOKEN, card=CARD)
    wait_until(lambda: Task.objects.failed().exists(), what="it has failed")
    pool.wait_for_log("failed: ValueError: order 7")
    pool.stop()
    row = Task.objects.get()
    for said in (pool.log(), row.error, row.traceback):
        assert nothing_of(VALUES, said), said
        assert MASK in said
