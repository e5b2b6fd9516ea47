"""A worker that claims in each of both ways, and what it claims."""

import pytest

from tests.project.lab import tasks
from tests.taskq.conftest import HandWorker

QUICK = (tasks.quick.name,)


@pytest.fixture(params=[False, True], ids=["looks", "slept"])
def each_way(db_store, request):
    return HandWorker(db_store, slept=request.param)


def send(key="a", task=tasks.quick, **options):
    return task.apply_async((key,), **options).id.int
