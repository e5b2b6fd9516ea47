"""The rows of django-celery-beat, read from its tables. The package need not be installed."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connections

from taskq.celery.beat_schedules import (
    BeatSchedule,
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
)
from taskq.celery.schedules import ParseException
from taskq.task import registry
from taskq.values import stored_moment

_TABLE = "django_celery_beat_"
#: A periodic task that Celery makes by itself, and what does its work here.
CELERYS_OWN = {"celery.backend_cleanup": "pools remove old results by RESULT_TTL"}


class NotBrought(Exception):
    """A row that has no counterpart here. The text says why, and what to do."""


@dataclass(frozen=True)
class BeatRow:
    """A periodic task as its row has it."""

    row: dict[str, Any]
    schedules: dict[str, dict[int, dict[str, Any]]]

    @property
    def name(self) -> str:
        return str(self.row["name"])

    @property
    def last_at(self) -> datetime.datetime | None:
        return _moment(self.row.get("last_run_at"))

    @property
    def total_runs(self) -> int:
        return int(self.row.get("total_run_count") or 0)

    def values(self) -> dict[str, Any]:
        """The values for ``taskq.schedules``. Raises NotBrought."""
        row = self.row
        if registry.find(row["task"]) is None:
            mend = (
                "import shared_task from taskq.celery where it is defined, or rename the row's task"
            )
            raise NotBrought(f"task is {row['task']!r}, which is no task of taskq: {mend}")
        try:
            return {
                "task": row["task"],
                "schedule": self._schedule(),
                "args": json.loads(row["args"] or "[]"),
                "kwargs": json.loads(row["kwargs"] or "{}"),
                "headers": json.loads(row.get("headers") or "{}") or None,
                "queue": row["queue"] or None,
                "priority": row.get("priority"),
                "expires": row.get("expire_seconds"),
                "start_at": _moment(row.get("start_time")),
                "end_at": _moment(row["expires"]),
                "one_off": bool(row.get("one_off")),
                "enabled": bool(row["enabled"]),
                "description": row["description"],
            }
        except (TypeError, ValueError, ParseException) as error:
            raise NotBrought(str(error)) from error

    def _schedule(self) -> BeatSchedule:
        if self.row.get("solar_id") is not None:
            raise NotBrought(
                "the ticks of the sun are no fixed times: give the task a crontab such as "
                "*/5 * * * *, and let it ask whether the event came"
            )
        for kind, make in _KINDS.items():
            if (id := self.row.get(f"{kind}_id")) is not None:
                found = self.schedules[kind].get(id)
                if found is None:
                    raise NotBrought(f"its {kind} {id} is gone")
                return make(found)
        raise NotBrought("it has no schedule")


def read(alias: str) -> Iterator[BeatRow]:
    """The periodic tasks in this database, by name. No row if the tables are not there."""
    with connections[alias].cursor() as cursor:
        tables = connections[alias].introspection.table_names(cursor)
    if f"{_TABLE}periodictask" not in tables:
        return
    schedules = {
        kind: {row["id"]: row for row in _rows(alias, f"{kind}schedule")}
        for kind in _KINDS
        if f"{_TABLE}{kind}schedule" in tables
    }
    for row in sorted(_rows(alias, "periodictask"), key=lambda row: str(row["name"])):
        yield BeatRow(row, schedules)


def _rows(alias: str, table: str) -> list[dict[str, Any]]:
    """All rows. The columns differ from one version of the package to another."""
    quoted = connections[alias].ops.quote_name(_TABLE + table)
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT * FROM {quoted}")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _crontab(row: dict[str, Any]) -> CrontabSchedule:
    names = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")
    # Spaces may stand in the fields: the package reads "1, 2" as "1,2".
    fields = {name: str(row[name]).replace(" ", "") for name in names}
    return CrontabSchedule(**fields, timezone=row.get("timezone"))


_KINDS: dict[str, Callable[[dict[str, Any]], BeatSchedule]] = {
    "interval": lambda row: IntervalSchedule(row["every"], row["period"]),
    "crontab": _crontab,
    "clocked": lambda row: ClockedSchedule(stored_moment(row["clocked_time"])),
}


def _moment(stored: Any) -> datetime.datetime | None:
    return None if stored is None else stored_moment(stored)
