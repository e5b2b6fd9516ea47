"""A worker that lost its connection in the middle of a claim or a write doubts its lease."""

import pytest

from tests.taskq.conftest import worker_of_no_pool

OLD, NEW = 11, 12


@pytest.fixture
def worker():
    """In doubt of what it holds under the old lease."""
    worker = worker_of_no_pool(OLD)
    worker.batch.hold_under(OLD)
    worker.batch.forget_waiting()
    return worker


def test_the_lease_in_doubt_is_named_until_the_keeper_has_ended_it(worker):
    worker.lost_lease.ask_to_retire()
    assert worker.slot.doubtful_lease == OLD
    assert worker.batch.in_doubt


def test_the_lease_that_replaces_it_is_not_in_doubt(worker):
    """Else the keeper would end that one too, while a task runs under it."""
    worker.lost_lease.ask_to_retire()
    worker.slot.grant(NEW, worker.slot.generation, 2**62)
    worker.lost_lease.ask_to_retire()
    assert worker.slot.doubtful_lease != NEW
    assert not worker.batch.in_doubt


def test_a_lease_that_is_about_to_end_is_given_up_with_what_is_held_under_it(worker):
    """The keeper may renew it in the last moment: then nobody would run that."""
    worker.batch.in_doubt = False
    worker.slot.lease_deadline = 1
    assert not worker.end.finish(None, None, None, None, None, 0)
    assert worker.batch.in_doubt
    worker.lost_lease.ask_to_retire()
    assert worker.slot.doubtful_lease == OLD
