"""The tables: the live work and what failed, and who works on it."""

from __future__ import annotations

import uuid

from django.db import connections, models, router, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from taskq import sql
from taskq.conf import DEFAULT_QUEUE, NAME_LENGTH, QUEUE_LENGTH
from taskq.schedules.models import Schedule

__all__ = ["Result", "Schedule", "ShownState", "State", "Task", "TaskQuerySet", "Worker"]


class State(models.IntegerChoices):
    """READY -> RUNNING -> gone | READY again (retry, loss) | FAILED."""

    READY = 0, _("ready")
    RUNNING = 1, _("running")
    FAILED = 2, _("failed")


class ShownState(models.TextChoices):
    """The states a person asks for. They overlap nowhere and leave nothing out."""

    PENDING = "pending", _("pending")
    FUTURE = "future", _("future")
    ACTIVE = "active", _("active")
    LOST = "lost", _("lost")
    FAILED = "failed", _("failed")


#: What makes a task pending, future and so on, by the database's clock.
SHOWN_WHEN: dict[ShownState, Q] = {
    ShownState.PENDING: Q(state=State.READY, execute_at__lte=Now()),
    ShownState.FUTURE: Q(state=State.READY, execute_at__gt=Now()),
    ShownState.ACTIVE: Q(state=State.RUNNING, worker__lease_expires_at__gt=Now()),
    ShownState.LOST: Q(state=State.RUNNING)
    & (Q(worker__lease_expires_at__isnull=True) | Q(worker__lease_expires_at__lte=Now())),
    ShownState.FAILED: Q(state=State.FAILED),
}


class Worker(models.Model):
    """A process of a pool, and the lease under which it holds tasks.

    The keeper of the pool writes these rows: it renews all of its leases in one
    statement, which touches no task. Who finds a lease expired takes back its
    tasks and removes the row.
    """

    pool = models.CharField(
        _("pool"), max_length=255, help_text=_("host and pid of the supervisor")
    )
    name = models.CharField(_("name"), max_length=64)
    host = models.CharField(_("host"), max_length=255)
    pid = models.IntegerField(_("process id"))
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    lease_expires_at = models.DateTimeField(_("lease expires at"))
    listens = models.BooleanField(
        _("listens"), db_default=False, help_text=_("its pool sleeps: an enqueuer should wake it")
    )

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        indexes = [
            models.Index(name="taskq_worker_listens", fields=["listens"], condition=Q(listens=True))
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.pool}"


class TaskQuerySet(models.QuerySet["Task"]):
    """The states a person asks for, and what a person may do to the tasks in them."""

    def pending(self) -> TaskQuerySet:
        """Due now, waiting for a worker."""
        return self.filter(SHOWN_WHEN[ShownState.PENDING])

    def future(self) -> TaskQuerySet:
        """Not due yet: delayed, or waiting for a retry."""
        return self.filter(SHOWN_WHEN[ShownState.FUTURE])

    def active(self) -> TaskQuerySet:
        """Held by a worker whose lease is good."""
        return self.filter(SHOWN_WHEN[ShownState.ACTIVE])

    def lost(self) -> TaskQuerySet:
        """Held by nobody who could finish it: its worker's lease has run out, and no
        pool has been there to take it back."""
        return self.filter(SHOWN_WHEN[ShownState.LOST])

    def failed(self) -> TaskQuerySet:
        """Given up, kept for a person to look at."""
        return self.filter(SHOWN_WHEN[ShownState.FAILED])

    def with_shown_state(self) -> TaskQuerySet:
        """Each task with its ``shown_state``, a value of :class:`ShownState`."""
        cases = [When(when, then=Value(state.value)) for state, when in SHOWN_WHEN.items()]
        return self.annotate(shown_state=Case(*cases, output_field=models.CharField()))

    def retry(self) -> int:
        """Have tasks run again, now: those that failed, and those that wait for their
        next run after one that did not succeed. Returns how many.

        What runs is left alone, and so is what has yet to run for the first time: it
        may be delayed for a reason. Retries, losses and attempts are counted anew, and an expiry
        that has passed is lifted, or the task would be dropped. The last error stays
        with the task until its next run ends. A pool that sleeps is woken.
        """
        using = self._writer()
        again = Q(state=State.FAILED) | Q(state=State.READY, attempt__gt=0, execute_at__gt=Now())
        with transaction.atomic(using=using):
            count = self._locked(again, using).update(
                state=State.READY,
                execute_at=Now(),
                expires_at=Case(When(expires_at__gt=Now(), then=F("expires_at"))),
                # Not attempt: the fence needs one that was never there before. Nor
                # isolated: it may still hurt those who are claimed with it.
                retries=0,
                losses=0,
                unknown_since=None,
                started_at=None,
                failed_at=None,
                history=None,
            )
        # After the commit, where it is ours: who goes to sleep meanwhile sees the tasks.
        wake = sql.of(connections[using].vendor).WAKE
        if count and wake:
            with connections[using].cursor() as cursor:
                cursor.execute(wake)
        return count

    def discard(self) -> int:
        """Delete the tasks that no worker holds; what runs is left alone. Returns how many.

        Unlike ``delete()`` it never reads the tasks first, and sends no signals.
        """
        using = self._writer()
        with transaction.atomic(using=using):
            # None for no tasks at all.
            return self._locked(~Q(state=State.RUNNING), using)._raw_delete(using) or 0

    # As with Django's own delete(): templates may call neither, and Task.objects has
    # neither, lest somebody retries or discards all there is.
    retry.alters_data = discard.alters_data = True  # type: ignore[attr-defined]
    retry.queryset_only = discard.queryset_only = True  # type: ignore[attr-defined]

    def _writer(self) -> str:
        return self._db or router.db_for_write(self.model)  # type: ignore[attr-defined]

    def _locked(self, condition: Q, using: str) -> TaskQuerySet:
        """These tasks, as far as they meet the condition once they are locked.

        A claim or a finish may come between the look at a row and its lock; PostgreSQL
        then looks at the condition again, but only where it is about the locked row
        itself, which is why it stands outside of our own subquery. They are locked in
        order of id, so that two who do this at once never wait for each other.
        """
        rows = TaskQuerySet(self.model, using=using)
        locked = rows.filter(condition, pk__in=self.using(using).values("pk"))
        return rows.filter(pk__in=locked.order_by("pk").select_for_update().values("pk"))


class Task(models.Model):
    """A call of a registered function, to be run by a worker.

    Column defaults live in the database, so that a plain INSERT of name and
    payload is a task like any other.
    """

    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    payload = models.TextField(_("arguments"), db_default="[[],{}]", help_text=_("encoded"))
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH, db_default=DEFAULT_QUEUE)
    priority = models.SmallIntegerField(
        _("priority"), db_default=0, help_text=_("-100 to 100, higher is sooner")
    )
    state = models.SmallIntegerField(_("state"), choices=State, db_default=State.READY)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    execute_at = models.DateTimeField(_("due at"), db_default=Now())
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("not started by then, it is dropped")
    )
    retries = models.IntegerField(_("retries"), db_default=0)

    # Who may write the outcome: this worker, for this attempt. No constraint in the
    # database: the claim locks the worker's row itself, once for all that it claims.
    worker = models.ForeignKey(
        Worker,
        verbose_name=_("worker"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="tasks",
    )
    attempt = models.IntegerField(
        _("attempt"), db_default=0, help_text=_("how often it was claimed")
    )
    started_at = models.DateTimeField(_("claimed at"), null=True, blank=True)

    losses = models.SmallIntegerField(
        _("losses"), db_default=0, help_text=_("how often it lost its worker")
    )
    max_losses = models.SmallIntegerField(
        _("losses allowed"),
        db_default=3,
        help_text=_("0: never run again after an interrupted run"),
    )
    isolated = models.BooleanField(
        _("claimed alone"), db_default=False, help_text=_("it was there when a worker was lost")
    )
    unknown_since = models.DateTimeField(
        _("unknown since"),
        null=True,
        blank=True,
        help_text=_("first seen by a worker that lacks it"),
    )
    error = models.TextField(_("error"), db_default="", blank=True)
    traceback = models.TextField(_("traceback"), db_default="", blank=True)
    failed_at = models.DateTimeField(_("failed at"), null=True, blank=True)
    # NULL takes no room in a row, and nearly all have none.
    scheduled_at = models.DateTimeField(
        _("scheduled at"), null=True, blank=True, help_text=_("the tick of a schedule it is for")
    )
    history = models.TextField(  # noqa: DJ001
        _("history"), null=True, blank=True, help_text=_("runs that came to nothing")
    )

    objects = TaskQuerySet.as_manager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        indexes = [
            # The one index that a claim reads: what waits, by lane (queue and
            # priority), then by due time.
            models.Index(
                F("queue"),
                F("priority").desc(),
                F("execute_at"),
                F("id"),
                name="taskq_task_ready",
                condition=Q(state=State.READY),
            ),
            # What a worker holds, for taking it back.
            models.Index(
                name="taskq_task_running", fields=["worker"], condition=Q(state=State.RUNNING)
            ),
            models.Index(
                name="taskq_task_failed", fields=["failed_at"], condition=Q(state=State.FAILED)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"

    @property
    def uuid(self) -> uuid.UUID:
        """The id that ``AsyncResult`` shows."""
        return uuid.UUID(int=self.pk)


class Result(models.Model):
    """What a task returned, of a task that keeps it (``ignore_result=False``).

    It is written by the statement that removes the task's row, under the same fence.
    What failed stays in its own table.
    """

    id = models.BigIntegerField(_("id of the task"), primary_key=True)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    payload = models.TextField(_("arguments"), help_text=_("encoded"))
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH)
    priority = models.SmallIntegerField(_("priority"))
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(_("claimed at"))
    finished_at = models.DateTimeField(_("finished at"))
    worker = models.TextField(_("worker"))
    history = models.TextField(_("history"), null=True)  # noqa: DJ001  as the task's
    value = models.TextField(_("value"), help_text=_("encoded"))

    class Meta:
        verbose_name = _("result")
        verbose_name_plural = _("results")
        indexes = [
            # For pruning.
            models.Index(name="taskq_result_finished", fields=["finished_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"
