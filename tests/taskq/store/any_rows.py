"""Rows of any values that the columns of taskq's tables can hold, as hypothesis draws them.

All tables of the app are drawn, those that a later migration adds too. A column that has no values
of its own here has any values of its type.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import DatabaseError, DataError, connection
from django.db.models import Field, Model
from django.utils import timezone
from hypothesis import strategies as st

from taskq.task.measures import End
from taskq.task.timing import SECOND
from tests.project.lab import steps, tasks
from tests.project.native import tasks as native

Row = tuple[str, dict[str, Any]]

#: Schedules of the code, in whose place some of the rows are put.
SCHEDULES = [f"schedule {number}" for number in range(4)]
HARMLESS = [
    *(tasks.noop.name, tasks.five.name, tasks.add.name, tasks.quick.name, tasks.tick.name),
    *(steps.part.name, steps.count_them.name, native.add.name),
]
#: Ids that rows have in common, so that steps, edges and workflows meet. No sequence gives them.
FEW = [-3, -2, -1, 2**41, 2**41 + 1, 2**41 + 2]

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
large = st.integers(-(2**63), 2**63 - 1)
whole = st.integers(-(2**31), 2**31 - 1)
small = st.integers(-(2**15), 2**15 - 1)
# SQLite gives no id any more once a table has had the last one.
new_ids = large if connection.vendor == "postgresql" else st.integers(-(2**63), 2**62)
ids = st.one_of(st.sampled_from(FEW), st.sampled_from(FEW), new_ids)
floats = st.one_of(
    st.floats(allow_nan=connection.vendor == "postgresql"),
    st.sampled_from([0.0, -1.0, 5e-324, 1e12, 1e18, 1e300, float("inf"), float("-inf")]),
)
moments = st.one_of(
    st.sampled_from(["infinity", "-infinity", "0044-03-15 BC", "1970-01-01 00:00:00+00"]),
    st.sampled_from(["294276-12-31 23:59:59+00", "0001-01-01 00:00:00+00", "9999-12-31 23:59+00"]),
    st.datetimes().map(lambda moment: f"{moment}+00"),
    # Rows of another time are in no figures.
    st.integers(-7200, 7200).map(lambda seconds: str(timezone.now() + seconds * SECOND)),
)
days = st.one_of(
    st.sampled_from(["infinity", "-infinity", "0044-03-15 BC", "9999-12-31"]),
    st.dates().map(str),
)
payloads = st.one_of(
    st.sampled_from(["[[],{}]", '[["a"],{}]', "[[1, 2],{}]", "", "pickle:", '[["a"', "{}"]), texts
)
names = st.one_of(st.sampled_from(HARMLESS), texts)
queues = st.one_of(st.just("default"), texts)
jsons = st.one_of(
    st.sampled_from(["[]", "{}", "null", "7", "[null]", '"a"', "[[1, 1], [2, 1]]", "[[0.1, 2]]"]),
    st.sampled_from(['[[0, "[[7],{}]"]]', '[[0, null], [0, "{"]]', "[" * 9000, "[[1e999, NaN]]"]),
    st.sampled_from([str(FEW), '[{"part": 0, "step": 1, "place": 0, "waits_for": 9}]']),
    st.sampled_from(['[{"name": "a"}, {"name": 7}]', '[[1, 2, "a", "done", null]]', "[[],[],[]]"]),
    texts,
)


def or_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "SmallIntegerField": small,
    "IntegerField": whole,
    "BigIntegerField": large,
    "BigAutoField": ids,
    "ForeignKey": ids,
    "FloatField": floats,
    "BooleanField": st.booleans(),
    "DateTimeField": moments,
    "DateField": days,
    "CharField": texts,
    "TextField": texts,
}
states = st.one_of(st.sampled_from([0, 0, 0, 1, 2, 3, 3]), small)
#: By the name of the column, or of the model and the column.
OF_COLUMN: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("name", "task"), names),
    **dict.fromkeys(("queue", "PausedQueue.paused_by"), queues),
    **dict.fromkeys(("task_id", "step_id", "part_id", "worker_id", "end_blamed"), ids),
    **dict.fromkeys(("payload", "unique_key"), payloads),
    **dict.fromkeys(
        ("steps", "edges", "tasks", "inputs", "value", "history", "memory", "runs", "progress"),
        jsons,
    ),
    "own_state": jsons,
    "end_done": jsons,
    "Task.state": states,
    "Edge.state": states,
    "Edge.place": st.one_of(st.integers(0, 2), large),
    "end": st.one_of(st.sampled_from(list(End.values)), small),
    "step": st.one_of(st.sampled_from([60, 3600]), small),
    "unique_until": texts.map(lambda text: text[:6]),
    # The innocent's own queue is not to be paused.
    "PausedQueue.queue": texts.filter(lambda text: text != "default"),
    "Schedule.name": st.one_of(st.sampled_from(SCHEDULES), texts),
    "Schedule.schedule": st.one_of(
        st.sampled_from(["* * * * *", "every 1 s", "0 0 30 2 *", "at 2030-01-01T00:00:00+00:00"]),
        texts,
    ),
    "Schedule.time_zone": st.one_of(st.sampled_from(["UTC", "America", "Europe/Berlin"]), texts),
    # Not "all": that sends 20,000 tasks of each, before the innocent.
    "Schedule.catch_up": st.sampled_from(["once", "skip", "", "never"]),
}


def _values(model: type[Model], field: Field[Any, Any]) -> st.SearchStrategy[Any]:
    kind = field.get_internal_type()
    own = OF_COLUMN.get(f"{model.__name__}.{field.column}", OF_COLUMN.get(field.column or ""))
    values = OF_TYPE[kind] if own is None else own
    return or_null(values) if field.null else values


def rows_of(model: type[Model]) -> st.SearchStrategy[Row]:
    """Rows of a table. What has a default is not always given."""
    needed: dict[str, st.SearchStrategy[Any]] = {}
    others: dict[str, st.SearchStrategy[Any]] = {}
    for field in model._meta.concrete_fields:
        if field.column is None:  # a key of several columns
            continue
        own_id = field.get_internal_type() == "BigAutoField"
        column = others if field.null or field.has_db_default() or own_id else needed
        column[field.column] = _values(model, field)
    table = model._meta.db_table
    return st.fixed_dictionaries(needed, optional=others).map(lambda row: (table, row))


MODELS = list(apps.get_app_config("taskq").get_models())
TABLES = [model._meta.db_table for model in MODELS]
#: Most rows are tasks and what belongs to workflows.
_OFTEN = {"Task": 6, "Edge": 3, "SentWorkflow": 2, "Schedule": 2, "Worker": 2}
any_row = st.sampled_from(
    [model for model in MODELS for _ in range(_OFTEN.get(model.__name__, 1))]
).flatmap(rows_of)


def write(table: str, row: dict[str, Any]) -> bool:
    """Write a row, in place of a schedule of that name. False if a constraint is against it."""
    quoted = ", ".join(map(connection.ops.quote_name, row))
    marks = ", ".join(["%s"] * len(row))
    with connection.cursor() as cursor:
        if table == "taskq_schedule":
            cursor.execute("DELETE FROM taskq_schedule WHERE name = %s", [row["name"]])
        try:
            cursor.execute(f"INSERT INTO {table} ({quoted}) VALUES ({marks})", [*row.values()])
        except (DatabaseError, DataError, OverflowError):
            return False
    return True


def clear(pool: int) -> None:
    """Remove what nobody has claimed, and the workers of other pools than that of this pid."""
    with connection.cursor() as cursor:
        for table in TABLES:
            if table == "taskq_task":
                cursor.execute("DELETE FROM taskq_task WHERE state <> 1")
            elif table == "taskq_worker":
                cursor.execute("DELETE FROM taskq_worker WHERE pool NOT LIKE %s", [f"%:{pool}"])
            elif table != "taskq_schedule":
                cursor.execute(f"DELETE FROM {table}")
