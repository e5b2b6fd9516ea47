"""When the keeper looks at the partitions of finished tasks, and what it tells a person."""

from __future__ import annotations

import datetime

import pytest

from pool import clock
from taskq.keeper import partitions
from taskq.keeper.partitions import BUSY, LOOK_EVERY, PartitionKeeper
from taskq.store.partitions import Tended

DAY = datetime.date(2026, 11, 30)


class Session:
    """Finds what a test says."""

    owner = "keeper"

    def __init__(self):
        self.found = Tended()
        self.partitions = self

    def store(self):
        return self

    def tend(self, lifetimes, between):
        assert lifetimes == {5.0}
        return self.found


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def look(session, monkeypatch):
    """Looks once, at the time when it is due; seconds until the next look."""
    now = [clock.now()]
    monkeypatch.setattr(partitions.clock, "now", lambda: now[0])
    keeper = PartitionKeeper(session, {5.0}, between=lambda: None)

    def once():
        now[0] = max(now[0], keeper.due)
        keeper.tend()
        return (keeper.due - now[0]) / clock.SECOND

    return once


def test_it_looks_once_a_minute_and_at_once_where_there_is_more(session, look, caplog):
    caplog.set_level("INFO", "taskq")
    assert look() == LOOK_EVERY
    assert caplog.messages == []
    session.found = Tended(made=[DAY], dropped=[DAY, DAY], more=True)
    assert look() == 0
    (said,) = caplog.messages
    assert said == (
        "keeper: partitions of taskq_finished: made 2026-11-30; dropped 2026-11-30, 2026-11-30"
    )


def test_what_stays_busy_is_told_each_ten_minutes(session, look, caplog):
    session.found = Tended(busy=OSError("canceling statement due to lock timeout"))
    for _ in range(2 * BUSY - 1):
        look()
    (said,) = caplog.messages
    assert "others hold locks on it: canceling statement due to lock timeout" in said
    look()
    assert len(caplog.messages) == 2


def test_a_table_that_was_free_in_between_is_not_busy(session, look, caplog):
    for _ in range(2 * BUSY):
        session.found = Tended(busy=OSError("x")) if session.found.busy is None else Tended()
        look()
    assert caplog.messages == []


def test_what_the_role_may_not_do_is_told_once(session, look, caplog):
    session.found = Tended(lacking=("pool", "owner"))
    for _ in range(3):
        look()
    (said,) = caplog.messages
    assert "its role pool may not make or drop partitions" in said
    assert "as owner, or GRANT owner TO pool" in said
