"""How runs end, as the table of tasks is to have it.

Endings are written together, and with the next claim. Until then they stand in the finish log of
the worker (:mod:`pool.finish_log`), and another process writes them if the worker dies.
"""

from __future__ import annotations

import datetime
import marshal
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pool.finish_log import Logged
from taskq import sql
from taskq.sql.statements import Statements
from taskq.task.claimed import Run
from taskq.task.measures import End

_FINISH, _KEEP, _ARCHIVE = "finish", "keep", "archive"
_PASS, _PASS_SOME, _FAIL_UNHEARD = "pass", "pass_some", "fail_unheard"
_FAIL, _RETRY, _RETRY_CHANGED = "fail", "retry", "retry_changed"
#: What a retry may change of its call: columns of the row, and two ways to give its expiry.
CHANGES = ("payload", "queue", "priority", "expires", "lifetime")
#: The columns that each of them writes, as the statements name their lists.
COLUMNS: dict[str, tuple[str, ...]] = {
    _FINISH: (),
    _KEEP: ("value",),
    _ARCHIVE: ("value", "lifetime"),
    _PASS: ("value", "lifetime", "passed"),
    _PASS_SOME: ("value", "lifetime", "passed", "drops"),
    _FAIL: ("error", "traceback", "kind"),
    _FAIL_UNHEARD: ("error", "traceback", "kind"),
    _RETRY: ("due", "delay", "error", "traceback", "kind"),
    _RETRY_CHANGED: ("due", "delay", "error", "traceback", "kind", *CHANGES),
}

#: What each of them is to those who count runs.
ENDS = {
    _FINISH: End.DONE,
    _KEEP: End.DONE,
    _ARCHIVE: End.DONE,
    _PASS: End.DONE,
    _PASS_SOME: End.DONE,
    _FAIL: End.FAILED,
    _FAIL_UNHEARD: End.FAILED,
    _RETRY: End.RETRIED,
    _RETRY_CHANGED: End.RETRIED,
}

#: The ends of steps, for which other steps may wait.
PASSING = frozenset((_PASS, _PASS_SOME))

#: Endings with values that one statement writes. To find a value in a list, the server walks over
#: those before it.
TOGETHER = 100


class Ending(NamedTuple):
    """The end of one run. how: a key of COLUMNS. values: of the columns that it names."""

    id: int
    attempt: int
    how: str
    values: tuple[Any, ...]

    @property
    def run(self) -> Run:
        return self.id, self.attempt

    @property
    def end(self) -> End:
        return ENDS[self.how]

    @property
    def is_seen(self) -> bool:
        """Whether somebody may wait to see it: it leaves a row."""
        return self.how != _FINISH

    @property
    def passes(self) -> bool:
        """Whether it is the end of a step, for which other steps may wait."""
        return self.how in PASSING

    def encoded(self) -> bytes:
        """It without its run, for a finish log. :func:`decoded` reads it."""
        return b"" if self.how == _FINISH else marshal.dumps((self.how, *self.values))


def decoded(runs: Iterable[Logged]) -> list[Ending]:
    """The endings of runs from a finish log."""
    return [_decoded(*run) for run in runs]


def _decoded(id: int, attempt: int, data: bytes) -> Ending:
    how, *values = marshal.loads(data) if data else (_FINISH,)
    return Ending(id, attempt, how, tuple(values))


def checked(id: int, attempt: int, how: str, values: Iterable[Any]) -> Ending:
    """An ending that was read from the database. Raises ValueError or TypeError when it is none."""
    ending = Ending(int(id), int(attempt), how, tuple(values))
    if len(ending.values) != len(COLUMNS.get(how, (None, None))):
        raise ValueError(f"{ending} is no ending")
    return ending


def finish(run: Run) -> Ending:
    """The task is done, and nothing of it is kept."""
    id, attempt = run
    return Ending(id, attempt, _FINISH, ())


def keep(run: Run, value: str) -> Ending:
    """The task is done. value: what it returned, encoded."""
    return Ending(*run, _KEEP, (value,))


def archive(run: Run, value: str | None, lifetime: float) -> Ending:
    """The task is done, and its row is kept among the finished ones for so many seconds.

    value: what it returned, encoded; None for a task that does not keep its result. A result is
    written too, as by :func:`keep`.
    """
    return Ending(*run, _ARCHIVE, (value, lifetime))


def pass_on(
    run: Run, value: str | None, lifetime: float | None, passed: str | None, drops: int = 0
) -> Ending:
    """The step of a workflow is done, and those that wait for it may go on.

    value, lifetime: as of :func:`archive`; None for what is not kept.
    passed: what it passes on, encoded.
    drops: which of those that wait for it do not go on: a bit for each value of ``On``.
    """
    if drops:
        return Ending(*run, _PASS_SOME, (value, lifetime, passed, drops))
    return Ending(*run, _PASS, (value, lifetime, passed))


def fail(
    run: Run, *, error: str, traceback: str, kind: str | None = None, unheard: bool = False
) -> Ending:
    """The task has failed.

    kind: the path of the error's class, where the task keeps what came of each run.
    unheard: what waits for a failure of it is dropped.
    """
    return Ending(*run, _FAIL_UNHEARD if unheard else _FAIL, (error, traceback, kind))


def retry(
    run: Run,
    *,
    when: datetime.datetime | None,
    delay: float,
    error: str,
    traceback: str,
    kind: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Ending:
    """The task runs again, at a time or after seconds. kind: see :func:`fail`.

    changes: new values by the names of CHANGES; what is not there or None stays as it is.
    """
    values = (_text(when), delay, error, traceback, kind)
    if changes is None:
        return Ending(*run, _RETRY, values)
    new = {**changes, "expires": _text(changes.get("expires"))}
    return Ending(*run, _RETRY_CHANGED, (*values, *map(new.get, CHANGES)))


def _text(when: datetime.datetime | None) -> str | None:
    return None if when is None else when.astimezone(datetime.UTC).isoformat(" ")


def passing(endings: Iterable[Ending]) -> list[int]:
    """The ids of the steps that have passed, of these. Asked for each batch, so without a call for
    each ending."""
    return [ending.id for ending in endings if ending.how in PASSING]


def calls(statements: Statements, worker: int, endings: Iterable[Ending]) -> list[sql.Call]:
    """The statements that write these endings: for each way to end and each attempt. Together they
    return the ids of the tasks that they have ended. Nearly all runs are a first attempt."""
    endings = list(endings)
    groups: dict[tuple[str, int], list[Ending]] = {}
    for ending in endings:
        groups.setdefault((ending.how, ending.attempt), []).append(ending)
    locks: list[sql.Call] = []
    if statements.LOCK_IN_ORDER and len(endings) > 1 and passing(endings):
        # A cancel of their workflow locks them in this order too.
        locks = [(statements.LOCK_IN_ORDER, {"ids": sql.Ids(sorted(each.id for each in endings))})]
    return locks + [
        call
        for (how, attempt), group in groups.items()
        for some in _parts(group, TOGETHER if COLUMNS[how] else len(group))
        for call in _calls(statements, worker, how, attempt, some)
    ]


def _parts(group: list[Ending], size: int) -> Iterable[list[Ending]]:
    return (group[at : at + size] for at in range(0, len(group), size))


def _calls(
    statements: Statements, worker: int, how: str, attempt: int, group: list[Ending]
) -> list[sql.Call]:
    group.sort()  # by id: the statements search the list of ids
    values: dict[str, Any] = {
        "worker": worker,
        "attempt": attempt,
        "ids": sql.Ids([ending.id for ending in group]),
    }
    for at, column in enumerate(COLUMNS[how]):
        values[column] = [ending.values[at] for ending in group]
    texts = {
        _FINISH: (statements.FINISH,),
        _KEEP: statements.KEEP,
        _ARCHIVE: statements.ARCHIVE,
        _PASS: statements.PASS,
        _PASS_SOME: statements.PASS_SOME,
        _FAIL: (statements.FAIL,),
        _FAIL_UNHEARD: statements.FAIL_UNHEARD,
        _RETRY: (statements.RETRY,),
        _RETRY_CHANGED: (statements.RETRY_CHANGED,),
    }
    return [(text, values) for text in texts[how]]
