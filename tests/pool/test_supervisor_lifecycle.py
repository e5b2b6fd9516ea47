"""A pool's way from the first fork to the last exit."""

import os
import resource
import signal
import subprocess
import time

import psutil
import pytest

from tests.conftest import SLACK, wait_until
from tests.pool.conftest import gone


def test_processes_are_called_by_their_roles(start):
    pool = start("keeper=notes_deaths", "worker=waits*2", "helper=waits")
    assert set(pool.children()) == {"keeper", "worker 1", "worker 2", "helper"}
    assert " ".join(psutil.Process(pool.pid).cmdline()).strip() == "sample: supervisor"


def test_idle_pool_uses_next_to_no_cpu(start):
    pool = start("keeper=notes_deaths", "worker=waits*4")
    supervisor = psutil.Process(pool.pid)

    def used() -> float:
        times = [process.cpu_times() for process in (supervisor, *supervisor.children())]
        return sum(spent.user + spent.system for spent in times)

    def idle() -> bool:
        before = used()
        time.sleep(2)
        return used() - before < 0.1  # 5 % of a core: more than it takes where cores are shared

    wait_until(idle, what="what comes after the start is over")


@pytest.fixture
def _usual_descriptors():
    """As many open files as a process may have by default, for those that a test starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("_usual_descriptors")
def test_pool_larger_than_select_can_watch(start):
    """Two descriptors a slot: select() knows none above 1,023, nor are more allowed by default."""
    pool = start("worker=waits", "--capacity", 600)
    pool.signal(signal.SIGTTIN)
    pool.wait_up("worker 2")
    assert pool.stop() == 0


def test_term_lets_the_work_in_hand_finish(start):
    pool = start("keeper=notes_deaths", "worker=works*2")
    pool.wait_note("begun", count=2)
    pool.signal(signal.SIGTERM)
    pool.wait_log("stopping: up to 600 s")
    assert not pool.notes("left")
    pool.tell("finish")
    assert pool.wait_exit() == 0
    assert len(pool.notes("finished")) == 2
    assert all(death["clean"] for death in pool.notes("death"))


@pytest.mark.parametrize("worker", ["waits", "waits_deaf"])
def test_idle_workers_leave_at_once_on_term(start, worker):
    """Also one that does not see the signal: where it comes right before a sleep begins, its
    handler runs when that is over."""
    pool = start("keeper=notes_deaths", f"worker={worker}*3")
    began = time.monotonic()
    assert pool.stop() == 0
    assert time.monotonic() - began < SLACK
    assert len(pool.notes("left")) == 4


def test_work_beyond_the_drain_time_is_killed_as_stopped(start):
    pool = start("keeper=notes_deaths", "worker=works", "worker=works", "--drain", 0.5)
    pool.wait_note("begun", count=2)
    assert pool.stop() == 0
    (death, _) = pool.notes("death")
    assert (death["text"], death["code"]) == ("stopped while at work", signal.SIGKILL)


def test_worker_that_is_deaf_to_term_is_killed_when_the_drain_time_is_up(start):
    pool = start("keeper=notes_deaths", "worker=is_deaf", "--drain", 0.5)
    pool.wait_note("deaf")
    assert pool.stop() == 0
    assert [death["text"] for death in pool.notes("death")] == ["stopped while at work"]


def test_frozen_worker_does_not_hold_up_the_end(start):
    pool = start("keeper=notes_deaths", "worker=waits", "--drain", 0.5)
    os.kill(pool.wait_up("worker 1"), signal.SIGSTOP)
    assert pool.stop() == 0
    (death,) = pool.notes("death", slot=1)
    assert death["text"] == "stopped while at work"


def test_worker_whose_task_swallowed_the_term_leaves_after_it(start):
    pool = start("keeper=notes_deaths", "worker=loses_signals")
    pool.wait_note("deaf")
    pool.signal(signal.SIGTERM)
    pool.wait_log("stopping")
    # The round that says so sends the signal as well; the next one says this.
    pool.signal(signal.SIGUSR1)
    pool.wait_log("runs sample #101")
    pool.tell("finish")
    assert pool.wait_exit() == 0
    assert pool.notes("left", name="worker 1")


def test_support_role_outlives_the_workers_and_sees_every_death(start):
    pool = start("keeper=notes_deaths", "worker=works*3")
    os.kill(pool.wait_up("worker 3"), signal.SIGSTOP)
    pool.signal(signal.SIGTERM)
    pool.wait_log("stopping")
    os.kill(pool.wait_up("worker 2"), signal.SIGKILL)
    pool.wait_note("death", text="killed by SIGKILL")
    pool.tell("finish")
    pool.wait_note("death", text="exit code 0")
    pool.signal(signal.SIGQUIT)  # the drain time is up
    assert pool.wait_exit() == 0
    *_, last = pool.notes()
    assert last["what"] == "stopped"
    assert sorted(death["text"] for death in pool.notes("death")) == [
        "exit code 0",
        "killed by SIGKILL",
        "stopped while at work",
    ]
    (keeper_left,) = pool.notes("left", name="keeper")
    assert all(death["at"] < keeper_left["at"] for death in pool.notes("death"))


def test_support_role_is_replaced_while_draining(start):
    pool = start("keeper=notes_deaths", "worker=works*2")
    pool.signal(signal.SIGTERM)
    pool.wait_log("stopping")
    first = pool.wait_up("keeper")
    os.kill(first, signal.SIGKILL)
    pool.wait_up("keeper", other_than=first)
    pool.tell("finish")
    assert pool.wait_exit() == 0
    seen = {death["slot"] for death in pool.notes("death")}
    assert seen == {0, 1, 2}


def test_support_role_killed_at_the_very_end_is_replaced_to_see_the_last_deaths(start):
    pool = start("keeper=notes_deaths", "worker=waits*2", "--slow-end", 600, "--closing", 600)
    keeper = pool.wait_up("keeper")
    pool.signal(signal.SIGTERM)
    pool.wait_note("left", count=2)
    os.kill(keeper, signal.SIGKILL)
    assert pool.wait_exit() == 0
    assert {death["slot"] for death in pool.notes("death")} == {0, 1, 2}


def test_workers_are_not_replaced_while_draining(start):
    pool = start("keeper=notes_deaths", "worker=works*2")
    pool.signal(signal.SIGTERM)
    pool.wait_log("stopping")
    os.kill(pool.wait_up("worker 1"), signal.SIGKILL)
    pool.wait_note("death")
    pool.tell("finish")
    assert pool.wait_exit() == 0
    assert len(pool.notes("up", name="worker 1")) == 1


def test_support_role_that_hangs_at_the_end_is_killed(start):
    pool = start("keeper=hangs_at_end", "worker=waits", "--closing", 0.5)
    assert pool.stop() == 0


def test_term_during_start_up_stops_as_soon_as_it_is_over(start):
    pool = start("keeper=notes_deaths", "worker=waits*2", "--boot", 0.5, up=False)
    wait_until(lambda: len(pool.children()) == 3)
    assert pool.stop() == 0
    assert pool.notes("left", name="worker 1")
    assert len(pool.notes("up")) == 3


def test_role_with_a_stop_code_stops_the_pool_with_it(start):
    pool = start("keeper=notes_deaths", "worker=waits", "watcher=exits", "--code", 9)
    pool.tell("exit")
    assert pool.wait_exit() == 9
    assert pool.notes("left", name="worker 1")


def test_role_with_a_stop_code_is_replaced_when_it_leaves_with_another(start):
    pool = start("worker=waits", "watcher=exits", "--code", 8)
    first = pool.wait_up("watcher")
    pool.tell("exit")
    pool.wait_up("watcher", other_than=first)
    assert pool.stop() == 0


def test_signal_with_the_number_of_a_stop_code_does_not_stop_the_pool(start):
    pool = start("worker=waits", "watcher=dies_of_signal", "--code", signal.SIGKILL)
    first = pool.wait_up("watcher")
    pool.tell("exit")
    pool.wait_up("watcher", other_than=first)
    assert pool.stop() == 0


def test_what_was_printed_before_the_fork_is_not_said_again_by_each_child(start):
    pool = start("worker=waits*3", "--setting", "unflushed_output")
    assert pool.stop() == 0
    assert pool.output.read_text() == "said once\n"


def test_exit_handlers_run_in_the_supervisor_alone(start):
    pool = start("worker=waits*2", "--setting", "exit_handler")
    assert pool.stop() == 0
    assert [found["pid"] for found in pool.notes("exit handler")] == [pool.process.pid]


def test_pool_works_with_its_standard_streams_closed(start):
    closed = ["sh", "-c", '"$@" <&- >&- 2>&-; exit $?', "sh"]
    pool = start("keeper=notes_deaths", "worker=waits*2", before=closed)
    first = pool.wait_up("worker 1")
    os.kill(first, signal.SIGKILL)
    pool.wait_up("worker 1", other_than=first)
    assert pool.stop() == 0


def test_worker_that_blocks_on_a_full_pipe_hangs_nobody_else(start):
    reader, writer = os.pipe()
    try:
        pool = start("keeper=notes_deaths", "worker=fills_stdout", "--drain", 0.5, stdout=writer)
        first = pool.wait_up("worker 1")
        pool.wait_note("filling")
        os.kill(first, signal.SIGKILL)
        pool.wait_up("worker 1", other_than=first)
        assert pool.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("behavior", ["spins", "holds_gil", "works", "is_deaf"])
@pytest.mark.parametrize("setting", ["", "no_parent_death_signal"])
def test_no_child_outlives_a_killed_supervisor(start, behavior, setting):
    if setting and behavior == "holds_gil":
        pytest.skip("without the kernel's help it is a thread that watches, which needs the GIL")
    pool = start("keeper=notes_deaths", f"worker={behavior}*2", "--setting", setting)
    pool.wait_note("begun", count=2)
    children = pool.children().values()
    assert len(children) == 3
    pool.signal(signal.SIGKILL)
    wait_until(lambda: gone(*children))


def test_child_whose_parent_died_before_it_could_ask_for_the_signal_ends(start):
    pool = start("worker=waits", "--setting", "parent_dies_in_fork", up=False)
    (orphan,) = pool.wait_note("orphan")
    wait_until(lambda: gone(orphan["pid"]))
    assert not pool.notes("up")


def test_pool_as_pid_1_stops_on_term_and_reaps_what_it_inherits(start):
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no right to make a PID namespace")
    pool = start("keeper=notes_deaths", "worker=leaves_orphans*2", before=unshare)
    for number in (1, 2):
        pool.wait_note("up", name=f"worker {number}", count=2)
    supervisor = psutil.Process(pool.pid)

    def is_zombie(process: psutil.Process) -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:  # it was reaped since it was listed
            return False

    def no_orphans() -> bool:
        # 3 children, and sleepers that the living ones may yet reap themselves.
        return len(supervisor.children()) == 3 and not any(map(is_zombie, supervisor.children()))

    wait_until(no_orphans)
    supervisor.terminate()
    assert pool.wait_exit() == 0
    assert pool.notes("stopped")[0]["pid"] == 1


def test_inherited_orphans_are_reaped(start):
    pool = start("worker=leaves_orphans*2", "--setting", "subreaper")
    for number in (1, 2):
        pool.wait_note("up", name=f"worker {number}", count=2)
    supervisor = psutil.Process(pool.pid)
    wait_until(lambda: len(supervisor.children()) == 2)
    assert pool.stop() == 0
