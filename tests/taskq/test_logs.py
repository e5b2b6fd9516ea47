"""Lines for machines: the task on each, and what a line of JSON has."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys

import pytest

from stress.rig.pools import wait_until
from taskq import events
from taskq.logs import JsonFormatter, TaskFilter, TextFormatter
from taskq.management import serve
from tests.project.lab import speaking, tasks
from tests.taskq.running import run


@pytest.fixture
def lines():
    """What is logged, as lines of JSON read again."""
    said = []

    class Lines(logging.Handler):
        def emit(self, record):
            line = self.format(record)
            assert "\n" not in line
            said.append(json.loads(line, parse_constant=lambda name: pytest.fail(name)))

    handler = Lines()
    handler.addFilter(TaskFilter())
    handler.setFormatter(JsonFormatter())
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.INFO)
    yield said
    logging.root.removeHandler(handler)
    logging.root.setLevel(logging.WARNING)


def test_a_line_outside_of_a_task_has_no_field_of_one(lines):
    logging.getLogger("shop").warning("%d eggs", 3)
    (line,) = lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    line.pop("worker", None)  # another test of this process has run tasks here
    assert line == {"level": "WARNING", "logger": "shop", "message": "3 eggs", "pid": os.getpid()}


def test_each_line_of_a_task_names_it(lines):
    run(speaking.speak, "word")
    mine, threads, stray = lines
    named = {"task_id": 7, "task_name": speaking.speak.name, "queue": "default"}
    assert mine.items() >= {**named, "message": "said word\nin two lines", "order": 7}.items()
    assert threads.items() >= {**named, "message": "with context"}.items()
    assert not stray.keys() & named.keys()


def test_each_line_of_a_coroutine_names_its_task(lines):
    run(speaking.speak_async, "word")
    assert {line["message"] for line in lines} == {"inner word", "outer word"}
    assert {line["task_name"] for line in lines} == {speaking.speak_async.name}


def test_an_event_has_its_name_its_fields_and_its_traceback(lines):
    events.task_failed(3, "shop.send", "ValueError: no", "Traceback:\n  x", None, None)
    (line,) = lines
    assert (line["event"], line["task_id"], line["task_name"]) == ("task.failed", 3, "shop.send")
    assert line["message"] == "shop.send #3 failed: ValueError: no"
    assert line["exception"] == "Traceback:\n  x"


def test_an_exception_is_text_of_the_line(lines):
    try:
        raise KeyError("a")
    except KeyError:
        logging.getLogger("shop").exception("caught", stack_info=True)
    (line,) = lines
    assert line["exception"].endswith("KeyError: 'a'")
    assert line["stack"].startswith("Stack (most recent call last)")


class Broken:
    def __str__(self):
        raise ValueError


def circle():
    made = []
    made.append(made)
    return made


@pytest.mark.parametrize("value", [Broken(), circle(), float("nan"), {(1,): 2}, {1}, "\ud800"])
def test_no_value_costs_the_line(lines, value):
    logging.getLogger("shop").info("said", extra={"odd": value, "kept": 5, "message_id": "a"})
    (line,) = lines
    assert (line["message"], line["kept"], line["message_id"]) == ("said", 5, "a")


def test_extra_fields_replace_none_of_the_line(lines):
    logging.getLogger("shop").info("said", extra={"level": "x", "time": "never", "pid": -1})
    (line,) = lines
    assert (line["level"], line["pid"]) == ("INFO", os.getpid())
    assert line["time"] != "never"


def test_the_text_of_a_pool_names_the_task_on_lines_of_its_code():
    record = logging.makeLogRecord({"msg": "hello", "levelname": "INFO", "created": 0.0})
    assert TextFormatter().format(record).endswith(" INFO hello")
    record.task_name, record.task_id = "shop.send", 3
    assert TextFormatter().format(record).endswith(" INFO shop.send #3: hello")
    record.event = "task.failed"
    assert TextFormatter().format(record).endswith(" INFO hello")


def test_the_formats_of_the_command_are_those_that_there_are():
    from taskq.management.commands.taskq_pool import Command

    parser = Command().create_parser("manage.py", "taskq_pool")
    (option,) = [each for each in parser._actions if each.dest == "log_format"]
    assert list(option.choices) == list(serve.FORMATTERS)


@pytest.mark.sqlite  # to run it on one is enough
def test_all_that_a_pool_logs_is_json_and_names_the_task_and_the_worker(start_pool, drained):
    pool = start_pool("-c", 1, "--log-format", "json")
    spoken = speaking.speak.delay("word").id.int
    failed = speaking.speak_and_fail.delay("secret-word").id.int
    drained()
    wait_until(lambda: "task.failed" in pool.log(), what="the failure is logged")
    killed = tasks.kill_self.delay("a", 9).id.int
    wait_until(lambda: "task.lost" in pool.log(), what="the loss is logged")
    pool.stop()
    lines = [json.loads(line) for line in pool.log().splitlines()]
    by_task = {line["message"]: line for line in lines if line.get("task_id") == spoken}
    said = by_task["said word\nin two lines"]
    assert (said["worker"], said["attempt"], said["queue"]) == ("worker 1", 1, "default")
    assert said["logger"] == "shop.lines"
    assert by_task["with context"]["worker"] == "worker 1"
    (stray,) = [line for line in lines if line["message"] == "without context"]
    assert (stray["worker"], stray.get("task_id")) == ("worker 1", None)
    caught, event = [line for line in lines if line.get("task_id") == failed]
    assert caught["exception"].endswith("KeyError: 'secret-word'")
    assert (event["event"], event["task_name"]) == ("task.failed", speaking.speak_and_fail.name)
    assert (event["attempt"], event["queue"]) == (1, "default")
    assert event["exception"].endswith("ValueError: secret-word\n")
    began = lines[0]
    assert (began["event"], began["workers"]) == ("pool.started", 1)
    assert speaking.speak.name in began["tasks"]
    died = next(line for line in lines if line.get("event") == "child.died")
    assert (died["child"], died["task_id"]) == ("worker 1", killed)
    assert died["task_name"] == tasks.kill_self.name
    assert died["child_pid"] == said["pid"] != died["pid"]
    assert {"pool", "taskq", "shop.lines"} == {line["logger"] for line in lines}
    # The words of a call are in no line but those that the task's own code has them in.
    assert not any(
        "secret-word" in json.dumps(line) for line in lines if line not in (caught, event)
    )


@pytest.mark.sqlite  # to run it on one is enough
def test_a_pool_says_no_line_of_django_twice_with_debug(start_pool, drained):
    pool = start_pool("-c", 1, TASKQ_TEST_DEBUG="1")
    speaking.speak_of_django.delay("word")
    drained()
    pool.stop()
    assert pool.log().count("of Django: word") == 1
    pool.wait_for_log("speak_of_django #")


@pytest.mark.sqlite  # to run it on one is enough
def test_a_format_is_refused_where_logging_has_a_handler(environment, tmp_path):
    (tmp_path / "own_settings.py").write_text(
        "from tests.project.settings import *\n"
        "LOGGING = {'version': 1, 'handlers': {'out': {'class': 'logging.StreamHandler'}}, "
        "'loggers': {'taskq': {'handlers': ['out']}}}\n"
    )
    env = {
        **environment,
        "PYTHONPATH": f"{tmp_path}:{os.getcwd()}",
        "DJANGO_SETTINGS_MODULE": "own_settings",
    }
    tasks.quick.delay("a")
    command = [sys.executable, "-m", "tests.project.manage", "taskq_pool", "--burst", "-c", "1"]
    answer = subprocess.run(
        [*command, "--log-format", "json"], env=env, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 1
    assert "--log-format is 'json', but LOGGING has a handler for the logger taskq" in answer.stderr
    assert 'give that handler the formatter {"()": "taskq.logs.JsonFormatter"}' in answer.stderr
