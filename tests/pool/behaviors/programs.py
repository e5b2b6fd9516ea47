"""Children with programs of their own, and children that take memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

from pool import Child, groups, kernel
from pool.groups import Programs
from tests.pool.behaviors.steps import begin, end, rest, up
from tests.pool.talk import note, told


def has_daemon(child: Child) -> None:
    """Forks a child that holds every pipe, has a session of its own and outlives it."""
    up(child)
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        os.write(writer, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(reader, 1)  # from now on it has a session of its own
    note("grandchild", grandchild=pid)
    rest(child)


def runs_programs(child: Child) -> None:
    """Waits for a program, as a task does: a shell that has started another in the
    background. The first child in the seat only."""
    up(child)
    if child.slot.generation == 1:
        shell = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE)
        note("programs", programs=[shell.pid, int(shell.stdout.readline())])
        begin(child)  # from now on its time runs
        shell.wait()
    rest(child)


def tidies_up(child: Child) -> None:
    """Has a program from the start, leaves others behind, and ends those."""
    helper = subprocess.Popen(["sleep", "60"])
    begins, of_a_thread = threading.Event(), []

    def start_later() -> None:
        begins.wait()
        of_a_thread.append(subprocess.Popen(["sleep", "60"]))
        time.sleep(60)

    threading.Thread(target=start_later, daemon=True).start()
    programs = Programs()
    begins.set()
    while not of_a_thread:
        time.sleep(0.01)
    up(child)
    script = "sleep 60 & echo $!; (sleep 60 & echo $! & wait) & wait"
    shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    orphan = subprocess.check_output(["sh", "-c", "sleep 60 >&- & echo $!"])
    left = [shell.pid, int(orphan), *(int(shell.stdout.readline()) for _ in range(2))]
    free = subprocess.Popen(["sleep", "60"], start_new_session=True)
    found = sorted(programs.left())
    programs.end()
    note("tidied", found=found, left=left, kept=[helper.pid, of_a_thread[0].pid], free=[free.pid])
    while not told("free"):
        time.sleep(0.01)
    os.kill(helper.pid, signal.SIGKILL)
    groups.UNASKED = 0
    free.kill()
    while free.pid in kernel.children():
        programs.left()
        time.sleep(0.01)
    note("reaped")
    rest(child)


def leaves_orphans(child: Child) -> None:
    """Has children that outlive it for a moment, and are then nobody's to reap."""
    up(child)
    orphans = [subprocess.Popen(["sleep", "0.2"]).pid for _ in range(5)]
    note("orphans", orphans=orphans)
    if child.slot.generation > 1:
        rest(child)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def allocates(child: Child) -> None:
    """Takes memory when told to, until the kernel has enough of it."""
    up(child)
    begin(child)
    if child.slot.generation > 1:
        end(child)
        rest(child)
        return
    while not told("allocate"):
        time.sleep(0.01)
    hoard = []
    while True:
        hoard.append(b"x" * 1_000_000)


def has_subprocess_that_allocates(child: Child) -> None:
    """Runs a program that the kernel kills for its memory, and survives it."""
    up(child)
    if child.slot.generation == 1:
        program = "hoard = []\nwhile True: hoard.append(b'x' * 1_000_000)"
        status = subprocess.run([sys.executable, "-c", program], check=False).returncode
        note("subprocess", status=status)
    rest(child)
