"""What a child counts and tells stays there when it dies."""

import os

import pytest

from pool import Scoreboard
from pool.counters import KEY, OTHERS, ROWS, Counters
from pool.last_runs import ROOM, LastRun


def counters(memory=None):
    return Counters(memory or memoryview(bytearray(Counters.size(3))), 3)


def fork(do):
    """Do it in a process that then ends at once."""
    if (pid := os.fork()) == 0:
        do()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_later_child_goes_on_where_the_one_before_it_ended():
    (slot,) = Scoreboard(1, columns=3).slots

    def child():
        slot.counters.add(slot.counters.row(b"ping"), [1, 0, 5])
        slot.counters.add(slot.counters.row(b"mail"), [0, 2, 0])

    for _ in range(2):
        fork(child)
    others, ping, mail = slot.counters.read()
    assert others == (b"", [0, 0, 0])
    assert (ping, mail) == ((b"ping", [2, 0, 10]), (b"mail", [0, 4, 0]))


def test_keys_that_find_no_row_are_counted_together():
    full = counters()
    rows = [full.row(b"%d" % number) for number in range(ROWS - 1)]
    assert len({*rows, OTHERS}) == ROWS
    assert full.row(b"one more") == OTHERS
    assert full.row(b"7") == rows[7]
    assert counters().row(b"k" * (KEY + 1)) == OTHERS
    longest = counters()
    assert longest.key(longest.row(b"k" * KEY)) == b"k" * KEY


def test_a_counter_stops_at_the_largest_number():
    one = counters()
    row = one.row(b"ping")
    for _ in range(3):
        one.add(row, [2**62, 1, 0])
    assert [*one.read()][1] == (b"ping", [2**63 - 1, 3, 0])


def run(number):
    return LastRun(number, 1, 2, 3, 4, 5, 6, 7)


def test_a_reader_of_the_last_runs_gets_each_once_and_none_that_is_overwritten():
    ring = Scoreboard(1).slots[0].last_runs
    assert ring.since(0) == []
    fork(lambda: [ring.add(run(number)) for number in range(10)])
    assert ring.since(7) == [run(7), run(8), run(9)]
    assert ring.since(ring.written) == []
    for number in range(10, 3 * ROOM):
        ring.add(run(number))
    found = ring.since(10)
    assert found == [run(number) for number in range(3 * ROOM - len(found), 3 * ROOM)]
    assert len(found) == ROOM - 1


def test_a_value_outlives_the_process_that_wrote_it():
    keepsake = Scoreboard(1, keep=5).keepsake
    assert keepsake.read() == b""
    for value in (b"one", b"three", b"", b"two"):
        fork(lambda: keepsake.write(value))  # noqa: B023  it runs at once
        assert keepsake.read() == value


def test_a_value_that_is_not_written_to_its_end_changes_nothing():
    keepsake = Scoreboard(1, keep=5).keepsake
    keepsake.write(b"one")
    with pytest.raises(ValueError, match="6 bytes do not fit into 5"):
        keepsake.write(b"longer")

    class Dies(Exception):
        pass

    class Dying(bytes):
        def __len__(self):
            if keepsake._head[0] == 1 and bytes(keepsake._places[0][:3]) == b"two":
                raise Dies
            return super().__len__()

    with pytest.raises(Dies):  # after the bytes, before the switch
        keepsake.write(Dying(b"two"))
    assert keepsake.read() == b"one"
