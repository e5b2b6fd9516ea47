"""Workflows of Celery's canvas in a pool whose workers are killed."""

from __future__ import annotations

import pytest

from stress.rig.pools import GENEROUS
from taskq.celery import chord, group
from taskq.models import Edge, Task
from tests.project.lab import canvas
from tests.project.lab.tasks import add

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_nested_workflow_comes_to_its_value_whatever_dies(start_pool, drained):
    start_pool("-c", 2)
    numbers = range(1, 11)
    header = group(canvas.count_or_die.s(number) for number in numbers)
    flow = header | canvas.total.s() | group(add.s(100), add.s(200)) | canvas.total.s(more=1)
    results = [
        flow.delay(),
        chord([header | canvas.total.s(), canvas.split.s([1, 2])], canvas.total.s()).delay(),
    ]
    assert [result.get(timeout=GENEROUS) for result in results] == [2 * 55 + 301, 58]
    drained()
    assert (Task.objects.count(), Edge.objects.count()) == (0, 0)
