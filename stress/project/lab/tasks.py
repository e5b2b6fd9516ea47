"""The tasks of chaos: one for each way in which a task may behave.

The first argument of each is its key. The history, the tables and the checker use it.
"""

import ctypes
import os
import signal
import time
from typing import Any

import django.db

from stress.project.lab import steps  # noqa: F401  its tasks are registered too
from stress.project.lab.dying import die
from stress.project.lab.kinds import tick_key
from stress.project.lab.misbehaving import Flaw, do_wrong
from stress.project.lab.models import Effect
from stress.project.runs import note, run, started
from taskq.celery import SoftTimeLimitExceeded, TaskCancelled, shared_task


@shared_task
def fast(key: str) -> None:
    with run(key):
        pass


@shared_task(bind=True)
def clockwork(self: Any) -> None:
    """Sent by a schedule, so it has to make its key itself."""
    tick = int(self.request.scheduled_at.timestamp())
    with run(tick_key(tick, self.request.pk), task="tick", scheduled_at=tick):
        pass


@shared_task
def slow(key: str, seconds: float) -> None:
    with run(key):
        time.sleep(seconds)


@shared_task(on_lost="fail")
def once(key: str, seconds: float) -> None:
    """Must not be repeated. A person has to decide when its worker is lost."""
    with run(key):
        time.sleep(seconds)


@shared_task(unique="{group}")
def joined(key: str, group: str) -> None:
    """Of each group one task waits, and other calls join it until it starts."""
    with run(key):
        pass


@shared_task(unique="{group}", unique_until="finish")
def solo(key: str, group: str) -> None:
    """No two tasks of a group run at once."""
    with run(key):
        time.sleep(0.15)


@shared_task(
    bind=True, autoretry_for=(Flaw,), max_retries=None, retry_backoff=0.1, retry_backoff_max=1
)
def flaky(self: Any, key: str, failures: int) -> None:
    """Raises ``failures`` times, and then succeeds."""
    with run(key):
        if self.request.retries < failures:
            raise Flaw(f"failure {self.request.retries + 1} of {failures}")


@shared_task(keep_finished="7 days")
def failing(key: str) -> None:
    with run(key):
        raise Flaw("on purpose")


#: Retry when a fault has cut the connection that the task itself uses.
_AGAIN: dict[str, Any] = {
    "autoretry_for": (django.db.Error,),
    "max_retries": None,
    "retry_backoff": 0.1,
    "retry_backoff_max": 1,
}


@shared_task(atomic=True, **_AGAIN)
def atomic(key: str, seconds: float) -> None:
    """Its effect and its completion are one transaction, so each key has one effect."""
    with run(key):
        time.sleep(seconds / 2)
        Effect.objects.create(key=key)
        time.sleep(seconds / 2)


@shared_task(bind=True, ignore_result=False, **_AGAIN)
def kept(self: Any, key: str, seconds: float, failures: int) -> dict[str, Any]:
    """Raises ``failures`` times. The value that it returns in the end is kept."""
    with run(key):
        time.sleep(seconds)
        if self.request.retries < failures:
            raise django.db.Error(f"failure {self.request.retries + 1} of {failures}")
        return _returned(self, key)


@shared_task(bind=True, atomic=True, ignore_result=False, **_AGAIN)
def kept_atomic(self: Any, key: str, seconds: float) -> dict[str, Any]:
    """Its effect, its completion and its result are one transaction."""
    with run(key):
        time.sleep(seconds)
        Effect.objects.create(key=key)
        return _returned(self, key)


@shared_task(bind=True, keep_finished="7 days", **_AGAIN)
def archived(self: Any, key: str, seconds: float, failures: int) -> None:
    """Raises ``failures`` times. In the end it is kept among the finished tasks."""
    with run(key):
        time.sleep(seconds)
        if self.request.retries < failures:
            raise django.db.Error(f"failure {self.request.retries + 1} of {failures}")


@shared_task(atomic=True, keep_finished="7 days", **_AGAIN)
def archived_atomic(key: str, seconds: float) -> None:
    """Its effect, its completion and its row among the finished tasks are one transaction."""
    with run(key):
        time.sleep(seconds)
        Effect.objects.create(key=key)


@shared_task(bind=True, keep_finished="12 hours", ignore_result=False, **_AGAIN)
def archived_kept(self: Any, key: str, seconds: float) -> dict[str, Any]:
    """It is kept with its result, and that as well."""
    with run(key):
        time.sleep(seconds)
        return _returned(self, key)


def _returned(task: Any, key: str) -> dict[str, Any]:
    return {"key": key, "attempt": task.request.attempt}


@shared_task
def gil(key: str, seconds: int) -> None:
    """A C call that stops all other threads of its process."""
    with run(key):
        ctypes.PyDLL(None).sleep(seconds)


@shared_task
def poison(key: str, how: str) -> None:
    """Kills its worker in every run."""
    with run(key):
        die(how)


@shared_task
def mate(key: str, how: str = "") -> None:
    """Quick, so that batches of it are claimed. Some of a batch kill their worker."""
    with run(key):
        if how:
            die(how)


@shared_task
def hungry(key: str, mebibytes: int) -> None:
    """Takes memory until it gets no more, or has this much."""
    with run(key):
        eaten = []
        for _ in range(mebibytes // 16):
            eaten.append(os.urandom(1) * (16 * 2**20))


_leaked: list[bytes] = []


@shared_task
def leak(key: str, mebibytes: int) -> None:
    """Leaves memory behind in its worker."""
    with run(key):
        _leaked.append(os.urandom(1) * (mebibytes * 2**20))


@shared_task(soft_time_limit=0.5)
def warned(key: str) -> None:
    """Runs into its soft time limit."""
    with run(key):
        try:
            time.sleep(60)
        except SoftTimeLimitExceeded:
            note("warned", key=key)
            raise


@shared_task
def long(key: str, seconds: float, stubborn: bool) -> None:
    """Takes so long that it can be cancelled. A stubborn one ignores that."""
    until = time.monotonic() + seconds
    with run(key):
        while (left := until - time.monotonic()) > 0:
            try:
                time.sleep(left)
            except TaskCancelled:
                note("cancelled", key=key)
                if not stubborn:
                    raise


@shared_task(time_limit=1.0)
def hang(key: str, masked: bool) -> None:
    """Runs into its hard time limit. masked: with all signals blocked."""
    with run(key):
        if masked:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(60)


if not os.environ.get("STRESS_OLD_CODE"):  # a deployment that does not know this task yet

    @shared_task
    def newcomer(key: str) -> None:
        with run(key):
            pass


@shared_task(**_AGAIN)
def misbehave(key: str, how: str) -> None:
    """Misbehaves without killing its worker."""
    pid = os.getpid()
    started(key)
    try:
        do_wrong(how)
    except BaseException as error:
        note("raised", key=key, error=type(error).__name__)
        raise
    if os.getpid() == pid:
        note("end", key=key)
