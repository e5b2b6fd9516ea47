"""Tasks whose runs a test sees, and workers that a test moves by hand."""

from __future__ import annotations

import pytest

from taskq.celery import shared_task
from tests.taskq.own_sessions import open_session


@pytest.fixture
def tasks():
    """Tasks that note their runs in ``ran``. Those whose name is in ``fail`` fail."""

    class Lab:
        pass

    lab = Lab()
    lab.ran, lab.fail = [], set()

    @shared_task(ignore_result=False, max_retries=0)
    def note(name, value=None):
        lab.ran.append(name)
        if name in lab.fail:
            raise ValueError(name)
        return name if value is None else value

    @shared_task(ignore_result=False)
    def total(values, bonus=0):
        lab.ran.append("total")
        return sum(values) + bonus

    lab.note, lab.total = note, total
    return lab


@pytest.fixture
def two_sessions(transactional_db):
    """Two sessions whose transactions end when the test says so."""
    with open_session() as first, open_session() as second:
        yield first, second
