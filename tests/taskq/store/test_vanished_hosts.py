"""A host that vanishes in the middle of a transaction locks others out for no longer than a part
of its lease, though nobody tells the server that it is gone."""

import pytest

from stress.rig.pools import wait_until
from taskq.database_errors import DATABASE_ERRORS
from taskq.models import State, Task, Worker
from taskq.store import connecting
from tests.project.lab import tasks

pytestmark = pytest.mark.postgresql


def test_who_was_being_retired_can_be_retired_by_another(worker, db_store):
    tasks.quick.delay("a")
    worker.claim()
    Worker.objects.update(lease_expires_at="2000-01-01T00:00Z")

    def retire():
        return db_store.leases.retire(
            worker.id, ran=0, charge=False, cause="its host is lost", expired_only=True
        )

    vanished = connecting.connect("default", lease=1.0).connection

    def at_it():
        with vanished.transaction():
            assert vanished.rows("SELECT id FROM taskq_worker FOR UPDATE", {})
            assert retire() is None
            wait_until(retire)
            vanished.rows("SELECT 1", {})  # it was not gone, after all

    with pytest.raises(DATABASE_ERRORS):
        at_it()
    assert Task.objects.get().state == State.READY
    vanished.close()
