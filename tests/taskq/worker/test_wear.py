"""When a new process takes the place of a worker."""

from __future__ import annotations

import pytest

from taskq.conf import Settings
from taskq.worker.batch import Batch
from taskq.worker.wear import Wear
from tests.taskq.conftest import child_of_no_pool


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_last_run_is_known_before_it_begins(most):
    child = child_of_no_pool("worker")
    batch = Batch(child.slot.finish_log)
    wear = Wear(child, Settings(max_tasks_per_child=most))
    seen = []
    while not wear.worn_out:
        seen.append(wear.is_last_run)
        wear.count_run(batch, out_of_memory=False)
    assert seen == [False] * (most - 1) + [True]


def test_without_a_limit_none_is_the_last():
    child = child_of_no_pool("worker")
    wear = Wear(child, Settings())
    for _ in range(3):
        assert not wear.is_last_run
        wear.count_run(Batch(child.slot.finish_log), out_of_memory=False)
    wear.count_run(Batch(child.slot.finish_log), out_of_memory=True)
    assert wear.worn_out
