"""The ways in which a task misbehaves without killing its worker."""

import faulthandler
import os
import resource
import signal
import subprocess
import sys
import time

from django.db import connection, transaction

from stress.project.lab.models import Entry


class Flaw(Exception):
    """Raised by a task on purpose."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def do_wrong(how: str) -> None:
    """Misbehave in one of these ways."""
    match how:
        case "exit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "recurse":
            do_wrong(how)
        case "huge":
            raise Flaw("x" * 10_000_000)
        case "text":
            raise Flaw("nul \0 and surrogate \ud800")
        case "unprintable":
            raise Unprintable
        case "close":
            connection.close()
        case "break":
            connection.ensure_connection()
            connection.connection.close()
        case "open":
            transaction.atomic().__enter__()
            Entry.objects.create(key=f"open.{os.getpid()}.{time.monotonic_ns()}", kind="open")
        case "handlers":
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN)
            signal.alarm(1)
        case "native":
            faulthandler.register(signal.SIGUSR1)  # Python's table of handlers does not change
        case "timer":
            signal.setitimer(signal.ITIMER_PROF, 0.2)
            faulthandler.dump_traceback_later(1.0, exit=True)
        case "limit":
            _, hard = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1, hard))
        case "program":
            subprocess.Popen(["sleep", "30"])
        case "mask":
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        case "fork":
            os.fork()  # both return
        case "child":
            if os.fork() == 0:
                time.sleep(3)
                os._exit(0)
        case "stdout":
            for _ in range(5_000):
                print("x" * 100)
        case "chdir":
            os.chdir("/")
        case _:
            raise AssertionError(f"no such way to misbehave: {how!r}")
