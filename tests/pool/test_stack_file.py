"""The memory for a child's stack: what is written there, and what a task can do to it."""

import contextlib
import ctypes
import faulthandler
import os
import signal
import subprocess
import threading
import time

import pytest

from pool import clock, kernel, stack_file
from pool.stack_file import SIZE, Ask, StackFile, wait_for_stacks
from tests.conftest import SLACK, wait_until
from tests.pool.messes import lose_stacks


def spin(then):
    then()
    while True:
        pass


@contextlib.contextmanager
def child_that(does, file, *, watched=True):
    """A process with this stack file, once it is in ``does``."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if watched:
                file.start()
            does(lambda: os.write(writer, b"!"))
        finally:
            os._exit(0)
    try:
        assert os.read(reader, 1)
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


def ask(file, pid, what=Ask.OWN, seconds=SLACK):
    wait_for_stacks([(file, pid)], what, clock.now() + clock.nanoseconds(seconds))
    return file.read()


def test_a_process_that_is_busy_in_python_says_where_it_is():
    file = StackFile()
    with child_that(spin, file) as pid:
        first, second = ask(file, pid), ask(file, pid)
    assert "in spin" in first
    assert first.count("most recent call first") == second.count("most recent call first") == 1


def test_a_process_that_hangs_in_c_and_holds_the_interpreter_says_where_it_is():
    def hang(then):
        then()
        ctypes.PyDLL(None).pause()  # a signal ends it: the process goes on, and is killed here
        time.sleep(60)

    file = StackFile()
    with child_that(hang, file) as pid:
        assert "in hang" in ask(file, pid)


def test_before_a_kill_all_threads_are_told():
    def two_threads(then):
        threading.Thread(target=spin, args=(lambda: None,), daemon=True).start()
        spin(then)

    file = StackFile()
    with child_that(two_threads, file) as pid:
        own, everything = ask(file, pid), ask(file, pid, Ask.ALL)
    assert own.count("in spin") == 1
    assert everything.count("in spin") == 2


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE])
def test_a_process_that_crashes_says_where_it_was_and_dies_as_before(number):
    def crash(then):
        then()
        os.kill(os.getpid(), number)
        time.sleep(60)

    file = StackFile()
    with child_that(crash, file) as pid:
        _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == number
    text = file.read()
    assert text.startswith("Fatal Python error: ")
    assert "in crash" in text


def test_a_run_sees_nothing_of_being_asked():
    def sleep(then):
        began = time.monotonic()
        then()
        time.sleep(5)  # long enough to be asked meanwhile
        os._exit(int(not 5 <= time.monotonic() - began < 5 + SLACK))

    file = StackFile()
    with child_that(sleep, file) as pid:
        assert "in sleep" in ask(file, pid)
        assert os.waitpid(pid, 0)[1] == 0


def test_a_signal_that_a_task_took_is_had_back_between_runs():
    def lose(then):
        lose_stacks()
        file.watch()
        spin(then)

    file = StackFile()
    with child_that(lose, file) as pid:
        assert "in lose" in ask(file, pid)
        assert "in lose" in ask(file, pid, Ask.ALL)
        os.kill(pid, signal.SIGSEGV)
        os.waitpid(pid, 0)
    assert "Segmentation fault" in file.read()


def test_a_task_may_use_faulthandler_for_itself(tmp_path):
    def use(then):
        with (tmp_path / "own").open("w") as own:
            faulthandler.register(signal.SIGUSR2, file=own, all_threads=False)
            file.watch()  # as between two runs
            faulthandler.dump_traceback(file=own)
            os.kill(os.getpid(), signal.SIGUSR2)
            spin(then)

    file = StackFile()
    with child_that(use, file) as pid:
        assert "in spin" in ask(file, pid)
        assert (tmp_path / "own").read_text().count("in use") == 2


def test_no_process_can_write_more_than_there_is_room_for():
    def flood(then):
        while True:
            os.kill(os.getpid(), Ask.OWN)
            if file._length() == SIZE:
                then()

    file = StackFile()
    with child_that(flood, file):
        assert len(file.read()) == SIZE
    assert os.fstat(file._file).st_size == SIZE


def test_a_process_that_has_closed_the_file_is_not_asked():
    """Something else may be open under its number, and must not get the text."""

    def reopen(then):
        os.close(file._file)
        other = os.open(target, os.O_RDWR | os.O_CREAT)
        os.dup2(other, file._file)
        spin(then)

    file, target = StackFile(), os.path.join(os.environ.get("TMPDIR", "/tmp"), f"box-{os.getpid()}")
    try:
        with child_that(reopen, file) as pid:
            assert not file.ask(pid, Ask.OWN)
        assert os.path.getsize(target) == 0
    finally:
        os.unlink(target)


def test_a_process_that_does_not_expect_it_is_neither_asked_nor_waited_for():
    file = StackFile()
    with child_that(spin, file, watched=False) as pid:
        began = clock.now()
        assert ask(file, pid, Ask.ALL, seconds=30) == ""
        assert clock.now() - began < clock.nanoseconds(SLACK)
        # Both signals do nothing by default.
        for number in Ask:
            os.kill(pid, number)
        assert kernel.is_running(pid)


def test_nobody_waits_for_a_process_that_is_stopped_or_dead():
    file = StackFile()
    with child_that(spin, file) as pid:
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: not kernel.is_running(pid))
        assert not file.ask(pid, Ask.ALL)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert not file.ask(pid, Ask.ALL)


def test_a_process_that_does_not_write_is_waited_for_no_longer_than_asked(monkeypatch):
    file = StackFile()
    monkeypatch.setattr(stack_file.StackFile, "is_written", lambda *args: False)
    with child_that(spin, file) as pid:
        began = clock.now()
        ask(file, pid, seconds=0.05)
        assert clock.nanoseconds(0.05) <= clock.now() - began < clock.nanoseconds(0.05 + SLACK)


def test_what_a_task_forks_writes_nothing_there(start):
    """Its crash is not that of the worker."""
    pool = start("keeper=notes_deaths", "worker=forks_and_crashes")
    death, *_ = pool.wait_note("death")  # its successor may have done the same by now
    assert pool.notes("fork crashed", number=signal.SIGSEGV)
    assert death["box"]["stack"] == ""


def test_where_there_is_no_such_memory_it_is_a_file_without_a_name(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    file = StackFile()
    with child_that(spin, file) as pid:
        assert "in spin" in ask(file, pid)


def test_programs_do_not_inherit_it():
    file = StackFile()
    listed = subprocess.run(
        ["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False, check=True
    )
    assert "taskq-stack" not in listed.stdout
    assert file.read() == ""
