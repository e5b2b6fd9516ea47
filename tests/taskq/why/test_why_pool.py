"""Why a task is not running, asked beside pools that run."""

from __future__ import annotations

import signal

import psutil

from stress.rig.pools import wait_until
from taskq import pausing
from taskq.models import Task, Worker
from taskq.why import Code, why
from tests.project.lab import tasks


def codes(sent):
    return [reason.code for reason in why(sent.id)]


def test_the_reasons_come_and_go_with_the_pools(start_pool, runs):
    sent = tasks.quick.apply_async(("a",), queue="mail")
    assert codes(sent) == [Code.NO_WORKER]
    first = start_pool("-c", 1, "-Q", "default,news*")
    assert {*Worker.objects.values_list("serves", flat=True)} == {"default,news*"}
    assert codes(sent) == [Code.QUEUE_NOT_SERVED]
    pausing.pause("mail")
    start_pool("-c", 1, "-Q", "mail")
    assert codes(sent) == [Code.QUEUE_PAUSED]
    long = tasks.nap.apply_async(("long", 600), queue="news.long")
    wait_until(lambda: runs("start", "long"), what="it runs")
    assert codes(long) == [Code.RUNNING]
    second = tasks.quick.apply_async(("b",), queue="news.long")
    assert Code.WORKERS_BUSY in codes(second)
    pausing.resume("mail")
    wait_until(lambda: runs("end", "a"), what="it ran")
    wait_until(lambda: Code.GONE in codes(sent) or Code.DONE in codes(sent), what="it is gone")
    first.signal(signal.SIGSTOP)  # without its supervisor nobody tells the run
    wait_until(lambda: psutil.Process(first.pid).status() == psutil.STATUS_STOPPED)
    Task.objects.filter(pk=long.id.int).cancel()
    assert Code.ASKED_TO_END in codes(long)
    first.signal(signal.SIGCONT)
    wait_until(lambda: codes(long) == [Code.CANCELLED], what="it has ended")
