"""The number of tasks of each name in each state."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from taskq.models import SHOWN_WHEN, ShownState, TaskQuerySet


@dataclass(frozen=True)
class Row:
    """The counts of one name. ``counts`` is in the order of :class:`ShownState`."""

    name: str
    counts: list[tuple[ShownState, int]]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.counts)


def by_name(tasks: TaskQuerySet) -> list[Row]:
    """One row for each name, in order of name. It is one query, which reads the whole table."""
    counts = {state.value: Count("pk", filter=when) for state, when in SHOWN_WHEN.items()}
    found = tasks.order_by("name").values("name").annotate(**counts).values_list("name", *counts)
    return [Row(name, list(zip(SHOWN_WHEN, counted, strict=True))) for name, *counted in found]


def totals(rows: list[Row]) -> list[tuple[ShownState, int]]:
    """The sum of each state."""
    return [
        (state, sum(row.counts[place][1] for row in rows)) for place, state in enumerate(ShownState)
    ]
