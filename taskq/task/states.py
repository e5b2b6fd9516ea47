"""The states of a task: those in its row, and those that people ask for."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class State(models.IntegerChoices):
    """READY -> RUNNING -> gone | READY again (retry, loss) | FAILED.

    A step of a workflow that waits for others is BLOCKED before that. No claim reads such rows.
    """

    READY = 0, _("ready")
    RUNNING = 1, _("running")
    FAILED = 2, _("failed")
    BLOCKED = 3, _("blocked")


class EdgeState(models.IntegerChoices):
    """OPEN -> DONE | VOID."""

    OPEN = 0, _("open")
    DONE = 1, _("done")
    VOID = 2, _("void")


class On(models.IntegerChoices):
    """Which end of a part an edge waits for. A part may end its chain, or drop its callbacks, and
    be done all the same: CHAIN and LINK are the edges to those."""

    DONE = 0, _("done")
    FAILED = 1, _("failed")
    ENDED = 2, _("ended")
    CHAIN = 3, _("done, the chain goes on")
    LINK = 4, _("done, with its callbacks")


class ShownState(models.TextChoices):
    """The states that people ask for. Each task is in exactly one of them."""

    PENDING = "pending", _("pending")
    FUTURE = "future", _("future")
    ACTIVE = "active", _("active")
    LOST = "lost", _("lost")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")
    BLOCKED = "blocked", _("blocked")


#: The condition for each shown state, by the database's clock.
SHOWN_WHEN: dict[ShownState, Q] = {
    ShownState.PENDING: Q(state=State.READY, execute_at__lte=Now()),
    ShownState.FUTURE: Q(state=State.READY, execute_at__gt=Now()),
    ShownState.ACTIVE: Q(state=State.RUNNING, worker__lease_expires_at__gt=Now()),
    ShownState.LOST: Q(state=State.RUNNING)
    & (Q(worker__lease_expires_at__isnull=True) | Q(worker__lease_expires_at__lte=Now())),
    ShownState.FAILED: Q(state=State.FAILED, cancelled_at__isnull=True),
    ShownState.CANCELLED: Q(state=State.FAILED, cancelled_at__isnull=False),
    ShownState.BLOCKED: Q(state=State.BLOCKED),
}
