"""What an operator's signals do to a pool that runs."""

import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from pool import clock
from pool.supervisor import TICK
from tests.conftest import SLACK, wait_until


def test_ttin_adds_a_worker_until_there_is_no_room(start):
    pool = start("keeper=notes_deaths", "worker=waits*2", "--capacity", 4)
    pool.signal(signal.SIGTTIN)
    pool.wait_log("one worker more: 3")
    pool.wait_up("worker 3")
    pool.signal(signal.SIGTTIN)
    pool.wait_log("no room for another worker: 3 is the most here")
    assert len(pool.children("worker")) == 3


def test_ttou_removes_a_worker_but_never_the_last(start):
    pool = start("keeper=notes_deaths", "worker=waits*2")
    pool.signal(signal.SIGTTOU)
    pool.wait_log("one worker less: 1")
    (left,) = pool.wait_note("left", name="worker 2")
    pool.wait_log(f"worker 2 (pid {left['pid']}) left")  # its seat is free
    pool.signal(signal.SIGTTOU)
    pool.wait_log("not removing the last worker; TERM stops the pool")
    pool.signal(signal.SIGTTIN)
    pool.wait_up("worker 2", other_than=left["pid"])
    assert set(pool.children()) == {"keeper", "worker 1", "worker 2"}
    assert len(pool.notes("left")) == 1


def test_ttou_lets_the_work_in_hand_finish(start):
    pool = start("keeper=notes_deaths", "worker=works*2")
    pool.wait_note("begun", count=2)
    pool.signal(signal.SIGTTOU)
    pool.wait_log("one worker less: 1")
    # A worker that is to leave still has its slot and its number.
    pool.signal(signal.SIGTTIN)
    pool.wait_up("worker 3")
    assert len({up["slot"] for up in pool.notes("up")}) == 4
    assert not pool.notes("finished")
    pool.tell("finish")
    pool.wait_note("left", name="worker 2")
    wait_until(lambda: set(pool.children("worker")) == {"worker 1", "worker 3"})


def test_ttou_rather_takes_a_worker_without_work(start):
    pool = start("keeper=notes_deaths", "worker=waits", "worker=works")
    (busy,) = pool.wait_note("begun")
    pool.signal(signal.SIGTTOU)
    (left,) = pool.wait_note("left")
    assert left["pid"] != busy["pid"]


def test_ttou_takes_away_a_worker_that_is_dead_and_waits_for_its_turn(start):
    pool = start("keeper=notes_deaths", "worker=waits", "worker=crashes", up=False)
    pool.wait_up("worker 1")
    pool.wait_log("next try in 0.4 s")
    pool.signal(signal.SIGTTOU)
    pool.wait_log("one worker less: 1")
    supervisor = psutil.Process(pool.pid)
    wait_until(lambda: len(supervisor.children()) == 2, what="a try that had begun is over")
    tries = len(pool.notes("crashing"))
    pool.tell("heal")
    pool.signal(signal.SIGTTIN)
    pool.wait_log("one worker more: 2")
    pool.wait_up("worker 2")
    assert len(pool.notes("crashing")) == tries


def test_hup_replaces_one_worker_after_another(start):
    pool = start("keeper=notes_deaths", "worker=waits*3", "--boot", 0.1)
    old = pool.children("worker")
    pool.signal(signal.SIGHUP)
    pool.wait_log("replacing 3 workers one by one")
    for number in (1, 2, 3):
        pool.wait_up(f"worker {number}", other_than=old[f"worker {number}"])
    wait_until(lambda: len(pool.children()) == 4)
    # Each is up again before the next one leaves.
    notes = sorted(pool.notes("up") + pool.notes("left"), key=lambda n: n.get("ready", n["at"]))
    order = [(n["what"], n["name"]) for n in notes][4:]
    assert order == [(what, f"worker {number}") for number in (1, 2, 3) for what in ("left", "up")]
    assert len(pool.notes("up", name="keeper")) == 1


def test_hup_waits_for_the_work_in_hand(start):
    pool = start("keeper=notes_deaths", "worker=works*2")
    pool.wait_note("begun", count=2)
    pool.signal(signal.SIGHUP)
    pool.wait_log("replacing 2 workers")
    pool.signal(signal.SIGUSR1)
    pool.wait_log("runs sample #102")
    assert not pool.notes("finished")
    pool.tell("finish")
    pool.wait_note("up", name="worker 2", count=2)
    assert {death["text"] for death in pool.wait_note("death", count=2)} == {"exit code 0"}


def test_hup_during_hup_replaces_each_worker_of_then(start):
    pool = start("keeper=notes_deaths", "worker=comes_up_when_told*2")
    pool.signal(signal.SIGHUP)
    pool.wait_note("boots", name="worker 1")
    pool.signal(signal.SIGHUP)
    wait_until(lambda: pool.log().count("replacing 2 workers") == 2)
    pool.tell("come up")
    # Worker 1's successor, about to be up, is replaced as well; worker 2 only once, as the
    # second HUP takes the place of the first.
    pool.wait_note("up", name="worker 2", count=2)
    wait_until(lambda: len(pool.children("worker")) == 2)
    assert len(pool.notes("up", name="worker 1")) == 3
    assert pool.stop() == 0
    assert len(pool.notes("up", name="worker 2")) == 2


def test_hup_goes_no_further_when_the_replacement_does_not_come_up(start):
    pool = start("keeper=notes_deaths", "worker=comes_up_once*3")
    old = pool.children("worker")
    pool.signal(signal.SIGHUP)
    pool.wait_log("worker 1 keeps dying at start")
    assert {name: pool.children()[name] for name in ("worker 2", "worker 3")} == {
        name: old[name] for name in ("worker 2", "worker 3")
    }
    pool.tell("heal")
    pool.wait_note("up", name="worker 3", count=2)


def test_usr1_logs_the_scoreboard(start):
    pool = start("keeper=notes_deaths", "worker=works")
    pool.wait_note("begun")
    pool.signal(signal.SIGUSR1)
    worker, keeper = pool.children()["worker 1"], pool.children()["keeper"]
    pool.wait_log(f"slot 0 pid {keeper} idle done 0 retried 0 failed 0")
    line = (
        rf"slot 1 pid {worker} busy runs sample #101 for ([\d.]+) s "
        r"lease 7001 ends in ([\d.]+) s done 0 retried 0 failed 0"
    )
    (found,) = wait_until(lambda: re.findall(line, pool.log()))
    assert sum(map(float, found)) == pytest.approx(600, abs=0.2)  # as said to a tenth each


def test_second_int_stops_now(start):
    pool = start("keeper=notes_deaths", "worker=works")
    pool.wait_note("begun")
    pool.signal(signal.SIGINT)
    pool.wait_log("stopping: up to 600 s")
    pool.signal(signal.SIGINT)
    assert pool.wait_exit() == 0
    assert [death["text"] for death in pool.notes("death", slot=1)] == ["stopped while at work"]
    assert pool.notes("left", name="keeper")


def test_ctrl_c_of_the_terminal_reaches_the_children_too_and_stops_none_of_them(start):
    pool = start("keeper=notes_deaths", "worker=works")
    pool.wait_note("begun")
    status = Path(f"/proc/{pool.wait_up('worker 1')}/status").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU):
        assert ignored & 1 << (number - 1), number.name
    os.killpg(pool.pid, signal.SIGINT)
    pool.wait_log("stopping: up to 600 s")
    pool.tell("finish")
    assert pool.wait_exit() == 0
    assert pool.notes("finished")
    assert pool.log().count("stopping") == 1


def test_a_signal_on_the_last_yards_does_not_change_the_exit_code(start):
    """Python puts signals back to their defaults before its process is gone."""
    for _ in range(5):
        pool = start("keeper=notes_deaths", "worker=works")
        pool.signal(signal.SIGTERM)
        pool.tell("finish")
        pool.wait_log("pool stopped")
        while pool.process.poll() is None:
            pool.signal(signal.SIGTERM)
        assert pool.process.returncode == 0


@pytest.mark.parametrize("before", [None, signal.SIGTERM])
def test_quit_stops_now(start, before):
    pool = start("keeper=notes_deaths", "worker=is_deaf")
    pool.wait_note("deaf")
    if before:
        pool.signal(before)
        pool.wait_log("stopping")
    pool.signal(signal.SIGQUIT)
    assert pool.wait_exit() == 0
    assert [death["text"] for death in pool.notes("death", slot=1)] == ["stopped while at work"]


def test_signals_that_change_the_pool_do_nothing_while_it_stops(start):
    pool = start("keeper=notes_deaths", "worker=works*2")
    pool.wait_note("begun", count=2)
    pool.signal(signal.SIGTERM)
    pool.wait_log("stopping")
    for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP):
        pool.signal(number)
    pool.signal(signal.SIGUSR1)
    pool.wait_log("runs sample #102")
    pool.tell("finish")
    assert pool.wait_exit() == 0
    assert len(pool.notes("up")) == 3
    assert "worker more" not in pool.log()
    assert "worker less" not in pool.log()
    assert "replacing" not in pool.log()


def test_deadlines_and_term_come_through_a_flood_of_signals(start):
    pool = start(
        "keeper=notes_deaths", "worker=spins", "--hard", 0.5, "--setting", "signals_come_in_floods"
    )
    (begun,) = pool.wait_note("begun")
    pool.signal(signal.SIGUSR1)
    death, *_ = pool.wait_note("death")
    assert (death["at"] - begun["hard"]) / clock.SECOND < TICK + SLACK
    wait_until(lambda: pool.log().count("slot 1") > 100, what="a flood")
    began = time.monotonic()
    pool.signal(signal.SIGQUIT)
    assert pool.wait_exit() == 0
    assert time.monotonic() - began < SLACK


def test_each_ttin_of_several_at_once_counts(start):
    pool = start("worker=waits", "--setting", "signals_come_in_floods")
    pool.signal(signal.SIGHUP)
    pool.wait_log("one worker more: 4")
    pool.wait_up("worker 4")


def test_hundreds_of_signals_change_nothing(start):
    pool = start("keeper=notes_deaths", "worker=waits*2")
    for _ in range(500):
        pool.signal(signal.SIGUSR1)
        pool.signal(signal.SIGCHLD)
    first = pool.wait_up("worker 1")
    os.kill(first, signal.SIGKILL)
    pool.wait_up("worker 1", other_than=first)
    assert pool.stop() == 0
    assert len(pool.notes("up")) == 4


def test_children_that_die_together_are_all_seen(start):
    """SIGCHLD coalesces."""
    pool = start("keeper=notes_deaths", "worker=waits*8")
    supervisor, workers = psutil.Process(pool.pid), list(pool.children("worker").values())
    supervisor.suspend()
    wait_until(lambda: supervisor.status() == psutil.STATUS_STOPPED)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(psutil.Process(pid).status() == "zombie" for pid in workers))
    supervisor.resume()
    deaths = pool.wait_note("death", count=8)
    assert {death["pid"] for death in deaths} == set(workers)
    in_one_round = pool.log().partition(" died: ")[2].partition(" started, ")[0]
    assert in_one_round.count(" died: ") == 8 - 1
    for number in range(1, 9):
        pool.wait_note("up", name=f"worker {number}", count=2)
