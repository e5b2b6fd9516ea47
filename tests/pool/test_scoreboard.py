"""The memory that the processes share."""

import dataclasses
import os
import select

import pytest

from pool import Cause, Contact, Death, Scoreboard, Slot, State, clock
from pool.scoreboard import DEATHS_KEPT
from pool.slot import WORDS


def death(number=1):
    return Death(
        slot=1, pid=4000 + number, lease=2**40 + number, task_id=2**62 + number, attempt=3,
        cause=Cause.SIGNAL, code=11, seconds=90,
    )  # fmt: skip


def pids(board):
    return [death.pid for _, death in board.unread_deaths()]


def test_each_field_of_each_slot_has_its_own_place():
    board = Scoreboard(3)
    assert len(WORDS) == 41
    for slot in board.slots:
        slot.label = f"label {slot.index}"
        for number, name in enumerate(WORDS):
            setattr(slot, name, -(2**63) + 1000 * slot.index + number)
    board.record(death())
    for slot in board.slots:
        assert slot.label == f"label {slot.index}"
        for number, name in enumerate(WORDS):
            assert getattr(slot, name) == -(2**63) + 1000 * slot.index + number


def test_what_a_child_writes_is_seen_outside_it():
    board = Scoreboard(1)
    if (pid := os.fork()) == 0:
        board.slots[0].done = 5
        board.slots[0].label = "from the child"
        os._exit(0)
    os.waitpid(pid, 0)
    assert (board.slots[0].done, board.slots[0].label) == (5, "from the child")


def test_living_slots_are_those_with_a_process():
    board = Scoreboard(3)
    board.slots[1].pid = 4242
    assert list(board.living()) == [board.slots[1]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("shop.tasks.send", "shop.tasks.send"),
        ("", ""),
        ("x" * 120, "x" * 120),
        ("x" * 500, "x" * 120),
        # 1 + 2 * 60 bytes: the last letter is cut in half.
        ("x" + "é" * 60, "x" + "é" * 59 + "\ufffd"),
    ],
)
def test_label_is_cut_where_its_place_ends(text, shown):
    slot = Scoreboard(1).slots[0]
    slot.label = "what was there before, longer or not"
    slot.label = text
    assert slot.label == shown


def test_lease_belongs_to_the_child_that_it_was_granted_to():
    slot = Scoreboard(1).slots[0]
    slot.generation = 4
    assert slot.held_lease() == 0
    slot.grant(77, 3, 1)  # to the one before, who is dead by now
    assert slot.held_lease() == 0
    slot.grant(78, 4, 5)
    assert (slot.held_lease(), slot.lease_deadline) == (78, 5)
    slot.generation = 5
    assert slot.held_lease() == 0


class Recorded(Slot):
    """A slot that remembers in which order its words were written."""

    def __init__(self):
        super().__init__()
        self.__dict__["written"] = []

    def __setattr__(self, word, value):
        self.written.append((word, value))
        super().__setattr__(word, value)


def test_grant_shows_no_lease_with_the_deadline_of_another():
    slot = Recorded()
    slot.generation = 2
    slot.grant(1, 2, 10)
    slot.written.clear()
    slot.grant(5, 2, 99)
    first, *between, last = slot.written
    assert (first, last) == (("lease_generation", 0), ("lease_generation", 2))
    assert set(between) == {("lease", 5), ("lease_deadline", 99)}


def test_who_sees_that_a_run_has_begun_sees_all_of_it():
    slot = Recorded()
    slot.begin(7, 2, "shop.send", 10, 20, 30)
    assert slot.written[-1] == ("task_id", 7)
    assert (slot.attempt, slot.since, slot.soft_deadline, slot.hard_deadline) == (2, 10, 20, 30)
    assert slot.label == "shop.send"


@pytest.mark.parametrize("state", State)
def test_lease_is_overdue_only_for_who_holds_work(state):
    slot = Scoreboard(1).slots[0]
    slot.state, slot.lease_deadline = state, 100
    assert slot.lease_overdue(100) == (state == State.BUSY)
    assert not slot.lease_overdue(99)


def test_wake_is_remembered_until_it_is_cleared_and_never_blocks():
    slot = Scoreboard(1).slots[0]

    def readable():
        return bool(select.select([slot.wake_fd()], [], [], 0)[0])

    assert not readable()
    for _ in range(100_000):  # more than a pipe holds
        slot.wake()
    assert readable()
    slot.clear_wakes()
    assert not readable()
    slot.wake()
    assert readable()


def test_deaths_are_kept_in_order_until_acknowledged():
    board = Scoreboard(1)
    for number in range(3):
        board.record(death(number))
    unread = board.unread_deaths()
    assert [found for _, found in unread] == [death(0), death(1), death(2)]
    board.acknowledge(unread[1][0])
    assert [found for _, found in board.unread_deaths()] == [death(2)]
    board.acknowledge(unread[2][0])
    assert board.unread_deaths() == []
    board.record(death(3))
    assert [found for _, found in board.unread_deaths()] == [death(3)]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_survives_the_ring(cause):
    board = Scoreboard(1)
    board.record(dataclasses.replace(death(), cause=cause))
    assert board.unread_deaths()[0][1].cause is cause


def test_oldest_death_gives_way_when_nobody_reads():
    board = Scoreboard(1)
    for number in range(DEATHS_KEPT + 10):
        board.record(death(number))
    # The one that the next may be overwriting is not read either.
    assert pids(board) == [4000 + number for number in range(11, DEATHS_KEPT + 10)]
    last, _ = board.unread_deaths()[-1]
    board.acknowledge(last)
    board.record(death(7))
    assert pids(board) == [4007]


def test_death_that_gives_way_while_it_is_read_is_left_out():
    board = Scoreboard(1)
    for number in range(DEATHS_KEPT - 1):
        board.record(death(number))

    class Busy:
        """The header, with a writer that appends five deaths once reading has begun."""

        def __init__(self, header):
            self.header, self.looks = header, 0

        def __getitem__(self, index):
            self.looks += index == 0
            return self.header[index] + (5 if self.looks > 1 and index == 0 else 0)

    board._header = Busy(board._header)
    assert pids(board) == [4000 + number for number in range(5, DEATHS_KEPT - 1)]


def test_scoreboard_for_a_person(monkeypatch):
    board = Scoreboard(3)
    monkeypatch.setattr(clock, "now", lambda: 100 * clock.SECOND)
    idle, busy, _ = board.slots
    idle.pid, idle.state, idle.done, idle.retried, idle.failed = 41, State.IDLE, 3, 2, 1
    busy.pid, busy.state, busy.generation = 42, State.BUSY, 1
    busy.label, busy.task_id, busy.since = "shop.send", 7, 97 * clock.SECOND
    busy.grant(5, 1, 110 * clock.SECOND)
    assert board.lines() == [
        "slot 0 pid 41 idle done 3 retried 2 failed 1",
        "slot 1 pid 42 busy runs shop.send #7 for 3.0 s lease 5 ends in 10.0 s "
        "done 0 retried 0 failed 0",
    ]


def running(task, attempt, *, soft=0):
    slot = Scoreboard(1).slots[0]
    slot.begin(task, attempt, "x", since=1, soft=soft, hard=0)
    return slot


def test_only_the_run_that_was_asked_to_end_has_its_deadlines():
    slot = running(7, 2, soft=50)
    slot.end_run(7, 2, soft=30, hard=90)
    assert slot.ending
    assert [slot.soft_passed(now) for now in (29, 30, 49, 50)] == [0, 30, 30, 50]
    slot.begin(7, 3, "x", since=1, soft=0, hard=0)
    assert not slot.ending
    assert slot.soft_passed(60) == 0
    slot.begin(8, 2, "x", since=1, soft=0, hard=0)
    assert not slot.ending
    slot.task_id = 0
    slot.end_run(0, 2, soft=30, hard=90)
    assert not slot.ending


def test_a_run_under_another_lease_was_not_asked_to_end():
    """A database that lost its last minutes gives out the same attempt of the same task again."""
    slot = running(7, 2)
    slot.grant(11, slot.generation, 2**62)
    slot.end_run(7, 2, soft=30, hard=90)
    assert slot.ending
    slot.grant(12, slot.generation, 2**62)
    slot.begin(7, 2, "x", since=100, soft=0, hard=0)
    assert not slot.ending
    assert slot.soft_passed(100) == 0


def test_progress_is_that_of_the_run_in_progress():
    slot = running(7, 2)
    assert slot.progress() is None
    slot.set_progress(3, 9)
    assert slot.progress() == (3, 9)
    slot.begin(7, 3, "x", since=1, soft=0, hard=0)
    assert slot.progress() is None
    slot.task_id = 0
    slot.set_progress(3, 9)
    assert slot.progress() is None


def test_ends_of_workers_are_counted_by_cause_and_a_clean_one_apart():
    board = Scoreboard(1)
    board.count_end(death())
    board.count_end(death())
    board.count_end(dataclasses.replace(death(), cause=Cause.EXIT, code=1))
    board.count_end(dataclasses.replace(death(), cause=Cause.EXIT, code=0))
    ends = board.ends()
    assert ends.keys() == {*Cause, None}
    assert {cause: count for cause, count in ends.items() if count} == {
        Cause.SIGNAL: 2,
        Cause.EXIT: 1,
        None: 1,
    }
    assert board.unread_deaths() == []


def test_the_flags_of_the_header_do_not_touch_each_other():
    board = Scoreboard(1)
    assert (board.beat, board.contact) == (0, Contact.NONE)
    board.beat, board.contact, board.others_wait_until = 5, Contact.UNMIGRATED, 7
    board.count_end(death())
    assert (board.beat, board.contact, board.others_wait_until) == (5, Contact.UNMIGRATED, 7)
