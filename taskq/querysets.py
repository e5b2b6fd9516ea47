"""Tasks by the states that people ask for, and the actions that people can take on them."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

from django.apps import apps
from django.db import IntegrityError, connections, models, router, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce, Now

from taskq.sql.notify import tell_cancelled, wake
from taskq.task.states import SHOWN_WHEN, ShownState, State

if TYPE_CHECKING:
    from taskq.models import Task  # noqa: F401  in a type argument, as a string


class Cancelled(NamedTuple):
    """How many tasks were removed before they ran, and how many runs were asked to end."""

    removed: int
    asked: int


class TaskQuerySet(models.QuerySet["Task"]):
    """Tasks by the states that people ask for, with the actions that people can take."""

    def pending(self) -> TaskQuerySet:
        """Due now, and waiting for a worker."""
        return self.filter(SHOWN_WHEN[ShownState.PENDING])

    def future(self) -> TaskQuerySet:
        """Not due yet: delayed, or waiting for a retry."""
        return self.filter(SHOWN_WHEN[ShownState.FUTURE])

    def blocked(self) -> TaskQuerySet:
        """Steps of workflows that wait for other steps."""
        return self.filter(SHOWN_WHEN[ShownState.BLOCKED])

    def active(self) -> TaskQuerySet:
        """Held by a worker whose lease is good."""
        return self.filter(SHOWN_WHEN[ShownState.ACTIVE])

    def lost(self) -> TaskQuerySet:
        """Running by their rows, but no worker can finish them: the worker's lease has expired or
        its row is gone, and no pool has reclaimed them yet."""
        return self.filter(SHOWN_WHEN[ShownState.LOST])

    def failed(self) -> TaskQuerySet:
        """Failed, and kept so that a person can look at them."""
        return self.filter(SHOWN_WHEN[ShownState.FAILED])

    def cancelled(self) -> TaskQuerySet:
        """Cancelled while a worker held them, and kept so that a person can look at them."""
        return self.filter(SHOWN_WHEN[ShownState.CANCELLED])

    def rivalled(self) -> TaskQuerySet:
        """Failed tasks that :meth:`retry` leaves alone, because another holds their unique key."""
        return self.filter(state=State.FAILED, unique_key__isnull=False)

    def with_shown_state(self) -> TaskQuerySet:
        """Each task with its ``shown_state``, a value of :class:`ShownState`."""
        cases = [When(when, then=Value(state.value)) for state, when in SHOWN_WHEN.items()]
        return self.annotate(shown_state=Case(*cases, output_field=models.CharField()))

    def retry(self) -> int:
        """Run tasks again, now: failed ones, lost ones, and ones that wait for their next run
        after a run that did not succeed. Returns how many.

        A running task is left alone. So is a task that has not run yet, because it may be delayed
        for a reason. Retries and losses are counted from 0 again. An expiry that has passed is
        removed, because with it the task would be dropped. The last error stays until the next
        run ends. A sleeping pool is woken.

        A failed task is not retried while another task holds its unique key. Of several failed
        tasks with the same key, the last one is retried.
        """
        using = self._writer()
        count = self._retry(using)
        if count:
            # After the commit, unless the caller's transaction goes on. A pool that goes to sleep
            # meanwhile then sees the tasks.
            wake(using)
        return count

    def _retry(self, using: str, tries: int = 10) -> int:
        waits = Q(state=State.READY, attempt__gt=0, execute_at__gt=Now())
        again = Q(state=State.FAILED) | waits | self._lost(using)
        with suppress(IntegrityError) if tries > 1 else nullcontext(), transaction.atomic(using):
            return self._locked(again & ~self._has_rival(using), using).update(
                # A lost task may have killed its worker, so it is claimed alone.
                isolated=Case(When(state=State.RUNNING, then=True), default=F("isolated")),
                state=State.READY,
                worker=None,
                execute_at=Now(),
                expires_at=Case(When(expires_at__gt=Now(), then=F("expires_at"))),
                # attempt stays, because the fence needs a number that was never used. isolated
                # stays too, because the task may still kill its worker.
                retries=0,
                losses=0,
                unknown_since=None,
                started_at=None,
                failed_at=None,
                history=None,
                cancelled_at=None,
                progress=None,
            )
        # Another task took one of the keys after our look: look again.
        return self._retry(using, tries - 1)

    def run_now(self) -> int:
        """Make waiting tasks due now: delayed ones, and ones that wait for a retry. Returns how
        many. A sleeping pool is woken.

        Counts stay, unlike with :meth:`retry`. A task whose expiry has passed is dropped by the
        worker that claims it.
        """
        using = self._writer()
        with transaction.atomic(using):
            waits = Q(state=State.READY, execute_at__gt=Now())
            count = self._locked(waits, using).update(execute_at=Now())
        if count:
            wake(using)
        return count

    def discard(self) -> int:
        """Delete the tasks that no worker holds, lost ones too. A running task is left alone.
        Returns how many.

        Unlike ``delete()`` it does not read the tasks first, and sends no signals.
        """
        using = self._writer()
        with transaction.atomic(using=using):
            idle = ~Q(state=State.RUNNING) | self._lost(using)
            self._void_what_waits(idle, using)
            # Django returns None when there is nothing to delete.
            return self._locked(idle, using)._raw_delete(using) or 0

    def cancel(self) -> Cancelled:
        """Remove tasks that wait, and end those that run; see :mod:`taskq.keeper.canceller`.

        A lost task has no run to end: it is kept as cancelled at once, and counted as asked. This
        is part of the open transaction.
        """
        using = self._writer()
        with transaction.atomic(using=using):
            if connections[using].features.has_select_for_update:
                # Lock all of them first: a claim in between would hide a task from both queries.
                self._locked(~Q(state=State.FAILED), using).count()
            waiting = Q(state__in=(State.READY, State.BLOCKED))
            self._void_what_waits(waiting, using)
            removed = self._locked(waiting, using)._raw_delete(using) or 0
            over = self._locked(self._lost(using), using).update(
                state=State.FAILED,
                worker=None,
                cancelled_at=Coalesce("cancelled_at", Now()),
                failed_at=Now(),
                error="cancelled; its worker was lost",
                traceback="",
            )
            running = self._locked(Q(state=State.RUNNING), using)
            asked = running.update(cancelled_at=Coalesce("cancelled_at", Now()))
            if asked:
                tell_cancelled(using)
        return Cancelled(removed, asked + over)

    # As for Django's own delete(): templates cannot call them, and Task.objects lacks them. So
    # nobody retries, cancels or discards all tasks by mistake.
    for _verb in (retry, run_now, discard, cancel):
        _verb.alters_data = _verb.queryset_only = True  # type: ignore
    del _verb

    def _void_what_waits(self, condition: Q, using: str) -> None:
        """Steps of workflows are about to be removed: what waits for them waits in vain. A keeper
        removes that too."""
        workflows = apps.get_model("taskq", "SentWorkflow").objects.using(using)
        if not workflows.filter(finished_at=None).exists():
            return
        edges = apps.get_model("taskq", "Edge").objects.using(using)
        steps = self._locked(condition & Q(workflow__isnull=False), using).values("pk")
        parts = edges.filter(part_id__in=steps, state=0)
        parts.update(state=Case(When(waits_for=2, then=Value(1)), default=Value(2)))
        edges.filter(step_id__in=steps).delete()

    def _has_rival(self, using: str) -> Q:
        """The condition for a failed task whose unique key another holds, or will hold once it
        is retried."""
        same = TaskQuerySet(self.model, using=using).filter(
            name=OuterRef("name"), unique_key=OuterRef("unique_key")
        )
        later = same.filter(
            state=State.FAILED, pk__gt=OuterRef("pk"), pk__in=self.using(using).values("pk")
        )
        rival = Exists(same.filter(state__lt=State.FAILED)) | Exists(later)
        return Q(state=State.FAILED, unique_key__isnull=False) & rival

    def _lost(self, using: str) -> Q:
        """The condition for :meth:`lost`, for a query that waits for locks. It names the workers.
        So a task that another worker claims meanwhile does not meet it."""
        holders = TaskQuerySet(self.model, using=using).lost().values("worker_id")
        return Q(Q(worker__isnull=True) | Q(worker__in=holders), state=State.RUNNING)

    def _writer(self) -> str:
        return self._db or router.db_for_write(self.model)  # type: ignore[attr-defined]

    def _locked(self, condition: Q, using: str) -> TaskQuerySet:
        """These tasks, locked, as far as they meet the condition then.

        A claim or a finish may come between the look at a row and its lock. PostgreSQL then
        checks the condition again, but only a condition on the locked row itself. So it stands
        outside of the subquery. The rows are locked in order of id, so that two callers at the
        same time never wait for each other.
        """
        rows = TaskQuerySet(self.model, using=using)
        locked = rows.filter(condition, pk__in=self.using(using).values("pk"))
        return rows.filter(pk__in=locked.order_by("pk").select_for_update().values("pk"))
