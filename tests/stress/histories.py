"""Histories written by hand, in seconds."""

from __future__ import annotations

from typing import Any

from pool.clock import SECOND
from stress.checker import FinalState, Kind, Limits, TaskRow, Verdict, judge

#: A pool: its supervisor, its keeper, two workers. And another one.
SUPERVISOR, KEEPER, WORKER, OTHER = 100, 101, 102, 103
SUPERVISOR_B, WORKER_B, OTHER_B = 200, 202, 203
POOL = (SUPERVISOR, KEEPER, WORKER, OTHER)
PARENTS = {WORKER: SUPERVISOR, OTHER: SUPERVISOR, WORKER_B: SUPERVISOR_B, OTHER_B: SUPERVISOR_B}
HARNESS = 1

KINDS = {
    kind.name: kind
    for kind in [
        Kind("plain"),
        Kind("ship", atomic=True),
        Kind("boom", poison="SIGSEGV"),
        Kind("shot", poison="SIGKILL"),
        Kind("hungry", poison="out of memory"),
        Kind("rude", deadly=True),
        Kind("grumpy", fails="ValueError"),
        Kind("single", once=True),
        Kind("kept", keeps=True),
        Kind("archived", keep_finished=True),
        Kind("archived-kept", keeps=True, keep_finished=True),
        Kind("joined", unique="start"),
        Kind("solo", unique="finish"),
        Kind("mended", fails="ValueError", mended=True),
    ]
}


class Story:
    """A history that is told in order: each method is a record, and returns the story."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def note(self, kind: str, at: float, pid: int = HARNESS, **fields: Any) -> Story:
        self.records.append({"kind": kind, "at": round(at * SECOND), "pid": pid, **fields})
        return self

    def sent(self, *keys: str, at: float = 0.0, kind: str = "plain") -> Story:
        """Intended and committed."""
        for key in keys:
            self.note("intent", at, key=key, task=kind).note("commit", at + 0.001, key=key)
        return self

    def call(self, key: str, at: float, commit: float, group: str = "g", **kind: str) -> Story:
        """A call of a unique kind, and its commit."""
        self.note("intent", at, key=key, task=kind.get("kind", "joined"), group=group)
        return self.note("committing", commit, keys=[key]).note("commit", commit + 0.01, key=key)

    def intended(self, *keys: str, at: float = 0.0, kind: str = "plain") -> Story:
        """Intended, and no word of what came of it."""
        for key in keys:
            self.note("intent", at, key=key, task=kind)
        return self

    def start(self, key: str, at: float, pid: int = WORKER, **fields: Any) -> Story:
        return self.note("start", at, pid, key=key, parent=PARENTS[pid], **fields)

    def tick(self, key: str, at: float, pid: int = WORKER) -> Story:
        return self.note("tick", at, pid, key=key)

    def end(self, key: str, at: float, pid: int = WORKER) -> Story:
        return self.note("end", at, pid, key=key)

    def run(self, key: str, began: float, ended: float, pid: int = WORKER, **fields: Any) -> Story:
        return self.start(key, began, pid, **fields).end(key, ended, pid)

    def kill(self, at: float, victim: int = WORKER, role: str = "worker", **fields: Any) -> Story:
        return self.note("death", at, victim=victim, role=role, cause="kill", **fields)

    def freeze(self, at: float, *victims: int) -> Story:
        return self.note("freeze", at, victims=victims)

    def thaw(self, at: float, *victims: int) -> Story:
        return self.note("thaw", at, victims=victims)

    def fault(self, name: str, began: float, ended: float, **fields: Any) -> Story:
        self.note("fault", began, name=name, phase="begin", **fields)
        return self.note("fault", ended, name=name, phase="end", **fields)

    def verdict(
        self,
        *rows: TaskRow,
        entries: set[str] | None = None,
        effects: dict[str, int] | None = None,
        limits: Limits | None = None,
        **state: Any,
    ) -> Verdict:
        kept = None if entries is None else frozenset(entries)
        left = FinalState(rows, kept, effects or {}, KINDS, **state)
        return judge(self.records, left, limits or Limits(lease=4.0))


def failed(key: str, error: str, **fields: Any) -> TaskRow:
    return TaskRow(key, "FAILED", error=error, **{"losses": 3, **fields})
