"""What a child has done and not written, as others read it."""

import itertools
import os
import signal

import pytest

from pool import Scoreboard
from pool.finish_log import FinishLog

LEASE = 7


@pytest.fixture
def ring():
    found = Scoreboard(2, room=3, data=10).slots[1].finish_log
    found.start(LEASE)
    return found


def runs(ring, lease=LEASE):
    return [(run.task, run.attempt) for run in ring.under(lease)]


def data(ring):
    return [run.data for run in ring.under(LEASE)]


def test_what_is_added_stands_there_in_its_order_until_it_is_taken_out(ring):
    ring.add(11, 1)
    ring.add(12, 2)
    ring.add(2**62 + 1, 2**31 - 1)
    assert runs(ring) == [(11, 1), (12, 2), (2**62 + 1, 2**31 - 1)]
    ring.take_out(2)
    assert runs(ring) == [(2**62 + 1, 2**31 - 1)]


def test_the_newest_can_be_taken_back(ring):
    ring.add(11, 1)
    ring.add(12, 1)
    ring.take_back()
    assert runs(ring) == [(11, 1)]
    ring.add(13, 1)
    assert runs(ring) == [(11, 1), (13, 1)]


def test_the_newest_stays_if_a_reader_may_have_recorded_it(ring):
    """Else the next run would get its place, and count as recorded."""
    ring.add(7, 1)
    assert not ring.newest_is_settled
    ring.settle()
    assert ring.newest_is_settled
    assert not ring.take_back()
    ring.add(8, 1)
    assert not ring.newest_is_settled
    assert runs(ring) == [(7, 1), (8, 1)]
    assert ring.take_out(2) == 1


def test_it_goes_round(ring):
    for task in range(1, 20):
        ring.add(task, 1)
        assert runs(ring)[-1] == (task, 1)
        if task > 2:
            ring.take_out(1)
    assert runs(ring) == [(18, 1), (19, 1)]


def test_it_says_when_there_is_no_room(ring):
    for task in (1, 2, 3):
        assert ring.add(task, 1)
    assert not ring.add(4, 1)
    assert runs(ring) == [(1, 1), (2, 1), (3, 1)]
    ring.take_out(1)
    assert ring.add(4, 1)
    assert runs(ring) == [(2, 1), (3, 1), (4, 1)]


def test_nothing_of_one_lease_is_read_under_another(ring):
    ring.add(1, 1)
    assert ring.under(LEASE + 1) == []
    ring.start(LEASE + 1)
    assert ring.under(LEASE) == ring.under(LEASE + 1) == []
    ring.add(2, 1)
    assert runs(ring, LEASE + 1) == [(2, 1)]
    assert runs(ring) == []


def test_each_slot_has_its_own(ring):
    board = Scoreboard(3)
    for slot in board.slots:
        slot.finish_log.start(slot.index)
        slot.finish_log.add(100 + slot.index, 1)
    for slot in board.slots:
        assert runs(slot.finish_log, slot.index) == [(100 + slot.index, 1)]
        assert slot.task_id == 0


def test_who_took_out_hears_what_a_reader_has_written_of_it(ring):
    ring.add(1, 1)
    ring.add(2, 1)
    ring.settle()
    ring.add(3, 1)
    assert ring.take_out(1) == 1
    assert ring.take_out(2) == 1
    ring.add(4, 1)
    assert ring.take_out(1) == 0


def test_the_next_child_of_the_slot_goes_on_where_the_last_one_was_killed():
    """The object is a copy that the fork made of one which has seen nothing."""
    board = Scoreboard(1)
    for lease in (1, 2):
        if (pid := os.fork()) == 0:
            ring = board.slots[0].finish_log
            ring.start(lease)
            ring.add(lease, 1)
            ring.add(lease + 10, 1)
            ring.take_out(1)
            os._exit(0)
        os.waitpid(pid, 0)
        assert runs(board.slots[0].finish_log, lease) == [(lease + 10, 1)]


def test_the_data_of_a_run_stands_there_with_it(ring):
    ring.add(1, 1, b"one")
    ring.add(2, 1)
    ring.add(3, 1, b"three")
    assert data(ring) == [b"one", b"", b"three"]
    ring.take_out(1)
    assert data(ring) == [b"", b"three"]
    ring.take_back()
    assert data(ring) == [b""]
    ring.add(4, 1, b"four")
    assert data(ring) == [b"", b"four"]


def test_the_data_goes_round(ring):
    """Also over the edge of the memory: with each size it is at another place."""
    for number in range(200):
        text = b"%d" % number
        assert ring.add(number, 1, text[: 1 + number % 3])
        assert data(ring)[-1] == text[: 1 + number % 3]
        if number:
            ring.take_out(1)


def test_it_says_when_there_is_no_room_for_the_data(ring):
    assert not ring.add(1, 1, b"x" * 11)
    assert ring.add(1, 1, b"x" * 6)
    assert not ring.add(2, 1, b"y" * 5)
    assert data(ring) == [b"x" * 6]
    ring.take_out(1)
    assert ring.add(2, 1, b"y" * 5)
    assert ring.add(3, 1, b"z" * 5)
    assert data(ring) == [b"y" * 5, b"z" * 5]


def test_a_child_that_is_killed_leaves_whole_entries_only():
    """Of runs whose words and data belong together, and that follow each other."""
    board = Scoreboard(1, room=64, data=500)
    reader, writer = os.pipe()
    for lease in range(1, 20):
        pid = os.fork()
        if pid == 0:
            ring: FinishLog = board.slots[0].finish_log
            ring.start(lease)
            os.write(writer, b"!")
            for task in itertools.count(1):
                if not ring.add(task, -task, b"%d" % task):
                    ring.take_out(17)
                    ring.add(task, -task, b"%d" % task)
        os.read(reader, 1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = board.slots[0].finish_log.under(lease)
        assert len(found) <= 64
        assert all(run.attempt == -run.task for run in found)
        assert all(run.data == b"%d" % run.task for run in found)
        tasks = [run.task for run in found]
        assert tasks == list(range(tasks[0], tasks[0] + len(tasks))) if tasks else True
    os.close(reader)
    os.close(writer)
