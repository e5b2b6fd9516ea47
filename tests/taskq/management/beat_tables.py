"""The tables of django-celery-beat 2.9, as its migrations make them, and rows in them."""

from __future__ import annotations

import datetime

from django.db import connection

_MOMENT = {"postgresql": "timestamptz", "sqlite": "datetime"}
_TABLES = {
    "intervalschedule": "every integer, period varchar(24)",
    "solarschedule": "event varchar(24), latitude numeric(9, 6), longitude numeric(9, 6)",
    "clockedschedule": "clocked_time {moment}",
    "crontabschedule": (
        "minute varchar(240), hour varchar(96), day_of_week varchar(64), "
        "day_of_month varchar(124), month_of_year varchar(64), timezone varchar(63)"
    ),
    "periodictask": (
        "name varchar(200) UNIQUE, task varchar(200), args text, kwargs text, queue varchar(200), "
        "exchange varchar(200), routing_key varchar(200), expires {moment}, enabled bool, "
        "last_run_at {moment}, total_run_count integer, date_changed {moment}, description text, "
        "crontab_id integer, interval_id integer, solar_id integer, clocked_id integer, "
        "one_off bool, start_time {moment}, priority integer, headers text, expire_seconds integer"
    ),
}
_CRONTAB = {
    **{"minute": "*", "hour": "*", "day_of_week": "*", "day_of_month": "*"},
    **{"month_of_year": "*", "timezone": "UTC"},
}
_TASK = {
    **{"args": "[]", "kwargs": "{}", "headers": "{}", "description": "", "enabled": True},
    **{"one_off": False, "total_run_count": 0},
}


def make_tables() -> None:
    moment = _MOMENT[connection.vendor]
    with connection.cursor() as cursor:
        for name, columns in _TABLES.items():
            cursor.execute(
                f"CREATE TABLE django_celery_beat_{name} "
                f"(id integer PRIMARY KEY, {columns.format(moment=moment)})"
            )


def add(table: str, **values: object) -> int:
    """A row. Returns its id."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT coalesce(max(id), 0) + 1 FROM django_celery_beat_{table}")
        (id,) = cursor.fetchone()
        names = ", ".join(["id", *values])
        marks = ", ".join(["%s"] * (1 + len(values)))
        cursor.execute(
            f"INSERT INTO django_celery_beat_{table} ({names}) VALUES ({marks})",
            [id, *map(_adapted, values.values())],
        )
    return int(id)


def add_crontab(**fields: str) -> int:
    return add("crontabschedule", **{**_CRONTAB, **fields})


def add_task(name: str, task: str, **values: object) -> int:
    return add("periodictask", **{**_TASK, "name": name, "task": task, **values})


def _adapted(value: object) -> object:
    if isinstance(value, datetime.datetime) and connection.vendor == "sqlite":
        return value.replace(tzinfo=None).isoformat(" ")
    return value
