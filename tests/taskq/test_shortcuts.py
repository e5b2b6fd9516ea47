"""What leans on private parts of other packages: looked at first, and left out where it is not as
expected. The product does the same without."""

from __future__ import annotations

import json.encoder
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections

from stress.project.shop.models import Order
from stress.rig.pools import GENEROUS
from taskq import shortcuts
from taskq.models import Result, Task

#: The function, and what breaks the part that it leans on.
BREAKS = {
    "storage_of_threads": """
        from django.db import connections
        connections._connections = __import__("threading").local()
    """,
    "loaded_settings": """
        from types import SimpleNamespace
        from taskq import shortcuts
        shortcuts.settings = SimpleNamespace(DATABASES={}, _wrapped=SimpleNamespace(DATABASES={}))
    """,
    "json_dumps": """
        import json.encoder
        json.encoder.c_make_encoder = None
    """,
    "receivers_of": """
        from django.dispatch import Signal
        plain = Signal.connect
        def connect(self, *all, **more):
            plain(self, *all, **more)
            self.receivers[:] = [(entry[0][::-1], *entry[1:]) for entry in self.receivers]
        Signal.connect = connect
    """,
    "libpq": """
        import psycopg.generators
        del psycopg.generators.fetch
    """,
    "prepare_manager": """
        from psycopg._preparing import PrepareManager
        plain = PrepareManager.maybe_add_to_cache
        PrepareManager.maybe_add_to_cache = lambda self, *all: plain(self, *all)
    """,
    "steps_of_execute": """
        from psycopg._cursor_base import BaseCursor
        plain = BaseCursor._set_results
        BaseCursor._set_results = lambda self, *all: plain(self, *all)
    """,
}
OF_PSYCOPG = {"libpq", "prepare_manager", "steps_of_execute"}

#: Sends tasks in every way, lets a pool run them, and says which shortcuts were left out.
PROGRAM = """
import json, logging
logging.basicConfig()
import django
django.setup()

from django.core.management import call_command
from django.db import connection, transaction
from stress.project.shop.models import Order
from taskq import shortcuts
from tests.project.lab import tasks
from tests.taskq import unique_tasks

tasks.quick.delay("alone")
with transaction.atomic():
    tasks.quick.delay("first of a transaction")
    Order.objects.create(number=1)
    tasks.ship.delay(1)
    tasks.place.delay(2)
try:
    with transaction.atomic():
        tasks.quick.delay("undone")
        raise KeyError
except KeyError:
    pass
tasks.quick.delay_many([(f"many {number}",) for number in range(50)])
with transaction.atomic():
    once = unique_tasks.define(unique="args")
    assert once.delay(1).id == once.delay(1).id
Order.objects.filter(number=1).exists()

names = [] if connection.vendor == "sqlite" else ["libpq", "prepare_manager", "steps_of_execute"]
names += ["storage_of_threads", "loaded_settings", "json_dumps", "receivers_of"]
print(json.dumps([name for name in names if getattr(shortcuts, name)() is None]))
call_command("taskq_pool", "-c", "2", "--burst")
"""


@pytest.fixture
def run(environment, runs):
    """Run the program, break something before, and check that all was sent and run; which
    shortcuts were left out, and what was logged."""

    def run(breaks="", **more_environment):
        program = textwrap.dedent(breaks) + PROGRAM
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**environment, **more_environment},
            capture_output=True,
            text=True,
            timeout=GENEROUS,
        )
        assert done.returncode == 0, done.stderr
        assert not Task.objects.exists()
        keys = [record["key"] for record in runs("end")]
        expected = ["alone", "first of a transaction", 1, *(f"many {n}" for n in range(50))]
        assert sorted(keys, key=str) == sorted(expected, key=str)
        assert sorted(Order.objects.values_list("number", flat=True)) == [1, 2]
        assert Result.objects.count() == 1
        return json.loads(done.stdout.splitlines()[0]), done.stderr

    return run


def test_with_all_of_them_off_a_pool_runs_what_is_sent(run):
    names = set(BREAKS) if connection.vendor == "postgresql" else set(BREAKS) - OF_PSYCOPG
    left_out, log = run(TASKQ_SHORTCUTS="off")
    assert set(left_out) == names
    assert "not as expected" not in log


@pytest.mark.parametrize("name", BREAKS)
def test_one_that_is_not_as_expected_is_left_out_and_named(run, name):
    if connection.vendor == "sqlite" and name in OF_PSYCOPG:
        pytest.skip("psycopg is PostgreSQL's driver")
    left_out, log = run(BREAKS[name], TASKQ_SHORTCUTS="on")
    assert left_out == [name]
    assert log.count("is not as expected") == 1
    assert "taskq does without it, and is slower" in log


@pytest.mark.shortcuts
@pytest.mark.parametrize("name", BREAKS)
def test_each_is_taken_with_the_releases_that_we_support(name):
    assert getattr(shortcuts, name)() is not None


def test_a_storage_that_the_connections_do_not_use_is_left_alone(monkeypatch, caplog):
    elsewhere = SimpleNamespace(_storage=threading.local())
    monkeypatch.setattr(connections, "_connections", elsewhere)
    look = shortcuts.shortcut("a part")(shortcuts.storage_of_threads.__wrapped__.__wrapped__)
    monkeypatch.delenv(shortcuts.SWITCH, raising=False)
    assert look() is None
    assert "connections are kept elsewhere" in caplog.text


def test_an_encoder_that_makes_another_text_is_left_alone(monkeypatch, caplog):
    monkeypatch.setattr(json.encoder, "c_make_encoder", lambda *_: lambda *_: ["{}"])
    look = shortcuts.shortcut("a part")(shortcuts.json_dumps.__wrapped__.__wrapped__)
    monkeypatch.delenv(shortcuts.SWITCH, raising=False)
    assert look() is None
    assert "it makes another text" in caplog.text


@pytest.mark.parametrize(
    ("value", "off"), [(None, False), ("", False), ("on", False), ("off", True)]
)
def test_the_environment_switches_all_of_them_off(value, off):
    assert shortcuts.are_off({} if value is None else {shortcuts.SWITCH: value}) is off


def test_another_value_is_an_error_that_names_the_mend():
    with pytest.raises(ImproperlyConfigured, match="TASKQ_SHORTCUTS is 'no': set it to 'off'"):
        shortcuts.are_off({shortcuts.SWITCH: "no"})


def test_the_list_in_the_docs_names_each():
    page = Path("docs/explanation/shortcuts.md").read_text()
    assert set(BREAKS) == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
