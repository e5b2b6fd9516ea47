"""Tasks that behave in every way there is, for the tests."""

import asyncio
import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time

from asgiref.sync import async_to_sync, sync_to_async
from django.core.cache import caches
from django.db import connection, connections, transaction
from django.utils import timezone, translation
from django.utils.module_loading import import_string

from pool import kernel
from pool.leftovers import TRAITS
from stress.project.lab import dying
from stress.project.runs import note, run
from stress.project.shop.models import Order, Shipment
from taskq.celery import SoftTimeLimitExceeded, TaskCancelled, current_task, shared_task
from tests.pool.messes import MESSES
from tests.project.lab import oddities, receivers  # noqa: F401  has tasks too


@shared_task
def quick(key):
    note("start", key=key)
    note("end", key=key)


@shared_task(bind=True)
def quick_or_fatal(self, key, victims=None):
    """Quick; but at its first attempt it kills these processes, if any, and then its own."""
    note("start", key=key)
    if victims is not None and self.request.attempt == 1:
        for pid in (*victims, os.getpid()):
            os.kill(pid, signal.SIGKILL)
    note("end", key=key)


@shared_task(bind=True)
def tick(self, key="tick"):
    """A periodic one: notes which tick it is for, and which task it is."""
    tick = self.request.scheduled_at
    late = time.time() - tick.timestamp()
    note("start", key=key, tick=tick.isoformat(), late=late, task=self.request.pk)
    note("end", key=key)


@shared_task
def nap(key, seconds):
    with run(key):
        time.sleep(seconds)


@shared_task(bind=True)
def nap_at_first(self, key, seconds, then=0.0):
    """For so long on its first attempt, which a test ends; on later ones for another time."""
    with run(key):
        time.sleep(seconds if self.request.attempt == 1 else then)


@shared_task(on_lost="fail")
def nap_once(key, seconds):
    with run(key):
        time.sleep(seconds)


@shared_task
def hold_gil(key, seconds):
    """A C call that never lets another thread of this process run."""
    with run(key):
        ctypes.PyDLL(None).sleep(seconds)


@shared_task
def exit_hard(key, code):
    with run(key):
        os._exit(code)


@shared_task
def kill_self(key, number):
    with run(key):
        os.kill(os.getpid(), number)
        time.sleep(10)


@shared_task
def overflow_stack(key):
    with run(key):
        dying.overflow_stack()


@shared_task
def fail(key, text="no good"):
    with run(key):
        raise ValueError(text)


@shared_task(autoretry_for=(ValueError,), retry_kwargs={"max_retries": 2, "countdown": 0.05})
def fail_and_retry(key):
    with run(key):
        raise ValueError("again")


@shared_task(bind=True, max_retries=5)
def retry_until(self, key, retries):
    with run(key):
        if self.request.retries < retries:
            self.retry(countdown=0.05)


@shared_task(atomic=True)
def ship(number, seconds=0.0, fail=False):
    """Its shipment and its completion are one transaction."""
    with run(number):
        Shipment.objects.create(order=Order.objects.get(number=number))
        time.sleep(seconds)
        if fail:
            raise ValueError("could not be shipped")


@shared_task(ignore_result=False)
def add(a, b):
    return a + b


@shared_task(bind=True)
def swallow_retry(self, key):
    with run(key):
        try:
            if self.request.retries < 2:
                self.retry(countdown=0)
        except Exception:
            pass


@shared_task(ignore_result=False)
def wait_for_another(as_a_coroutine=False):
    if as_a_coroutine:
        return async_to_sync(sync_to_async(add.delay(1, 2).get))()
    return add.delay(1, 2).get()


@shared_task(ignore_result=False, atomic=True)
def place(number):
    """Its order, its result and its completion are one transaction."""
    return {"number": Order.objects.create(number=number).number}


@shared_task(ignore_result=False, atomic=True)
def show_statement():
    """What the server was sent for the first statement of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_query()")
        return cursor.fetchone()[0]


@shared_task(ignore_result=False)
def give_back_an_object():
    return object()


@shared_task
async def doze(key, seconds):
    with run(key):
        await Order.objects.acount()
        await asyncio.sleep(seconds)


@shared_task(soft_time_limit=0.5, time_limit=0.5)
def at_both_limits(key):
    with run(key):
        time.sleep(30)


@shared_task(soft_time_limit=0.3)
def too_long(key):
    with run(key):
        try:
            time.sleep(30)
        except SoftTimeLimitExceeded:
            note("warned", key=key)
            raise


@shared_task(soft_time_limit=0.3)
def shrug(key):
    """Returns at its soft limit, as if nothing were."""
    with run(key):
        try:
            time.sleep(30)
        except SoftTimeLimitExceeded:
            return


@shared_task(on_lost="fail")
def print_and_die(key):
    print(f"printed by {key}")
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(soft_time_limit=0.3)
async def doze_too_long(key):
    with run(key):
        await asyncio.sleep(30)


@shared_task(autoretry_for=(Exception,), soft_time_limit=30)
def carry_on(key, seconds):
    """A loop that carries on whatever happens, as some are."""
    with run(key):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                time.sleep(0.05)
            except Exception as error:
                note("carried on", key=key, error=type(error).__name__)


@shared_task(ignore_result=False)
def refuse(key, how):
    """Does not end when it is cancelled."""
    with run(key):
        while True:
            try:
                time.sleep(30)
            except TaskCancelled:
                note("refused", key=key)
                if how == "retry":
                    raise ValueError("cancelled, and raises something else") from None
                if how == "return":
                    return "clean"


@shared_task
def ask_server(key, seconds):
    """A statement that takes long, and a lock that it holds."""
    with run(key), transaction.atomic():
        list(Order.objects.select_for_update())
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [seconds])


@shared_task(soft_time_limit=0.3)
def warned_then_cancelled(key):
    with run(key):
        try:
            time.sleep(30)
        except SoftTimeLimitExceeded:
            note("warned", key=key)
        time.sleep(30)


@shared_task(bind=True, ignore_result=False, max_retries=5)
def count(self, key, numbers, then="return"):
    """Says how far it is, and waits at the end of it."""
    with run(key):
        for number in numbers:
            self.set_progress(number, 100)
        if then == "fail":
            raise ValueError("no good")
        if then == "wait":
            time.sleep(30)


@shared_task(atomic=True)
def count_in_transaction(key):
    with run(key):
        Order.objects.create(number=1)
        current_task.set_progress(7)
        time.sleep(30)


@shared_task(bind=True, max_retries=None)
def checkpoint(self, key):
    """Ends when it is asked to, and goes on later."""
    with run(key):
        while self.request.retries == 0:
            time.sleep(0.05)
            if self.is_stopping():
                note("stopping", key=key)
                self.retry(countdown=0)


@shared_task(bind=True)
def tell(self, key, again=False):
    """What it knows of itself."""
    request = self.request
    note(
        "told",
        key=key,
        id=str(request.id),
        queue=request.queue,
        retries=request.retries,
        attempt=request.attempt,
        eta=request.eta.isoformat(),
        headers=request.headers,
        current=current_task.name,
        same=current_task == self,
    )
    if again and request.retries == 0:
        self.retry(countdown=0)


@shared_task(time_limit=0.5)
def hang(key, masked=False):
    with run(key):
        if masked:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(30)


@shared_task(time_limit=1.0)
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
                child.join(10)
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
def ask_database(key, alias="default"):
    """Which of the server's processes answers."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        note("asked", key=key, backend=cursor.fetchone()[0])


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
        if (daemon := os.fork()) == 0:
            os.setsid()
            time.sleep(60)
            os._exit(0)
        note("daemon", key=key, daemon=daemon)
        time.sleep(60)


@shared_task
async def ask_database_async(key):
    note("asked", key=key, backend=await sync_to_async(_backend)())


def _backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


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


@shared_task(ignore_result=False)
def nap_and_keep(key, seconds):
    with run(key):
        time.sleep(seconds)


@shared_task(atomic=True, ignore_result=False)
def commit_and_call(key):
    """What it has called on its commit fails."""
    note("start", key=key)
    Order.objects.create(number=1)
    transaction.on_commit(lambda: 1 / 0)
    return "committed"


@shared_task
def noop():
    pass


@shared_task
def five():
    time.sleep(0.005)


@shared_task(atomic=True)
def atom():
    pass


@shared_task(bind=True)
def headers_of(self):
    return self.request.headers


@shared_task
def trace(key):
    note("traced", key=key, trace=receivers.trace.get())


@shared_task
async def trace_async(key):
    note("traced", key=key, trace=receivers.trace.get())


@shared_task(unique="args")
def count_orders(key):
    """Joined while it waits: it sees the orders of all who joined."""
    note("start", key=key)
    note("seen", key=key, count=Order.objects.count())


@shared_task(unique="args", unique_until="finish")
def solo(key, seconds=0.0):
    """No two of a key at once."""
    with run(key):
        time.sleep(seconds)


receivers.connect()


@shared_task(atomic=True)
def order_and_execute(number, statement):
    """An order, and a statement that may change what this session is."""
    Order.objects.create(number=number)
    with connection.cursor() as cursor:
        cursor.execute(statement)


@shared_task(ignore_result=False)
def execute(*statements):
    """Run them on Django's connection; the rows of the last."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []


@shared_task(ignore_result=False)
def set_in_driver(name, value):
    """What the driver's connection is like, changed behind Django's back; value: may be the path of
    a function."""
    connection.ensure_connection()
    setattr(connection.connection, name, import_string(value) if isinstance(value, str) else value)


@shared_task(ignore_result=False)
def look_at_driver(*names):
    connection.ensure_connection()
    return [str(getattr(connection.connection, name)) for name in names]


@shared_task
def lead_elsewhere(name):
    """As sites do that have a database for each tenant."""
    connection.close()
    connection.settings_dict["NAME"] = name


@shared_task(ignore_result=False)
def language():
    return translation.get_language()


@shared_task(ignore_result=False)
async def language_of_a_coroutine():
    return translation.get_language()


@shared_task
def leave_wrapper():
    """Each statement after it fails."""
    Order.objects.exists()
    connection.execute_wrappers.append(lambda *args: 1 / 0)
