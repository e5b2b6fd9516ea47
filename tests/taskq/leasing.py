"""A worker that claims in each of both ways, what it claims, and who locks that."""

import contextlib

import pytest
from django.db import transaction

from taskq.models import Task
from tests.project.lab import tasks
from tests.taskq.conftest import HandWorker

QUICK = (tasks.quick.name,)


@pytest.fixture(params=[False, True], ids=["looks", "slept"])
def each_way(db_store, request):
    return HandWorker(db_store, slept=request.param)


def send(key="a", task=tasks.quick, **options):
    return task.apply_async((key,), **options).id.int


@contextlib.contextmanager
def locked(*ids):
    """As by a cancel in a transaction that is open."""
    with transaction.atomic():
        assert len(Task.objects.select_for_update().filter(pk__in=ids)) == len(ids)
        yield
