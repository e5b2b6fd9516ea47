"""``--fix``: what it changes, and that it changes nothing else."""

from __future__ import annotations

import pytest

from taskq.celery_check import fixing
from taskq.celery_check.check import check


def fixed(path, source):
    path.write_bytes(source)
    edits = fixing.by_file(check(path).findings)
    return fixing.edited(source, edits.get(path.name, []))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from celery import shared_task", "from taskq.celery import shared_task"),
        ("from celery import (  # all\n    chain,\n    group as g,\n)\n", None),
        ("from   celery  import  chain # x", "from   taskq.celery  import  chain # x"),
        ("from celery.utils.log import get_task_logger", None),
        ("import celery", "from taskq import celery"),
        ("import celery as c", "import taskq.celery as c"),
        ("import celery.schedules as s", "import taskq.celery.schedules as s"),
        ("import celery.result", "import taskq.celery.result\nfrom taskq import celery"),
        (
            "x = 1; import celery.result",
            "x = 1; import taskq.celery.result; from taskq import celery",
        ),
        (
            "try:\n    import celery.result\nexcept ImportError:\n    pass\n",
            "try:\n    import taskq.celery.result\n    from taskq import celery\n"
            "except ImportError:\n    pass\n",
        ),
        ("if 1:\n\tfrom celery import chain\n", None),
        (
            "from django_celery_beat.models import PeriodicTask, IntervalSchedule",
            "from taskq.contrib.beat.models import PeriodicTask, IntervalSchedule",
        ),
        (
            "from kombu.exceptions import OperationalError",
            "from taskq.celery.exceptions import OperationalError",
        ),
        ("def f():\n    from celery import chain; chain()\n", None),
        ("s = 'ü'; from celery import chain", None),
        ("\ufefffrom celery import chain", None),
        ("from celery import chain\r\nfrom celery import group\r\n", None),
        ("# -*- coding: utf-8 -*-\nfrom celery import chain", None),
    ],
)
def test_imports_are_changed_and_nothing_else(tmp_path, before, after):
    if after is None:
        after = before.replace("from celery", "from taskq.celery")
    path = tmp_path / "module.py"
    assert fixed(path, before.encode()).decode() == after
    assert fixed(path, after.encode()).decode() == after, "once is enough"


@pytest.mark.parametrize(
    "source",
    [
        "from celery import shared_task, bootsteps",
        "from celery import *",
        "from kombu.exceptions import OperationalError, KombuError",
        "import celery, os",
        "import celery.worker",
        "from .celery import app",
        "from proj.celery import app",
        "from celery_of_ours import app",
        "import celerywyrm",
    ],
)
def test_what_does_not_move_is_left_alone(tmp_path, source):
    assert fixed(tmp_path / "module.py", source.encode()).decode() == source


def test_another_encoding_is_kept(tmp_path):
    source = "# coding: latin-1\nname = 'ü'; from celery import chain\n".encode("latin-1")
    after = source.replace(b"from celery", b"from taskq.celery")
    assert fixed(tmp_path / "module.py", source) == after


def test_the_difference_is_a_patch():
    before = b"a\nfrom celery import chain\nb"
    after = before.replace(b"celery", b"taskq.celery")
    assert fixing.difference("x/y.py", before, after) == (
        "--- a/x/y.py\n+++ b/x/y.py\n@@ -1,3 +1,3 @@\n a\n-from celery import chain\n"
        "+from taskq.celery import chain\n b"
    )
