"""A transaction of the application, with its outcome in the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import django.db
from django.db import connection, transaction

from stress.rig.history import History


class _ChangedMind(Exception):
    """Raised to roll the transaction back."""


def noted(
    history: History,
    keys: Sequence[str],
    write: Callable[[], object],
    *,
    give_up: bool,
    before_commit: Callable[[], object],
    after_commit: Callable[[], object],
) -> bool:
    """Write in one transaction, and record what became of it. True if it surely committed.

    keys: of the tasks that it sends. write: writes all rows. give_up: roll it back in the end.
    before_commit, after_commit: called at that time.

    False when it was rolled back, and when the database failed in the middle. In the latter case it
    may have committed or not.
    """
    try:
        with transaction.atomic():
            write()
            if give_up:
                raise _ChangedMind
            before_commit()
    except _ChangedMind:
        history.record("rollback", keys=keys)
        return False
    except django.db.Error:
        connection.close()
        return False
    after_commit()
    history.record("commit", keys=keys)
    return True
