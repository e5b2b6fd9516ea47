"""The end of an atomic task, in the transaction that its own code has open."""

from __future__ import annotations

import functools
import re

from taskq import sql
from taskq.task.claimed import Run


def finish(
    connection: sql.DjangoConnection,
    worker: int,
    run: Run,
    *,
    result: str | None = None,
    is_step: bool = False,
    passed: str | None = None,
    drops: int = 0,
    lifetime: float | None = None,
    home: str | None = None,
) -> bool:
    """Finish a run in the transaction that its own code has open on Django's connection, and keep
    its result, if any; whether the worker still held it. If not, that transaction must be rolled
    back.

    is_step: other steps of its workflow may wait for it. passed: what they get of it, encoded.
        drops: which of them do not go on, as of :func:`taskq.store.endings.pass_on`.

    lifetime: seconds for which the finished task is kept; 0 or None for not at all.

    home: the ``home`` of the :class:`taskq.store.tasks.TaskStore` that has claimed it. The code may
        have changed what the session sees under the names of our tables.
    """
    statements = sql.of(connection.wrapper.vendor)
    id, attempt = run
    values = {"worker": worker, "id": id, "attempt": attempt}
    # Refused where the task has marked its transaction for a rollback, which would take our
    # finish with it, silently.
    if is_step:
        texts = statements.PASS_SOME_ONE if drops else statements.PASS_ONE
        ends = [_qualified(each, home) for each in texts]
        kept = {"value": result, "lifetime": lifetime or None, "passed": passed}
        some = {"drops": drops} if drops else {}
        return connection.end_plainly(ends, {**values, **kept, **some})
    if lifetime:
        archive = [_qualified(each, home) for each in statements.ARCHIVE_ONE]
        more = {"value": result, "lifetime": lifetime}
        return connection.end_plainly(archive, {**values, **more})
    if result is None:
        return connection.end(_qualified(statements.FINISH_ONE, home), values)
    keep = [_qualified(each, home) for each in statements.KEEP_ONE]
    return connection.end_plainly(keep, {**values, "value": result})


_TABLES = re.compile(r"\btaskq_(?:task|result|finished|worker|edge)\b")


@functools.cache
def _qualified(statement: str, schema: str | None) -> str:
    """The statement with the schema before each table. It then means the same whatever the
    session's search_path and temporary tables are."""
    if schema is None:
        return statement
    prefix = schema.replace("%", "%%")
    return _TABLES.sub(lambda found: f"{prefix}.{found[0]}", statement)
