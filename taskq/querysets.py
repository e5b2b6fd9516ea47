"""Tasks by the states that a person asks for, and what a person may do to them."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

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
        """Held by no worker that could finish it: its worker's lease has run out, or its worker
        is in no table any more, and no pool has been there to take it back."""
        return self.filter(SHOWN_WHEN[ShownState.LOST])

    def failed(self) -> TaskQuerySet:
        """Given up, kept for a person to look at."""
        return self.filter(SHOWN_WHEN[ShownState.FAILED])

    def cancelled(self) -> TaskQuerySet:
        """Cancelled while a worker held them, kept for a person to look at."""
        return self.filter(SHOWN_WHEN[ShownState.CANCELLED])

    def rivalled(self) -> TaskQuerySet:
        """What :meth:`retry` has left of those that failed: another holds their unique key."""
        return self.filter(state=State.FAILED, unique_key__isnull=False)

    def with_shown_state(self) -> TaskQuerySet:
        """Each task with its ``shown_state``, a value of :class:`ShownState`."""
        cases = [When(when, then=Value(state.value)) for state, when in SHOWN_WHEN.items()]
        return self.annotate(shown_state=Case(*cases, output_field=models.CharField()))

    def retry(self) -> int:
        """Have tasks run again, now: those that failed, those that are lost, and those that
        wait for their next run after one that did not succeed. Returns how many.

        What runs is left alone, and so is what has yet to run for the first time: it
        may be delayed for a reason. Retries and losses are counted anew, and an expiry
        that has passed is lifted, or the task would be dropped. The last error stays
        with the task until its next run ends. A pool that sleeps is woken.

        Nor is a failed task retried while another holds its unique key, or together with
        one that failed after it.
        """
        using = self._writer()
        count = self._retry(using)
        if count:
            # After the commit, where it is ours: who goes to sleep meanwhile sees the tasks.
            wake(using)
        return count

    def _retry(self, using: str, tries: int = 10) -> int:
        waits = Q(state=State.READY, attempt__gt=0, execute_at__gt=Now())
        again = Q(state=State.FAILED) | waits | self._lost(using)
        with suppress(IntegrityError) if tries > 1 else nullcontext(), transaction.atomic(using):
            return self._locked(again & ~self._has_rival(using), using).update(
                # What was lost may hurt those who are claimed with it.
                isolated=Case(When(state=State.RUNNING, then=True), default=F("isolated")),
                state=State.READY,
                worker=None,
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
                cancelled_at=None,
                progress=None,
            )
        # Somebody took one of the keys after we looked: look again.
        return self._retry(using, tries - 1)

    def discard(self) -> int:
        """Delete the tasks that no worker holds, lost ones too; what runs is left alone.
        Returns how many.

        Unlike ``delete()`` it never reads the tasks first, and sends no signals.
        """
        using = self._writer()
        with transaction.atomic(using=using):
            idle = ~Q(state=State.RUNNING) | self._lost(using)
            # None for no tasks at all.
            return self._locked(idle, using)._raw_delete(using) or 0

    def cancel(self) -> Cancelled:
        """Remove those that wait, and have those that run end; see :mod:`taskq.keeper.canceller`.

        The run of a lost one is over: it is kept as cancelled at once, and counted as asked.
        As everything else, part of the transaction that is open.
        """
        using = self._writer()
        with transaction.atomic(using=using):
            if connections[using].features.has_select_for_update:
                # All of them first: a claim in between would hide a task from both below.
                self._locked(~Q(state=State.FAILED), using).count()
            removed = self._locked(Q(state=State.READY), using)._raw_delete(using) or 0
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

    # As with Django's own delete(): templates may call none, and Task.objects has none,
    # lest somebody retries, cancels or discards all there is.
    retry.alters_data = discard.alters_data = cancel.alters_data = True  # type: ignore[attr-defined]
    retry.queryset_only = discard.queryset_only = cancel.queryset_only = True  # type: ignore[attr-defined]

    def _has_rival(self, using: str) -> Q:
        """A failed task whose unique key another holds, or will once it is retried."""
        same = TaskQuerySet(self.model, using=using).filter(
            name=OuterRef("name"), unique_key=OuterRef("unique_key")
        )
        later = same.filter(
            state=State.FAILED, pk__gt=OuterRef("pk"), pk__in=self.using(using).values("pk")
        )
        rival = Exists(same.filter(state__lt=State.FAILED)) | Exists(later)
        return Q(state=State.FAILED, unique_key__isnull=False) & rival

    def _lost(self, using: str) -> Q:
        """As :meth:`lost`, of tasks that may change hands while they are waited for: it names
        the workers that hold them, and one that claims such a task meanwhile is not among these."""
        holders = TaskQuerySet(self.model, using=using).lost().values("worker_id")
        return Q(Q(worker__isnull=True) | Q(worker__in=holders), state=State.RUNNING)

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
