"""The keeper of a worker that is not in a pool, and another that reclaims from it."""

from __future__ import annotations

import pytest

from taskq.conf import Settings
from tests.taskq.conftest import keeper_of_no_pool


@pytest.fixture
def keeper(transactional_db):
    keeper = keeper_of_no_pool(Settings())
    yield keeper
    keeper.session.close()


@pytest.fixture
def reclaim(transactional_db):
    """Reclaim as a pool does that knows no worker of this one: another, or one that was started
    again."""
    keepers = []

    def reclaim():
        keepers.append(keeper_of_no_pool(Settings()))
        keepers[-1].session.since = 1  # it has had the database for long
        keepers[-1].reclaimer.reclaim_expired()

    yield reclaim
    for each in keepers:
        each.session.close()
