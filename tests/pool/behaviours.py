"""What the children of a sample pool do: a role's callable each, named as in
``worker=waits``."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from pool import Child, State, clock, groups, kernel
from pool.groups import Programs
from tests.pool.talk import note, options, told


def up(child: Child) -> None:
    time.sleep(options.boot)
    child.title()
    child.booted()
    note("up", name=child.name, slot=child.slot.index)


def grant(child: Child) -> int:
    """Give the child a lease; when that ends."""
    lease = clock.now() + clock.nanoseconds(options.lease)
    child.slot.grant(7000 + child.number, child.slot.generation, lease)
    return lease


def begin(child: Child) -> None:
    """Say on the scoreboard that a task runs, in the order that the pool asks for."""
    slot, now = child.slot, clock.now()
    lease = grant(child)
    slot.state = State.BUSY
    hard = now + clock.nanoseconds(options.hard) if options.hard else 0
    soft = now + clock.nanoseconds(options.soft) if options.soft else 0
    slot.begin(100 + child.number, slot.generation, "sample", now, soft, hard)
    child.worked()
    note("begun", name=child.name, lease=lease, hard=hard, soft=soft)


def end(child: Child) -> None:
    child.slot.task_id = 0
    child.slot.state = State.IDLE
    child.slot.done += 1
    note("finished", name=child.name)


def rest(child: Child) -> None:
    while not child.stopping:
        child.wait(60)
    note("left", name=child.name)


def waits(child: Child) -> None:
    up(child)
    rest(child)


def waits_deaf(child: Child) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    waits(child)


def works(child: Child) -> None:
    """Has one task, which ends when the test says so; looks at nothing meanwhile."""
    up(child)
    work(child)


def work(child: Child) -> None:
    begin(child)
    while not told("finish"):
        time.sleep(0.01)
    end(child)
    rest(child)


def spins(child: Child) -> None:
    up(child)
    begin(child)
    while True:
        pass


def holds_gil(child: Child) -> None:
    up(child)
    begin(child)
    ctypes.PyDLL(None).sleep(60)


def is_deaf(child: Child) -> None:
    """Ignores every signal that can be ignored."""
    up(child)
    begin(child)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    note("deaf", name=child.name)
    while True:
        time.sleep(60)


def loses_signals(child: Child) -> None:
    """Its task ignores SIGTERM; afterwards the handlers are put back."""
    up(child)
    begin(child)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("deaf", name=child.name)
    while not told("finish"):
        time.sleep(0.01)
    child.install_signals()
    end(child)
    rest(child)


def has_soft_limit(child: Child) -> None:
    child.on_soft_limit = lambda: note("soft limit", name=child.name)
    works(child)


def is_idle_with_old_lease(child: Child) -> None:
    """Holds a lease that has run out, and no work."""
    up(child)
    child.slot.grant(7000, child.slot.generation, 1)
    rest(child)


def has_a_lease(child: Child) -> None:
    """Holds a lease and, until it is told to begin, no work."""
    up(child)
    grant(child)
    while not told("begin"):
        child.wait(0.01)
    work(child)


def crashes(child: Child) -> None:
    """Does not come up until the test heals it."""
    note("crashing", name=child.name)
    if not told("heal"):
        raise RuntimeError("the app is broken")
    waits(child)


def leaves_at_once(child: Child) -> None:
    note("leaving", name=child.name)


def crashes_after_work(child: Child) -> None:
    up(child)
    begin(child)
    end(child)
    while not told("crash"):
        time.sleep(0.01)
    os._exit(5)


def crashes_idle(child: Child) -> None:
    """Comes up, does nothing of use and crashes."""
    up(child)
    while not told("crash"):
        time.sleep(0.01)
    os._exit(5)


def exits(child: Child) -> int:
    """Leaves with a code once the test says so."""
    up(child)
    while not told("exit"):
        time.sleep(0.01)
    return options.code


def dies_of_signal(child: Child) -> None:
    """As exits(), but by a signal of that number."""
    up(child)
    while not told("exit"):
        time.sleep(0.01)
    os.kill(os.getpid(), options.code)


def leaves_badly(child: Child) -> Any:
    """Returns what is no exit code."""
    up(child)
    return "no exit code"


def is_interrupted_at_exit(child: Child) -> None:
    """Leaves while an alarm that raises, as a task may have set, is about to go off."""
    up(child)
    begin(child)

    def ring(number: int, frame: object) -> None:
        raise ZeroDivisionError("an alarm from the task")

    class Slow(logging.Handler):
        def flush(self) -> None:
            time.sleep(0.5)

    signal.signal(signal.SIGALRM, ring)
    slow = Slow()
    logging.getLogger("slow").addHandler(slow)
    # Bites while the logs are flushed, when the role has long returned.
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    if child.slot.generation > 1:
        signal.setitimer(signal.ITIMER_REAL, 0)
        rest(child)


def has_daemon(child: Child) -> None:
    """Forks a child that holds every pipe, has a session of its own and outlives it."""
    up(child)
    if (pid := os.fork()) == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
    note("grandchild", grandchild=pid)
    rest(child)


def runs_programs(child: Child) -> None:
    """Waits for a program, as a task does: a shell that has started another in the
    background. The first child in the seat only."""
    up(child)
    begin(child)
    if child.slot.generation == 1:
        shell = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE)
        note("programs", programs=[shell.pid, int(shell.stdout.readline())])
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


def fills_stdout(child: Child) -> None:
    """Writes until nobody takes it any more."""
    up(child)
    note("filling")
    while True:
        os.write(1, b"x" * 4096)


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


def buries(child: Child) -> None:
    """The support role: notes each death. Acknowledges none while told to refuse."""
    up(child)
    child.worked()
    while not child.stopping:
        child.beat()
        bury()
        child.wait(options.patience / 3 if options.patience else 60)
    time.sleep(options.slow_end)
    bury()
    note("left", name=child.name)


def buries_with_a_lease(child: Child) -> None:
    grant(child)
    buries(child)


def ends_runs(child: Child) -> None:
    """As buries(), and asks each run of a first child to end, once told to: softly now,
    and hard half a second later. Of the others it names a run that is not theirs."""
    up(child)
    child.worked()
    while not told("end runs"):
        child.wait(0.02)
    now = clock.now()
    for slot in options.scoreboard.living():
        if slot.task_id:
            attempt = slot.attempt if slot.number == 1 else slot.attempt + 1
            slot.end_run(slot.task_id, attempt, soft=now, hard=now + clock.nanoseconds(0.5))
    note("asked", at_clock=now)
    buries(child)


def bury() -> None:
    for number, death in options.scoreboard.unread_deaths():
        note("death", number=number, **asdict(death), text=str(death), clean=death.clean)
        if not told("refuse"):
            options.scoreboard.acknowledge(number)


def stops_beating(child: Child) -> None:
    """A support role that hangs when told to."""
    up(child)
    child.worked()
    while not told("hang"):
        child.beat()
        bury()
        time.sleep(0.02)
    while child.slot.generation == 1:
        time.sleep(60)
    buries(child)


def hangs_at_end(child: Child) -> None:
    """A support role that does not leave."""
    up(child)
    while True:
        time.sleep(60)


def works_twice(child: Child) -> None:
    """Ends its run when told to, and begins the next at once."""
    up(child)
    begin(child)
    while not told("next"):
        time.sleep(0.001)
    end(child)
    begin(child)
    (options.directory / "begun again").touch()
    time.sleep(60)


def leaves_output(child: Child) -> None:
    """Has said something that is yet in a buffer when it leaves."""
    up(child)
    sys.stdout.write("last words")  # a line would be out at its end
    rest(child)


def crashes_unless_first(child: Child) -> None:
    (waits if child.number == 1 else crashes)(child)


def comes_up_once(child: Child) -> None:
    """As crashes(), but for the first one in its seat."""
    (waits if child.slot.generation == 1 else crashes)(child)


def dies_at_once(child: Child) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def works_once(child: Child) -> None:
    """As crashes_after_work(), but its successors do not come up."""
    (crashes_after_work if child.slot.generation == 1 else crashes)(child)


def crashes_unseen(child: Child) -> None:
    """The first one comes up and dies while the supervisor is frozen; no other comes up."""
    if child.slot.generation > 1:
        crashes(child)
    os.kill(child.supervisor_pid, signal.SIGSTOP)
    up(child)
    os._exit(5)


def raises_system_exit(child: Child) -> None:
    """As sys.exit() does, with nothing, a number or a text; its successors rest."""
    up(child)
    if child.slot.generation == 1:
        sys.exit([None, 7, "a text"][child.number - 1])
    rest(child)
