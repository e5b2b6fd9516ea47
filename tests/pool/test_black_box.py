"""The black box of a child: what it says after each kind of death, and how long it is kept."""

import dataclasses
import itertools
import os
import signal

import pytest

from pool import Cause, Death, Scoreboard, clock
from pool.black_box import KEPT, ROOM, STACK, Box, Sample, shortened
from pool.last_look import PATIENCE
from pool.memory_log import ROOM as SAMPLES
from pool.supervisor import TICK
from tests.conftest import SLACK, wait_until

DEATH = Death(0, 4242, 7, 100, 2, Cause.SIGNAL, 11, 5)
BOX = Box("shop.send", "Stack", (Sample(2.0, 100), Sample(1.0, 300)))


def record(board, number, box):
    board.record(dataclasses.replace(DEATH, pid=number), box)


def test_the_box_of_each_of_the_last_deaths_is_kept():
    board = Scoreboard(1)
    assert board.box(0) == Box()
    for number in range(KEPT + 5):
        record(board, number, BOX._replace(label=f"task {number}"))
    assert [board.box(number).label for number in range(KEPT + 5)] == [
        *[""] * 5,
        *[f"task {number}" for number in range(5, KEPT + 5)],
    ]
    assert board.box(KEPT)[1:] == BOX[1:]
    board.record(DEATH)
    assert board.box(KEPT + 5) == Box()


def test_the_largest_box_has_room():
    stack = shortened("\\" * 100 + "\n" + '  File "x", line 1 in y\n' * 10_000)
    assert STACK - 100 < len(stack.encode()) <= STACK
    memory = tuple(Sample(60.0 - second, 10**9) for second in range(SAMPLES))
    largest = Box("\N{SNOWMAN}" * 120, stack, memory)
    assert len(largest.packed()) < ROOM
    assert Box.unpacked(largest.packed()) == largest


def test_of_many_threads_the_one_that_crashed_comes_first():
    text = (
        "Stack (most recent call first):\n  File 'earlier'\n"
        "Fatal Python error: Segmentation fault\n\n"
        "Thread 0x1 (most recent call first):\n  File 'a'\n\n"
        "Current thread 0x2 (most recent call first):\n  File 'b'\n\n"
        "Extension modules: x (total: 1)\n"
    )
    assert shortened(text) == (
        "Fatal Python error: Segmentation fault\n\n"
        "Current thread 0x2 (most recent call first):\n  File 'b'\n\n"
        "Thread 0x1 (most recent call first):\n  File 'a'\n\n"
        "Extension modules: x (total: 1)"
    )
    assert shortened("") == ""


# Real pools

PATIENT = "--setting", "waits_long_for_stacks"


def test_a_crash_says_where(start):
    pool = start("keeper=notes_deaths", "worker=crashes_in_c")
    death, *_ = pool.wait_note("death")
    assert death["text"] == "killed by SIGSEGV"
    assert death["box"]["label"] == "sample"
    assert "in crashes_in_c" in death["box"]["stack"]
    assert death["box"]["stack"].startswith("Fatal Python error: Segmentation fault")
    # The log has it too, for a pool whose database is away.
    pool.wait_log("in crashes_in_c")


@pytest.mark.parametrize("how", ["spins", "holds_gil", "is_deaf"])
def test_a_kill_for_the_time_limit_says_where(start, how):
    pool = start("keeper=notes_deaths", f"worker={how}", "--hard", 0.5, *PATIENT)
    death, *_ = pool.wait_note("death")
    assert death["text"].startswith("time limit passed")
    assert f"in {how}" in death["box"]["stack"]


def test_a_lost_lease_and_a_hung_keeper_say_where(start):
    pool = start("keeper=stops_beating", "worker=works", "--lease", 4, "--patience", 2.0, *PATIENT)
    pool.tell("hang")
    for text, place in [
        ("no longer responsive", "in stops_beating"),
        ("lease ran out unrenewed", "in work"),
    ]:
        death, *_ = pool.wait_note("death", text=text)
        assert place in death["box"]["stack"]


def test_what_does_not_stop_in_time_says_where(start):
    pool = start("keeper=notes_deaths", "worker=works", "--drain", 0.3, *PATIENT)
    pool.wait_note("begun")
    pool.stop()
    death = next(death for death in pool.notes("death") if death["task_id"])
    assert death["text"] == "stopped while at work"
    assert "in work" in death["box"]["stack"]


def test_children_that_write_no_stack_delay_the_round_only_once(start):
    """They took the signal for themselves. All are killed within the patience for one."""
    count = 6
    pool = start("keeper=notes_deaths", f"worker=hides*{count}", "--hard", 0.5)
    deaths = pool.wait_note("death", count=count)[:count]
    begun = {note["pid"]: note for note in pool.notes("begins")}
    for death in deaths:
        assert death["text"].startswith("time limit passed")
        assert death["box"]["stack"] == ""
        late = death["at"] - begun[death["pid"]]["hard"]
        assert late < clock.nanoseconds(TICK + PATIENCE + SLACK)


def test_growth_is_sampled_and_says_where_though_the_kill_comes_from_outside(start):
    pool = start("keeper=notes_deaths", "worker=grows*2")
    grown, other = pool.children("worker").values()
    least = 100 * 1024

    def seen() -> bool:
        return any(note["seen"] > least and note["asked"] for note in pool.notes("grew", pid=grown))

    wait_until(seen, what="it has been sampled and asked")
    os.kill(grown, signal.SIGKILL)
    (death,) = pool.wait_note("death", pid=grown)
    memory = death["box"]["memory"]
    assert memory[-1][1] - memory[0][1] > least
    assert all(earlier[0] > later[0] for earlier, later in itertools.pairwise(memory))
    assert "in grows" in death["box"]["stack"]
    assert other in pool.children("worker").values()


def test_the_next_child_of_the_seat_has_a_box_of_its_own(start):
    pool = start("keeper=notes_deaths", "worker=crashes_in_c")
    first, second = pool.wait_note("death", count=2)[:2]
    assert first["pid"] != second["pid"]
    assert second["box"]["stack"].count("in crashes_in_c") == 1
    pool.wait_note("up", name="worker 1", count=3)


def test_samples_are_a_second_apart_and_the_last_minute_is_kept():
    log = Scoreboard(2).slots[1].memory
    for quarter in range(400):
        log.add(quarter * clock.SECOND // 4, quarter)
    samples = log.samples()
    assert len(samples) == SAMPLES
    assert samples[-1] == (399 * clock.SECOND // 4, 399)
    apart = [later[0] - earlier[0] for earlier, later in itertools.pairwise(samples)]
    assert all(gap == clock.SECOND for gap in apart[:-1])
    log.clear()
    assert log.samples() == []
