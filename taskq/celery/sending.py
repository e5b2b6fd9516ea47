"""``delay()`` and ``apply_async()``: the methods of a task that send it."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, cast

from django.db import connections, router, transaction

from taskq import lazy_models
from taskq.celery import eager, own_sending
from taskq.celery import options as celery_options
from taskq.celery.async_result import AsyncResult
from taskq.celery.eager import EagerResult
from taskq.celery.options_in_force import TermsOf
from taskq.celery.signals import before_task_publish
from taskq.outbox import enqueue, given_ids
from taskq.outbox.calls import Call, are_keywords, pairs_of
from taskq.outbox.terms import Terms
from taskq.task import call_notes, registry
from taskq.task.call_notes import Notes
from taskq.task.options import TaskOptions

P = ParamSpec("P")
R = TypeVar("R")


class Sends(Generic[P, R]):
    """A part of :class:`taskq.celery.Task`."""

    name = ""
    options: TaskOptions
    _definition: registry.Definition
    #: Makes a signature: see :class:`taskq.celery.canvas.methods.CanvasMethods`.
    signature: Callable[..., Any]
    #: Adds terms that the task or a route gives to a call; None for none.
    terms_of: TermsOf | None = None

    @property
    def sends_itself(self) -> bool:
        """Whether the class of the task, or a test, has an ``apply_async()`` of its own."""
        return type(self).apply_async is not Sends.apply_async or "apply_async" in vars(self)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult | EagerResult:
        """Send the task with these arguments of the function; raises as ``apply_async()``."""
        if self.sends_itself:
            return self.apply_async(args, kwargs)
        return self._send(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | uuid.UUID | None = None,
        *,
        countdown: float | datetime.timedelta | None = None,
        eta: datetime.datetime | None = None,
        expires: float | datetime.timedelta | datetime.datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        headers: Mapping[str, Any] | None = None,
        time_limit: float | None = None,
        soft_time_limit: float | None = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        using: str | None = None,
        unique_key: str | None = None,
        idempotency_key: str | None = None,
        **ignored: Any,
    ) -> AsyncResult | EagerResult:
        """Send the task with options, in the transaction that is open.

        Args:
            args: Positional arguments of the function.
            kwargs: Keyword arguments of the function.
            task_id: An id of your own, a text or a UUID. ``AsyncResult`` finds the task by it, and
                its runs have it as ``request.id``. A second send with the same id is another task:
                from there on the id stands for that one.
            countdown: Seconds until it is due, by the clock of the database; it wins over ``eta``.
            eta: When it is due. A naive time is in Django's current time zone.
            expires: Seconds, or a time. If it has not started by then, it is dropped.
            queue: In place of the queue of the task.
            priority: In place of the priority of the task.
            headers: A dict that goes along, to ``request.headers``. It counts into MAX_PAYLOAD.
            time_limit: Seconds, in place of the hard limit of the task.
            soft_time_limit: Seconds, in place of its soft limit.
            root_id: The id of the task that began it all, for ``request.root_id``.
            parent_id: The id of the task that this one comes from, for ``request.parent_id``.
            using: The alias of the database. By default the router decides.
            unique_key: In place of the key that ``unique`` makes of the arguments.
            idempotency_key: A second call with this key gets the task of the first.
            link: A signature, or a list of them, sent once the task has succeeded.
            link_error: A signature, or a list of them, sent if the task fails for good.
            throw: In eager mode, raise what the task raises.

        Raises:
            TypeError: The arguments do not fit the function, or an option is unknown or refused.
            ValueError: An option is out of range, or the arguments cannot be stored.
        """
        if self.sends_itself or ignored.get("link") or ignored.get("link_error"):
            options = {
                "countdown": countdown, "eta": eta, "expires": expires, "queue": queue,
                "priority": priority, "headers": headers, "using": using,
                "unique_key": unique_key, "idempotency_key": idempotency_key, "task_id": task_id,
                "time_limit": time_limit, "soft_time_limit": soft_time_limit, **ignored,
            }  # fmt: skip
            given = {name: each for name, each in options.items() if each is not None}
            if (taken := own_sending.take(self, args, kwargs, given)) is not None:
                return taken
            if ignored.get("link") or ignored.get("link_error"):
                sent: AsyncResult | EagerResult = self.signature(args, kwargs, given).send_made()
                return sent
        if ignored:
            celery_options.check_call(ignored)
            if ignored.get("ignore_result") is False and self.options.ignore_result:
                raise TypeError(
                    f"ignore_result is False, but {self.name} keeps no results: "
                    "say @shared_task(ignore_result=False)"
                )
        if isinstance(args, (str, bytes)) or not isinstance(args or (), Sequence):
            raise TypeError(f"args is {args!r}: give a list or tuple of the positional arguments")
        if not are_keywords(kwargs or {}):
            raise TypeError(f"kwargs is {kwargs!r}: give a dict of the keyword arguments")
        if task_id is not None:
            task_id = given_ids.check(task_id)
        limits = time_limit, soft_time_limit
        if task_id or root_id or parent_id or limits != (None, None):
            headers = self._noted(headers, task_id, limits, root_id, parent_id)
        return self._send(
            args or (),
            kwargs or {},
            using,
            unique_key,
            idempotency_key,
            task_id,
            ignored.get("throw"),
            countdown=countdown,
            eta=eta,
            expires=expires,
            queue=queue,
            priority=priority,
            headers=headers,
        )

    def delay_many(
        self, calls: Iterable[Call], *, using: str | None = None, **terms: Unpack[Terms]
    ) -> list[AsyncResult | EagerResult]:
        """Send the task once for each call, by one statement: all or none. The handles are in the
        order of the calls.

        Args:
            calls: For each a tuple or list of positional arguments, or a dict of keyword ones.
            using: The alias of the database. By default the router decides.
            **terms: queue, priority, countdown, eta, expires and headers, for all calls.

        Raises:
            TypeError, ValueError: As ``apply_async()``, with the index of the call that is wrong.
        """
        check = self._definition.check_call if self.options.typing else None
        pairs = pairs_of(calls, check)
        if self.terms_of is not None:
            terms = cast(Terms, self.terms_of((), {}, terms))
        if eager.is_on():
            rows = enqueue.rows(self.name, pairs, self.options, **terms)
            return [eager.run(self._definition, row, using=using) for row in rows]
        ids, _ = enqueue.enqueue_many(self.name, pairs, self.options, using=using, **terms)
        return [AsyncResult.of(id, using) for id in ids]

    def _send(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        using: str | None = None,
        unique_key: str | None = None,
        idempotency_key: str | None = None,
        task_id: str | None = None,
        throw: bool | None = None,
        **terms: Unpack[Terms],
    ) -> AsyncResult | EagerResult:
        if self.options.typing:
            self._definition.check_call(args, kwargs)
        if self.terms_of is not None:
            terms = cast(Terms, self.terms_of(args, kwargs, terms))
        if eager.is_on():
            row = enqueue.row(self.name, args, kwargs, self.options, **terms)
            enqueue.check_keys(self.name, args, kwargs, self.options, unique_key, idempotency_key)
            return eager.run(self._definition, row, using=using, throw=throw)
        if task_id is None and before_task_publish.receivers:
            # A receiver reads the id before there is a row, of whose number it would be made.
            task_id = str(uuid.uuid4())
            headers = self._noted(terms.get("headers"), task_id, (None, None), None, None)
            terms = {**terms, "headers": headers}
        if task_id is None:
            sent = enqueue.enqueue(
                self.name,
                args,
                kwargs,
                self.options,
                using=using,
                unique_key=unique_key,
                idempotency_key=idempotency_key,
                **terms,
            )
            return AsyncResult.of(sent.id, using)
        alias = using or router.db_for_write(lazy_models.Task)
        with transaction.atomic(alias):
            sent = enqueue.enqueue(
                self.name,
                args,
                kwargs,
                self.options,
                using=alias,
                unique_key=unique_key,
                idempotency_key=idempotency_key,
                **terms,
            )
            given_ids.note(connections[alias], {task_id: sent.id})
        return AsyncResult.of(sent.id, using, given=task_id)

    @staticmethod
    def _noted(
        headers: Mapping[str, Any] | None,
        task_id: str | None,
        limits: tuple[float | None, float | None],
        root_id: str | None,
        parent_id: str | None,
    ) -> Mapping[str, Any]:
        """The headers, with what the call says to its run."""
        if headers is not None and not are_keywords(headers):
            raise TypeError(f"headers is {headers!r}: give a dict with keys of str, or None")
        notes = Notes()
        if task_id is not None:
            notes["id"] = task_id
        if limits != (None, None):
            call_notes.check_limits(*limits)
            notes["limits"] = limits
        if root_id is not None:
            notes["root"] = str(root_id)
        if parent_id is not None:
            notes["parent"] = str(parent_id)
        return call_notes.added(headers, notes)

    def delay_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult | EagerResult:
        """The same as :meth:`delay`, because a task is always part of the transaction."""
        return self.delay(*args, **kwargs)

    def apply_async_on_commit(self, *args: Any, **options: Any) -> AsyncResult | EagerResult:
        """The same as :meth:`apply_async`, because a task is always part of the transaction."""
        return self.apply_async(*args, **options)

    def apply(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        throw: bool | None = None,
        task_id: str | uuid.UUID | None = None,
        headers: Mapping[str, Any] | None = None,
        **ignored: Any,
    ) -> EagerResult:
        """Run the task here and now, with its retries, as in eager mode.

        Args:
            args: Positional arguments of the function.
            kwargs: Keyword arguments of the function.
            throw: Raise what the task raises. By default ``CELERY_TASK_EAGER_PROPAGATES`` decides.
            task_id: The id of the run. By default a random one.
            headers: A dict for ``request.headers``.
            **ignored: Other options of ``apply_async()``, which mean nothing here.
        """
        if task_id is not None:
            headers = call_notes.added(headers, Notes(id=given_ids.check(task_id)))
        row = enqueue.row(self.name, args or (), kwargs or {}, self.options, headers=headers)
        return eager.run(self._definition, row, using=None, throw=throw)
