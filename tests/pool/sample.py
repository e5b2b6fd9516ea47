"""A pool of plain functions, for the tests to start, watch and break.

    python -m tests.pool.sample DIRECTORY keeper=buries worker=waits*2 [options]

A role is NAME=BEHAVIOUR[*COUNT], a behaviour one of the functions below. What the
children do is noted in DIRECTORY/notes.jsonl, what the pool says in DIRECTORY/log.
Tests talk to the children by files in DIRECTORY (``told``).
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import ctypes
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pool import Child, Role, Scoreboard, State, Supervisor, clock, kernel, supervisor

Behaviour = Callable[[Child], int | None]

PR_SET_CHILD_SUBREAPER = 36
#: What a role is, by its name; any other name is a plain role.
ROLES: dict[str, dict[str, Any]] = {
    "keeper": {"support": True},
    "worker": {"scalable": True, "oom_victim": True},
    "watcher": {"stops_pool": 9},
}

options = argparse.Namespace()


# Between the test and the children


def told(what: str) -> bool:
    return (options.directory / what).exists()


def note(what: str, **details: Any) -> None:
    line = {"what": what, "at": clock.now(), "pid": os.getpid(), **details}
    # One write of an unbuffered file: lines of many processes do not mix.
    with (options.directory / "notes.jsonl").open("ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")


def up(child: Child) -> None:
    time.sleep(options.boot)
    child.title()
    child.booted()
    note("up", name=child.name)


def begin(child: Child) -> None:
    """Say on the scoreboard that a task runs, in the order that the pool asks for."""
    slot, now = child.slot, clock.now()
    slot.grant(7000 + child.number, slot.generation, now + clock.nanoseconds(options.lease))
    slot.state = State.BUSY
    slot.since = now
    slot.hard_deadline = now + clock.nanoseconds(options.hard) if options.hard else 0
    slot.soft_deadline = now + clock.nanoseconds(options.soft) if options.soft else 0
    slot.attempt = slot.generation
    slot.label = "sample"
    slot.task_id = 100 + child.number
    child.worked()
    note("begun", name=child.name, hard=slot.hard_deadline, soft=slot.soft_deadline)


def end(child: Child) -> None:
    child.slot.task_id = 0
    child.slot.state = State.IDLE
    child.slot.done += 1
    note("finished", name=child.name)


def rest(child: Child) -> None:
    while not child.stopping:
        child.wait(60)
    note("left", name=child.name)


# What children do


def waits(child: Child) -> None:
    up(child)
    rest(child)


def works(child: Child) -> None:
    """Has one task, which ends when the test says so; looks at nothing meanwhile."""
    up(child)
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
        raise TimeoutError("an alarm from the task")

    class Slow(logging.Handler):
        def flush(self) -> None:
            time.sleep(0.5)

    signal.signal(signal.SIGALRM, ring)
    slow = Slow()
    logging.getLogger("slow").addHandler(slow)
    # Bites while the logs are flushed, when the role has long returned.
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    if child.slot.generation > 1:
        signal.setitimer(signal.ITIMER_REAL, 0)
        rest(child)


def has_grandchild(child: Child) -> None:
    """Forks a child of its own that holds every pipe and outlives it."""
    up(child)
    if (pid := os.fork()) == 0:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
    note("grandchild", grandchild=pid)
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


# What goes wrong around the supervisor


def fork_fails(real: Callable[[], int] = os.fork) -> None:
    """The first forks are refused, as when there are too many processes."""
    left = 3

    def fork() -> int:
        nonlocal left
        if left:
            left -= 1
            note("no fork")
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    os.fork = fork


def parent_dies_in_fork(real: Callable[[], int] = os.fork) -> None:
    """The supervisor is gone before its child gets to run."""
    supervisor_pid = os.getpid()

    def fork() -> int:
        if pid := real():
            os.kill(supervisor_pid, signal.SIGKILL)
            return pid
        while os.getppid() == supervisor_pid:
            time.sleep(0.001)
        note("orphan")
        return 0

    os.fork = fork


def no_parent_death_signal() -> None:
    kernel.LINUX = False


def subreaper() -> None:
    """Orphans among our descendants become our children, as for PID 1."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def unflushed_output() -> None:
    sys.stdout.write("said once\n")


def exit_handler() -> None:
    atexit.register(note, "exit handler")


SETTINGS = (
    fork_fails,
    parent_dies_in_fork,
    no_parent_death_signal,
    subreaper,
    unflushed_output,
    exit_handler,
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("roles", nargs="+")
    parser.add_argument("--setting", action="append", default=[])
    parser.add_argument("--drain", type=float, default=20.0)
    parser.add_argument("--closing", type=float)
    parser.add_argument("--capacity", type=int, default=12)
    parser.add_argument("--boot", type=float, default=0.0, help="how long start-up takes")
    parser.add_argument("--slow-end", type=float, default=0.0)
    parser.add_argument("--lease", type=float, default=60.0)
    parser.add_argument("--hard", type=float)
    parser.add_argument("--soft", type=float)
    parser.add_argument("--patience", type=float)
    parser.add_argument("--code", type=int, default=0)
    parser.add_argument("--cgroup", type=Path)
    parser.parse_args(namespace=options)

    if options.cgroup:
        (options.cgroup / "cgroup.procs").write_text("0")
    if options.capacity > 400:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logging.basicConfig(
        filename=options.directory / "log",
        level=logging.DEBUG,
        format="%(process)d %(levelname)s %(message)s",
    )
    if options.closing is not None:
        supervisor.CLOSING_TIME = options.closing
    options.scoreboard = Scoreboard(options.capacity)
    pool = Supervisor(
        [_role(text) for text in options.roles],
        options.scoreboard,
        drain_timeout=options.drain,
        title="sample",
    )
    for setting in SETTINGS:
        if setting.__name__ in options.setting:
            setting()
    with contextlib.suppress(KeyboardInterrupt):
        code = pool.run()
        note("stopped", code=code)
        return code
    return 99


def _role(text: str) -> Role:
    name, _, rest = text.partition("=")
    behaviour, _, count = rest.partition("*")
    return Role(
        name=name,
        run=globals()[behaviour],
        count=int(count or 1),
        patience=options.patience if name == "keeper" else None,
        **ROLES.get(name, {}),
    )


if __name__ == "__main__":
    sys.exit(main())
