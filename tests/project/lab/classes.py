"""Tasks of base classes, and receivers of Celery's signals."""

import os
import signal
import time

from stress.project.runs import note
from taskq.celery import Ignore, SoftTimeLimitExceeded, Task, shared_task, signals


class Noting(Task):
    """Notes what happens, and in which process."""

    ignore_result = False

    def __init__(self):
        self.runs = 0

    def before_start(self, task_id, args, kwargs):
        self.runs += 1
        note("before", key=args[0], pid=os.getpid(), runs=self.runs, id=task_id)

    def on_success(self, retval, task_id, args, kwargs):
        note("success", key=args[0], value=retval)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note("failure", key=args[0], error=repr(exc), pid=os.getpid())

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        note("retry", key=args[0])

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note("after", key=args[0], status=status)


@shared_task(base=Noting, bind=True, max_retries=1)
def noted(self, key, how="return"):
    if how == "raise":
        raise KeyError(key)
    if how == "retry":
        self.retry((key, "return"), exc=ValueError("again"), countdown=0, queue="mail")
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "ignore":
        raise Ignore
    return self.request.delivery_info["routing_key"]


@shared_task(bind=True, atomic=True, ignore_result=False)
def say_and_wait(self, key, path):
    """Says a state from within a transaction, and waits for a file."""
    self.update_state(state="PROGRESS", meta={"key": key})
    while not os.path.exists(path):
        time.sleep(0.01)


@shared_task(ignore_result=False)
def wait_for(key, path):
    while not os.path.exists(path):
        time.sleep(0.01)


@shared_task
def sleep_until_warned(key):
    note("start", key=key)
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        note("warned", key=key)


def _when(sent, name):
    def receiver(sender, **arguments):
        note("signal", key=name, pid=os.getpid(), parent=os.getppid())

    sent.connect(receiver, weak=False)


#: A site asks for it: the receivers would slow the other tests.
if os.environ.get("TASKQ_TEST_CELERY_SIGNALS"):
    for _name in (
        "celeryd_init setup_logging worker_init worker_ready worker_process_init "
        "worker_process_shutdown task_prerun task_postrun task_failure"
    ).split():
        _when(getattr(signals, _name), _name)
