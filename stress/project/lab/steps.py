"""The tasks of chaos that are steps of workflows.

Each gets its key first, and then the list of its inputs. It notes these, and returns its key.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

import django.db

from stress.project.lab.misbehaving import Flaw
from stress.project.lab.models import Effect
from stress.project.runs import note, run
from taskq.celery import chord, shared_task

#: How many steps replace one that grows, beside the last.
GROWN = 3


@shared_task
def step(key: str, got: list[Any]) -> str:
    with run(key, got=got):
        return key


@shared_task
def slow(key: str, got: list[Any]) -> str:
    with run(key, got=got):
        time.sleep(0.2)
        return key


@shared_task
def long(key: str, got: list[Any]) -> str:
    with run(key, got=got):
        time.sleep(3.0)
        return key


@shared_task(
    atomic=True,
    autoretry_for=(django.db.Error,),
    max_retries=None,
    retry_backoff=0.1,
    retry_backoff_max=1,
)
def atomic(key: str, got: list[Any]) -> str:
    with run(key, got=got):
        Effect.objects.create(key=key)
        return key


@shared_task(bind=True, ignore_result=False)
def kept(self: Any, key: str, got: list[Any]) -> dict[str, Any]:
    """What it passes on is its result too, which has the attempt beside the key."""
    with run(key, got=got):
        return {"key": key, "attempt": self.request.attempt}


@shared_task(keep_finished="7 days")
def archived(key: str, got: list[Any]) -> str:
    """It is kept among the finished tasks by the statement that passes its key on."""
    with run(key, got=got):
        return key


@shared_task(bind=True, autoretry_for=(Flaw,), max_retries=None, default_retry_delay=0.1)
def flaky(self: Any, key: str, got: list[Any]) -> str:
    with run(key, got=got):
        if not self.request.retries:
            raise Flaw("flaky")
        return key


@shared_task
def broken(key: str, got: list[Any]) -> str:
    with run(key, got=got):
        raise Flaw("broken")


@shared_task(bind=True)
def mended(self: Any, key: str, got: list[Any]) -> str:
    """Fails until somebody retries it."""
    with run(key, got=got):
        if self.request.attempt == 1:
            raise Flaw("mend")
        return key


@shared_task(bind=True)
def growing(self: Any, key: str, got: list[Any]) -> Any:
    """A group with a body takes its place."""
    with run(key, got=got):
        parts = [_new_key("step") for _ in range(GROWN)]
        last = _new_key("step-last")
        tasks = {**dict.fromkeys(parts, "step"), last: "step-last"}
        places = [{"on": "done", "parts": [part], "value": True} for part in parts]
        note("growing", key=key, tasks=tasks, last=last, places=places)
    return self.replace(chord([step.s(part, []) for part in parts], last_step.s(last, key)))


@shared_task(name=f"{__name__}.last")
def last_step(got: list[Any], key: str, gives: str) -> str:
    """The body of the group. It gives what the replaced step would have."""
    with run(key, got=got):
        return gives


def _new_key(kind: str) -> str:
    """A key that no other process makes, whatever this one has inherited when it was forked."""
    return f"{kind}.{os.getpid()}.{secrets.randbelow(10**12)}"
