"""What releases the steps that wait for the ends of parts. taskq/sql/postgresql/workflows.py has
the statements, and says why a part releases twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from taskq import sql
from taskq.sql.statements import WorkflowStatements
from taskq.store.endings import Ending, passing


class Parts(NamedTuple):
    """Parts of workflows for whose end others may wait, beside those that end just now.

    passed: they are done, and that is committed.
    stopped: they have failed, or are gone without an end.
    served: the queues whose steps the caller will look for itself, with the same claim. None for
        all. By default it claims nothing, so a pool is woken for whatever is released.
    """

    passed: Sequence[int] = ()
    stopped: Sequence[int] = ()
    served: Sequence[str] | None = ()

    @property
    def without_claim(self) -> Parts:
        """The same for a caller that claims nothing now."""
        return self._replace(served=())

    @property
    def each(self) -> list[Parts]:
        """Each of them alone. A step may be here twice, which makes no difference."""
        passed = [Parts(passed=[id]) for id in sorted({*self.passed})]
        return [*passed, *(Parts(stopped=[id]) for id in sorted({*self.stopped}))]

    @property
    def any(self) -> bool:
        return bool(self.passed or self.stopped)


NO_PARTS = Parts()


def calls(
    statements: WorkflowStatements,
    endings: Iterable[Ending],
    parts: Parts,
) -> list[sql.Call]:
    """The statements that release what waits for these ends, after those that write them."""
    stopped = sql.Ids(parts.stopped)
    ids = sql.Ids(passing(endings))
    ids += [*parts.passed, *stopped]
    if not ids:
        return []
    failures: list[sql.Call] = []
    if stopped:
        failures = [(each, {"parts": stopped}) for each in (statements.SETTLE, statements.VOID)]
    served = None if parts.served is None else list(parts.served)
    values: dict[str, Any] = {"parts": ids, "served": served}
    return [*failures, *((each, values) for each in statements.RELEASE)]
