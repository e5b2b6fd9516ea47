"""A log that nobody reads, or whose handlers raise, never stops the supervisor."""

import fcntl
import logging
import os
import signal
import sys
import time

import pytest

from pool import clock
from pool import log as supervisor_log
from pool.blocking_call import Stuck, patience
from pool.log import PATIENCE, PAUSE, SupervisorLog
from pool.supervisor import TICK
from tests.conftest import SLACK


@pytest.fixture(autouse=True)
def log_that_waits():
    """The log is here as it is in a pool."""


@pytest.fixture
def full_pipe():
    """Reader and writer of a pipe that takes nothing more."""
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * size)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_deadlines_hold_while_nobody_reads_standard_error(start, full_pipe):
    reader, writer = full_pipe
    pool = start(
        "keeper=notes_deaths", "worker=spins*2", "--hard", 1, "--setting", "logs_to_stderr",
        stdout=writer,
    )  # fmt: skip
    deaths = pool.wait_note("death", count=2)
    late = (deaths[0]["at"] - pool.notes("begins")[0]["hard"]) / clock.SECOND
    assert late < TICK + PATIENCE + SLACK
    os.read(reader, 4096)
    pool.wait_note("begun", count=3)
    pool.wait_log("lines of this log were lost")
    pool.signal(signal.SIGQUIT)
    assert pool.wait_exit() == 0


def test_child_leaves_though_nobody_takes_its_last_words(start, full_pipe):
    pool = start(
        "worker=leaves_output*2", "--setting", "no_time_for_last_lines", stdout=full_pipe[1]
    )
    began = time.monotonic()
    assert pool.stop() == 0
    assert time.monotonic() - began < SLACK
    assert len(pool.notes("left")) == 2


def test_handler_that_raises_ends_nobody_and_is_named_once(start):
    pool = start("keeper=notes_deaths", "worker=waits*2", "--setting", "log_raises")
    first = pool.wait_up("worker 1")
    os.kill(first, signal.SIGKILL)
    pool.wait_up("worker 1", other_than=first)
    assert pool.stop() == 0
    assert pool.log().count("ZeroDivisionError('a handler of the site')") == 1
    pool.wait_log("worker 1 (pid")


class Slow(logging.Handler):
    """Takes lines, or blocks in the kernel."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self.blocks = False

    def emit(self, record):
        try:
            if self.blocks:
                time.sleep(60)
            self.lines.append((record.levelname, record.getMessage(), record.funcName))
        except Exception:
            self.handleError(record)


@pytest.fixture
def slow():
    handler = Slow()
    logger = logging.getLogger("tests.slow")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def now(monkeypatch):
    """The clock of the pool, set by hand: now[0] is in seconds."""
    at = [1000]
    monkeypatch.setattr(clock, "now", lambda: at[0] * clock.SECOND)
    return at


@pytest.fixture
def seconds(monkeypatch):
    """How long a line may take: enough for one that does not block, however slow the machine is."""
    monkeypatch.setattr(supervisor_log, "PATIENCE", 2.0)
    return supervisor_log.PATIENCE


def test_lines_are_lost_for_a_while_after_one_that_took_too_long(slow, now, seconds):
    log = SupervisorLog(logging.getLogger("tests.slow"))
    log.info("one")
    slow.blocks = True
    began = time.monotonic()
    for _ in range(100):
        log.info("lost")
    assert time.monotonic() - began < 20 * seconds
    slow.blocks = False
    log.info("still lost")
    now[0] += PAUSE + 1
    log.info("two %d", 2)
    log.debug("not enabled")
    here = sys._getframe().f_code.co_name
    lost = ("ERROR", f"101 lines of this log were lost: nobody took them within {seconds:g} s")
    assert [line[:2] for line in slow.lines] == [("INFO", "one"), lost, ("INFO", "two 2")]
    assert slow.lines[0][2] == here


@pytest.mark.usefixtures("seconds")
def test_losses_are_counted_on_while_the_log_stays_stuck(slow, now):
    log = SupervisorLog(logging.getLogger("tests.slow"))
    slow.blocks = True
    for _ in range(3):
        log.info("lost")
        now[0] += PAUSE + 1
    slow.blocks = False
    log.info("at last")
    assert [line[1][:7] for line in slow.lines] == ["3 lines", "at last"]


def test_patience_ends_a_system_call_and_leaves_the_alarm_as_it_was():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    timer = signal.setitimer(signal.ITIMER_REAL, 600)
    reader, writer = os.pipe()
    try:
        with pytest.raises(Stuck, match=r"not done within 0\.05 s"), patience(0.05):
            os.read(reader, 1)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 300 < left <= 600
        signal.raise_signal(signal.SIGALRM)
        assert rung == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
        os.close(reader)
        os.close(writer)


def test_patience_is_not_swallowed_once_and_for_all():
    def stubborn():
        for _ in range(2):
            try:
                time.sleep(60)
            except BaseException:
                continue
        time.sleep(60)

    with pytest.raises(Stuck), patience(0.05):
        stubborn()


def test_a_process_that_was_halted_has_time_to_go_on():
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with patience(2):
                os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(0.01)  # Python calls the handler of the alarm
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    time.sleep(2.5)  # beyond its patience
    os.kill(pid, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
