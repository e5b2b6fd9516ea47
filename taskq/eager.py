"""``CELERY_TASK_ALWAYS_EAGER``: the task runs in the caller, at once, for tests."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings

from taskq import conf, payload, retries
from taskq.context import Request
from taskq.registry import Definition
from taskq.running import call


class EagerResult:
    """The outcome of a task that ran at once.

    ``result`` is what it returned, or the exception that it raised.
    """

    def __init__(self, result: Any, error: BaseException | None) -> None:
        self.id = uuid.uuid4()
        self.result = result if error is None else error
        self._error = error

    @property
    def task_id(self) -> uuid.UUID:
        return self.id

    @property
    def status(self) -> str:
        return "SUCCESS" if self._error is None else "FAILURE"

    state = status

    @property
    def traceback(self) -> str | None:
        return None if self._error is None else "".join(traceback.format_exception(self._error))

    def ready(self) -> bool:
        return True

    def successful(self) -> bool:
        return self._error is None

    def failed(self) -> bool:
        return self._error is not None

    def get(self, timeout: float | None = None, propagate: bool = True, **ignored: Any) -> Any:
        """What it returned; raises what it raised, unless ``propagate`` is False."""
        if self._error is not None and propagate:
            raise self._error
        return self.result

    def revoke(self) -> bool:
        """It has run already: nothing to revoke."""
        return False


def run(
    definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any], *, queue: str | None
) -> EagerResult:
    """Run a task now, with its retries at once one after the other.

    The arguments are encoded and decoded as for a real run, so that a test sees
    what production would. Raises what the task raises when
    ``CELERY_TASK_EAGER_PROPAGATES`` is set.
    """
    text = payload.encode(args, kwargs)
    name = queue or definition.options.queue or conf.DEFAULT_QUEUE
    done = 0
    while True:
        request = Request(id=None, name=definition.name, queue=name, retries=done, is_eager=True)
        try:
            return EagerResult(call(definition, request, *payload.decode(text)), None)
        except Exception as error:
            if retries.after(error, definition.options, done) is not None:
                done += 1
                continue
            if getattr(django_settings, "CELERY_TASK_EAGER_PROPAGATES", False):
                raise
            return EagerResult(None, error)
