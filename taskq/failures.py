"""Failed tasks by what went wrong: those of one kind can be retried or discarded together.

No column and no index holds the kind. It is made from the name, the error and the traceback: for a
page of the newest failed tasks, and to act on a kind by a walk through all of them in small steps
(``taskq.tasks``). So a failure costs nothing more when it is written.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Q
from django.db.models.functions import Right, Substr

from taskq import tracebacks
from taskq.models import State, Task, TaskQuerySet
from taskq.models.declared_columns import AsText

#: The newest failed tasks that :func:`groups` reads. It takes some 100 ms.
NEWEST = 2_000
#: The most rows that a step of :func:`walk` reads.
READ = 5_000
#: Characters of an error, and of the end of a traceback, that are read.
_ERROR, _TRACEBACK = 400, 4_000
#: The most characters of an error that is no exception, such as the cause of a lost worker.
_KIND = 120

#: The class in the last line of a traceback.
_CLASS = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.M)
#: What differs in two errors of a kind.
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")


@dataclass(frozen=True)
class Kind:
    """What failed tasks have in common.

    Attributes:
        name: The name of the task.
        error: The path of the exception's class. Where there was none, the error without its
            numbers.
        place: File and function of the last frame of the site's own code. Empty: nobody knows.
    """

    name: str
    error: str
    place: str

    @classmethod
    def of(cls, name: str, error: str, traceback: str) -> Kind:
        """The kind of a failed task, from the beginning of its error and the end of its
        traceback."""
        found = _CLASS.search(error) if traceback else None
        text = found[1] if found else _NUMBER.sub("…", error.strip().partition("\n")[0])[:_KIND]
        return cls(name, text, tracebacks.place(traceback))

    @property
    def key(self) -> str:
        """A short text that stands for it."""
        parts = "\0".join((self.name, self.error, self.place))
        return hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()


@dataclass
class Group:
    """The failed tasks of a kind, as far as they were read.

    Attributes:
        ids: Their primary keys, the newest first.
        first, last: When the first and the last of them failed.
        example: The beginning of the error of the last one.
        queue: The queue of the last one.
    """

    kind: Kind
    example: str
    queue: str
    last: datetime.datetime
    first: datetime.datetime
    ids: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.ids)

    @property
    def newest(self) -> int:
        return self.ids[0]


@dataclass
class Groups:
    """The newest failed tasks, by kind.

    Attributes:
        all: The largest group first.
        read: How many failed tasks were read.
        more: There are older ones.
    """

    all: list[Group] = field(default_factory=list)
    read: int = 0
    more: bool = False

    def find(self, key: str) -> Group | None:
        return next((group for group in self.all if group.kind.key == key), None)


def groups(alias: str, *, name: str | None = None) -> Groups:
    """The newest failed tasks, by kind. Reads at most ``NEWEST`` of them, by taskq_task_failed.

    Args:
        alias: The alias of the database with the tasks.
        name: Only tasks of this name, among those.
    """
    rows = _texts(_failed(alias).order_by("-failed_at")[: NEWEST + 1])
    found: dict[Kind, Group] = {}
    for row in rows[:NEWEST]:
        kind = row.kind
        group = found.get(kind)
        if group is None:
            group = found[kind] = Group(kind, row.error, row.queue, row.failed_at, row.failed_at)
        group.ids.append(row.id)
        group.first = row.failed_at  # the newest come first
    listed = sorted(found.values(), key=lambda group: -group.count)
    if name is not None:
        listed = [group for group in listed if group.kind.name == name]
    return Groups(listed, min(len(rows), NEWEST), len(rows) > NEWEST)


@dataclass(frozen=True)
class Place:
    """Where a walk through the failed tasks has come to: the oldest come first."""

    failed_at: datetime.datetime
    id: int


def walk(
    alias: str,
    kind: Kind,
    *,
    until: datetime.datetime,
    after: Place | None = None,
    many: int,
    read: int = READ,
) -> tuple[list[int], Place | None]:
    """The next failed tasks of a kind, the oldest first.

    Reads rows in order of taskq_task_failed, and texts of those with the name alone.

    Args:
        alias: The alias of the database with the tasks.
        kind: The kind.
        until: Only tasks that had failed by then. One that fails again is not met again.
        after: Where the last step ended.
        many: The most tasks.
        read: The most rows to read.

    Returns:
        Their primary keys, and where this step ended; None at the end of the walk.
    """
    rows = _failed(alias).filter(failed_at__lte=until)
    if after is not None:
        # SQLite compares texts, and stores some times to the millisecond.
        since = after.failed_at - datetime.timedelta(milliseconds=1)
        beyond = Q(failed_at__gt=after.failed_at) | Q(pk__gt=after.id)
        rows = rows.filter(beyond, failed_at__gte=since)
    # Not values_list(): Django would order by the bounded value, of which there is no index.
    ordered = rows.order_by("failed_at", "pk").only("pk", "failed_at", "name")
    met = [(task.pk, task.failed_at or until, task.name) for task in ordered[:read]]
    found: list[int] = []
    for step in _steps(met):
        named = [pk for pk, _at, name in step if name == kind.name]
        rows_of_name = _texts(_failed(alias).filter(pk__in=named))
        ours = {row.id for row in rows_of_name if row.kind == kind}
        for pk, at, _name in step:
            if pk in ours:
                found.append(pk)
                if len(found) == many:
                    return found, _beyond(after, at, pk)
    if len(met) < read:
        return found, None
    return found, _beyond(after, met[-1][1], met[-1][0])


def _beyond(after: Place | None, at: datetime.datetime, id: int) -> Place:
    """The place of this task, but not before the last one."""
    return Place(at if after is None else max(at, after.failed_at), id)


def _steps(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Some rows at a time: their texts are large."""
    for begin in range(0, len(rows), 500):
        yield rows[begin : begin + 500]


def _failed(alias: str) -> TaskQuerySet:
    # With a time, so that the index gives the order: a row that was written by hand may have none.
    return Task.objects.using(alias).filter(
        state=State.FAILED, cancelled_at__isnull=True, failed_at__isnull=False
    )


class _Row(NamedTuple):
    """A failed task, with the parts of its texts that a kind is made of."""

    id: int
    name: str
    queue: str
    failed_at: datetime.datetime
    error: str
    traceback: str

    @property
    def kind(self) -> Kind:
        return Kind.of(self.name, self.error, self.traceback)


def _texts(tasks: TaskQuerySet) -> list[_Row]:
    rows: Any = tasks.only("pk", "name", "queue", "failed_at").annotate(
        error_start=Substr(AsText("error"), 1, _ERROR),
        traceback_end=Right(AsText("traceback"), _TRACEBACK),
    )
    return [
        _Row(each.pk, each.name, each.queue, each.failed_at, each.error_start, each.traceback_end)
        for each in rows
    ]
