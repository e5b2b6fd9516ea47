"""How each step of a sent workflow stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import models
from django.utils.translation import gettext_lazy as _

from taskq.models import On, State
from taskq.workflow.shape import Input, Shape


class Standing(models.TextChoices):
    """The states of a step. What needs a person comes first, and what is over last."""

    FAILED = "failed", _("failed")
    RUNNING = "active", _("running")
    READY = "pending", _("ready")
    BLOCKED = "blocked", _("blocked")
    CANCELLED = "cancelled", _("cancelled")
    DONE = "done", _("done")
    GONE = "gone", _("did not run")


_OF_ROW: dict[int, Standing] = {
    State.READY: Standing.READY,
    State.RUNNING: Standing.RUNNING,
    State.FAILED: Standing.FAILED,
    State.BLOCKED: Standing.BLOCKED,
}


def of_row(state: int, cancelled: bool) -> Standing:
    """The standing of a step whose row is there. One of a state that this version does not know is
    shown as ready: it is not over."""
    found = _OF_ROW.get(state, Standing.READY)
    return Standing.CANCELLED if found is Standing.FAILED and cancelled else found


def standings(shape: Shape, rows: Mapping[int, Standing], *, cancelled: bool) -> Sequence[Standing]:
    """How each step stands.

    A step without a row is done, unless its parts show that it can never have run: such as what
    runs only after a failure that did not happen. Nothing else is noted of it.

    rows: the steps whose rows are there, by primary key.
    cancelled: the workflow was. Then a step without a row may have been removed before it ran, and
        counts as gone.
    """
    found: list[Standing] = []
    for step, id in enumerate(shape.ids):
        standing = rows.get(id)
        if standing is None:
            ran = not cancelled and _had_inputs(shape, step, found)
            standing = Standing.DONE if ran else Standing.GONE
        found.append(standing)
    return found


def _had_inputs(shape: Shape, step: int, found: Sequence[Standing]) -> bool:
    given: dict[int, bool] = {}
    for each in shape.inputs(step):
        given[each.place] = given.get(each.place, False) or _gives(each, found[each.part])
    return all(given.values())


def _gives(given: Input, part: Standing) -> bool:
    """Whether a part that stands like this gives the input."""
    if part is Standing.DONE:
        return given.on != On.FAILED
    if part is Standing.FAILED:
        return given.on in (On.FAILED, On.ENDED)
    return part in (Standing.CANCELLED, Standing.GONE) and given.on == On.ENDED
