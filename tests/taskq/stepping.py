"""A worker in the process of the test, which runs its tasks one at a time."""

from __future__ import annotations

from contextlib import contextmanager

from taskq.models import Result
from taskq.worker.worker import Worker
from tests.taskq.conftest import worker_of_no_pool


class Stepwise(Worker):
    """Lives in this process, and is moved step by step."""

    def step(self):
        """Run the next task, claimed if need be; its id, None where there was none."""
        task = self.batch.next() or self.fetch()
        if task is None:
            return None
        self.perform(task)
        return task.id


@contextmanager
def stepwise(lease, monkeypatch, *names, seconds=0.001):
    """A worker that holds this lease, does not sleep, and knows that runs of these names take so
    many seconds, however slow the machine is."""
    one = worker_of_no_pool(lease, worker_class=Stepwise)
    monkeypatch.setattr(one.child, "wait", lambda *args: False)
    for name in names:
        one.pace.note(name, seconds, seconds)
    monkeypatch.setattr(one.pace, "note", lambda *args: None)
    yield one
    one.session.close()


def must_not_claim_ahead(stepper, monkeypatch):
    send = stepper.batch.send

    def watched(store, request):
        assert request is None
        return send(store, request)

    monkeypatch.setattr(stepper.batch, "send", watched)


@contextmanager
def told(signal, id_of):
    """For each time that a receiver of this signal is called, whether the result is written by
    then. id_of: finds the task's id in what the receiver gets."""
    found = []

    def hear(**fields):
        found.append(Result.objects.filter(pk=id_of(fields).int).exists())

    signal.connect(hear)
    try:
        yield found
    finally:
        signal.disconnect(hear)
