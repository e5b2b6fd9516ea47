"""Look-ups of periodic tasks under the names of django-celery-beat."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Q

from taskq.celery.beat_schedules import BeatSchedule
from taskq.models.schedules import Schedule, ScheduleQuerySet

#: Names of django-celery-beat, and those of the columns.
_RENAMED = {
    "start_time": "start_at",
    "expires": "end_at",
    "last_run_at": "last_at",
    "total_run_count": "total_runs",
}
#: How the stored text of each kind of schedule begins.
_KINDS = {
    "interval": Q(schedule__startswith="every "),
    "clocked": Q(schedule__startswith="at "),
    "crontab": ~Q(schedule__startswith="every ") & ~Q(schedule__startswith="at "),
    "solar": Q(pk__in=()),
}


class PeriodicTaskQuerySet(ScheduleQuerySet):
    """A query set that knows both names of each column."""

    def enabled(self) -> Any:
        return self.filter(paused=False)

    def filter(self, *args: Any, **kwargs: Any) -> Any:
        return super().filter(*map(_translated, args), *_conditions(kwargs))

    def exclude(self, *args: Any, **kwargs: Any) -> Any:
        return super().exclude(*map(_translated, args), *_conditions(kwargs))

    def order_by(self, *names: Any) -> Any:
        return super().order_by(*map(_order, names))

    def update(self, **values: Any) -> int:
        """Change and save each. Returns how many."""
        with_columns = values.keys() <= {each.name for each in self.model._meta.concrete_fields}
        if with_columns and not values.keys() & _CHECKED:
            return super().update(**values)
        rows: list[Schedule] = list(self)
        for row in rows:
            for name, value in values.items():
                setattr(row, name, value)
            row.save(using=self.db)
        return len(rows)


#: Columns whose change has to be checked, or moves the next tick.
_CHECKED = {"schedule", "time_zone", "start_at", "end_at", "payload", "queue", "priority", "task"}


def _translated(condition: Any) -> Any:
    if not isinstance(condition, Q):
        return condition
    children = [
        Q(*_conditions({child[0]: child[1]})) if isinstance(child, tuple) else _translated(child)
        for child in condition.children
    ]
    return Q(*children, _connector=condition.connector, _negated=condition.negated)


def _conditions(given: dict[str, Any]) -> list[Q]:
    return [_condition(name, value) for name, value in given.items()]


def _condition(key: str, value: Any) -> Q:
    name, _, lookup = key.partition("__")
    if name in _RENAMED:
        return Q(**{"__".join(filter(None, (_RENAMED[name], lookup))): value})
    if name == "enabled" and lookup in ("", "exact"):
        return Q(paused=not value)
    if name in _KINDS:
        return _of_kind(name, lookup, value)
    if name == "args" and not lookup:
        return Q(payload__startswith=f"[{_compact(value)},")
    if name == "kwargs" and not lookup:
        text = f",{_compact(value)}"
        return Q(payload__endswith=f"{text}]") | Q(payload__contains=f"{text},{{")
    if name in ("args", "kwargs") and lookup in ("contains", "icontains"):
        return Q(**{f"payload__{lookup}": value.replace('": ', '":').replace(", ", ",")})
    return Q(**{key: value})


def _of_kind(name: str, lookup: str, value: Any) -> Q:
    if lookup == "isnull" or value is None:
        missing = value if lookup == "isnull" else True
        return ~_KINDS[name] if missing else _KINDS[name]
    if lookup or not isinstance(value, BeatSchedule):
        raise TypeError(f"{name} is {value!r}: look it up by a schedule, or by {name}__isnull")
    timing = value.as_timing("UTC")
    found = Q(schedule=timing.text)
    return found & Q(time_zone=getattr(timing, "zone", "")) if name == "crontab" else found


def _compact(text: str) -> str:
    """JSON as it is stored."""
    return json.dumps(json.loads(text), separators=(",", ":"))


def _order(name: Any) -> Any:
    if not isinstance(name, str):
        return name
    plain = name.removeprefix("-")
    if plain == "enabled":
        return "paused" if name.startswith("-") else "-paused"
    return name.replace(plain, _RENAMED.get(plain, plain), 1)
