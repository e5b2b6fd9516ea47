"""What becomes of a run that raised ``Ignore`` or ``Reject``."""

from __future__ import annotations

from taskq import error_text
from taskq.exceptions import Ignore, Reject
from taskq.task import payload
from taskq.task.outcomes import Done, Failed, Ignored, Outcome, Retried
from taskq.task.request import Request

#: Seconds before a rejected task runs again. A task that always rejects itself must cost little.
AGAIN = 1.0


def outcome(error: Ignore, request: Request, *, keeps: bool) -> Outcome:
    """The outcome of the run. What it has said of itself last is what is known of it then.

    keeps: whether the task keeps its result.
    """
    hide, kind = request.hide, error_text.kind(error)
    if isinstance(error, Reject):
        reason = "" if error.reason is None else str(error.reason)
    else:
        reason = str(error)
    if hide is not None:
        reason = hide(reason)
    if isinstance(error, Reject) and error.requeue:
        return Retried(None, AGAIN, reason or "rejected", "", kind)
    state, meta = request.said or ("", None)
    if state == "FAILURE":
        text = "" if meta is None else str(meta)
        text = text if hide is None else hide(text)
        return Failed(text or reason or "the task said FAILURE", "", kind)
    if state == "SUCCESS":
        encoded = payload.encode_result(meta, request.name) if keeps else None
        return Done(written=False, result=encoded)
    return Ignored(reason)
