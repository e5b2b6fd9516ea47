"""How a fault stands in the history."""

from types import SimpleNamespace

import pytest

from stress.chaos.faults import FAULTS
from stress.chaos.noted import noted
from stress.rig.history import History, read


@pytest.fixture
def place(tmp_path):
    return tmp_path / "history.jsonl"


def test_all_pools_that_ran_meanwhile_were_hit_and_none_before(place):
    target = SimpleNamespace(name="pool 1", sessions=[1, 2])
    with noted(History(place), FAULTS["unknown-task"], target):
        target.sessions += [3, 4]
    begin, end = read(place)
    assert (begin["phase"], begin["target"], begin["victims"]) == ("begin", "pool 1", [2])
    assert (end["phase"], end["name"], end["victims"]) == ("end", "unknown-task", [2, 3, 4])


def test_what_kills_by_itself_names_nobody_and_an_outage_says_so(place):
    history = History(place)
    with noted(history, FAULTS["worker-kill"], SimpleNamespace(name="pool 1", sessions=[1])):
        pass
    with noted(history, FAULTS["database-restart"], None):
        pass
    records = read(place)
    assert [record["victims"] for record in records] == [[], [], [], []]
    assert [record.get("effect") for record in records] == [None, None, "cut", "cut"]


def test_its_end_is_noted_though_it_fails(place):
    fault = FAULTS["database-restart"]
    with pytest.raises(OSError, match="on purpose"), noted(History(place), fault, None):
        raise OSError("on purpose")
    assert [record["phase"] for record in read(place)] == ["begin", "end"]
