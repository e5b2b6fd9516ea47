"""Tasks whose workers die, each in a place of its own, and tasks that are asked where they are."""

import ctypes
import time

from stress.project.runs import run
from taskq.celery import shared_task


@shared_task(on_lost="fail")
def read_address_0(key):
    with run(key):
        ctypes.string_at(0)


@shared_task(on_lost="fail", time_limit=1.0)
def count_for_ever(key):
    with run(key):
        while True:
            pass


@shared_task(on_lost="fail", time_limit=1.0)
def sum_in_c(key):
    """One call of C code that holds the interpreter."""
    with run(key):
        sum(range(10**14))


@shared_task(on_lost="fail")
def grow(key):
    """By about 40 MiB every quarter of a second."""
    with run(key):
        held = []
        while len(held) < 20:
            held.append(bytearray(40 * 2**20))
            time.sleep(0.25)
        time.sleep(600)


@shared_task
def wait_here(key, seconds):
    with run(key):
        time.sleep(seconds)


@shared_task
def turn_round_here(key, seconds):
    with run(key):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
