"""Tasks that leave something in their process, and tasks that look for it."""

import asyncio
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time

from django.core.cache import caches
from django.db import connection, transaction
from django.utils import timezone, translation

from pool import kernel
from pool.leftovers import TRAITS
from stress.project.runs import note, run
from stress.project.shop.models import Order
from taskq.celery import shared_task
from tests.pool.messes import MESSES


@shared_task(time_limit=4.0)
def run_program_too_long(key):
    _run_program(key)


@shared_task
def run_program(key):
    _run_program(key)


@shared_task
def leave_programs(key):
    programs = [subprocess.Popen(["sleep", "60"], start_new_session=new) for new in (False, True)]
    note("left", key=key, programs=[program.pid for program in programs])


def _run_program(key):
    """As subprocess.run() does, and says which program it is."""
    with run(key), subprocess.Popen(["sleep", "60"]) as program:
        note("program", key=key, program=program.pid)


@shared_task
def eat_memory(key, mebibytes):
    with run(key):
        eaten = []
        for _ in range(mebibytes):
            eaten.append(os.urandom(1) * 2**20)


_leaked = []


@shared_task
def leak(key, mebibytes):
    with run(key):
        _leaked.append(os.urandom(1) * (mebibytes * 2**20))


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even that")


@shared_task
def misbehave(key, how):
    """One of the ways to misbehave without dying."""
    note("start", key=key)
    match how:
        case "system_exit":
            sys.exit(3)
        case "keyboard_interrupt":
            raise KeyboardInterrupt
        case "recursion":
            misbehave(key, how)
        case "huge_error":
            raise ValueError("x" * 10_000_000)
        case "strange_text":
            raise ValueError("nul \0 and surrogate \ud800")
        case "unprintable_error":
            raise Unprintable
        case "close_connection":
            connection.close()
        case "break_session":
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            connection.connection.close()
        case "open_transaction":
            transaction.atomic().__enter__()
            Order.objects.create(number=-1)
        case "signal_handlers":
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN)
            signal.alarm(1)
        case "block_signals":
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        case "fork_and_return":
            if os.fork() == 0:
                return
        case "leave_child":
            if os.fork() == 0:
                time.sleep(5)
                os._exit(0)
        case "terminate_child":
            for _ in range(100):  # a signal may come before the child is what it is to be
                child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
                child.start()
                child.terminate()
                child.join(60)
                assert child.exitcode == -signal.SIGTERM
        case "fill_stdout":
            for _ in range(20_000):
                print("x" * 100)
        case "change_directory":
            os.chdir("/")
    note("end", key=key)


@shared_task
def mess(key, name):
    note("start", key=key)
    MESSES[name]()


@shared_task
def look_around(key):
    """What it finds of what others may have changed."""
    looks = {trait.name: repr(trait.look()) for trait in TRAITS if trait.name != "open files"}
    seen = {name: re.sub(" at 0x[0-9a-f]+", "", look) for name, look in looks.items()}
    seen |= {"group": os.getpgrp() == os.getpid(), "parent": kernel.parent_death_signal()}
    note("seen", key=key, seen=seen, children=kernel.children())


@shared_task
def share_work(key):
    """Two processes of its own use the ORM, and so does it."""
    note("start", key=key)
    Order.objects.count()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        counts = pool.map(_order, range(4))
    note("shared", key=key, orders=sorted(counts), count=Order.objects.count())


def _order(number):
    return Order.objects.create(number=number).number


@shared_task
def fork_daemon(key):
    """It lives on in a session of its own. The task holds a lock on a row meanwhile."""
    with transaction.atomic():
        Order.objects.select_for_update().get()
        reader, writer = os.pipe()
        if (daemon := os.fork()) == 0:
            os.setsid()
            os.write(writer, b"x")
            time.sleep(60)
            os._exit(0)
        os.read(reader, 1)  # its session is its own: who is killed now takes no daemon along
        note("daemon", key=key, daemon=daemon)
        time.sleep(60)


@shared_task
def visit_another_user(key):
    os.seteuid(65534)
    os.seteuid(0)


@shared_task
def get_loop(key):
    loop = asyncio.get_event_loop_policy().get_event_loop()
    note("loop", key=key, value=loop.run_until_complete(asyncio.sleep(0, "slept")))


_open = []


@shared_task
def leak_descriptors(key, count):
    note("start", key=key)
    _open.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(count))
    note("end", key=key)


@shared_task
def speak(key, language):
    zone = timezone.get_current_timezone_name()
    note("spoke", key=key, language=translation.get_language(), zone=zone)
    translation.activate(language)
    timezone.activate("Asia/Tokyo")


@shared_task
def use_cache(key):
    """Says how often this process's cache was used, as if it were a connection."""
    cache = caches["default"]
    cache.times_used = getattr(cache, "times_used", 0) + 1
    note("cached", key=key, times=cache.times_used)
