"""Tasks and signatures in pickles and copies."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from taskq.celery import Task, shared_task
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.usefixtures("registered")

AGAIN = [
    lambda value: pickle.loads(pickle.dumps(value)),
    lambda value: pickle.loads(pickle.dumps(value, protocol=0)),
    copy.copy,
    copy.deepcopy,
]


@pytest.mark.parametrize("again", AGAIN)
def test_a_task_is_the_one_of_its_name(again):
    @shared_task(name="sums.add")
    def add(a, b):
        return a + b

    for task in (lab.add, add):
        assert again(task) is task
    assert again({"task": [lab.add]}) == {"task": [lab.add]}


@pytest.mark.parametrize("again", AGAIN)
def test_a_signature_stays_what_it_is(again, db):
    signature = lab.add.s(1, b=2).set(queue="mail", countdown=5)
    other = again(signature)
    assert other == signature
    assert other != lab.add.s(1, b=2)
    assert other.immutable == signature.immutable
    assert other.delay().args == [1]
    copied = copy.deepcopy(signature)
    copied.set(queue="other")
    assert signature.options["queue"] == "mail"


def test_a_signature_is_cloned_with_more():
    signature = lab.add.s(2).set(queue="mail")
    clone = signature.clone((1,), priority=3)
    assert (clone.args, clone.options) == ((1, 2), {"queue": "mail", "priority": 3})
    assert (signature.args, signature.options) == ((2,), {"queue": "mail"})
    assert signature.clone() == signature
    fixed = lab.add.si(1, 2)
    assert fixed.clone((5,)) == fixed


def test_another_process_imports_the_module_of_a_task():
    text = pickle.dumps([lab.add, lab.add.s(1)]).hex()
    code = (
        "import os, pickle, django; django.setup(); from taskq.task import registry;"
        "registry._definitions.clear();"
        "import sys; sys.modules.pop('tests.project.lab.tasks', None);"
        f"task, signature = pickle.loads(bytes.fromhex({text!r}));"
        "print(task, signature)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    name = lab.add.name
    assert said.stdout == f"<task {name}> {name}(1)\n", said.stderr


def test_a_task_that_is_no_longer_there_is_named():
    @shared_task(name="sums.gone")
    def gone():
        """Its name is taken out of the registry with the test's others."""

    assert isinstance(gone, Task)
    text = pickle.dumps(gone)
    from taskq.task import registry

    del registry._definitions["sums.gone"]
    with pytest.raises(LookupError, match=r"no task is called 'sums\.gone'"):
        pickle.loads(text)
