"""Which tasks were sent: which were committed, which were not, and of what kind each is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stress.checker.failovers import Failovers
from stress.checker.records import Record, keys_of
from stress.checker.state import FinalState, Kind


@dataclass(frozen=True)
class Sent:
    """The enqueuers' side.

    committed: the tasks that must not be lost. ghosts: those that must never run.
    undetermined: these may run or not. An enqueuer was killed before it wrote the outcome, and
        it wrote no entries either. Or a failover may have taken them back. Or a step that is
        replaced by them may have been killed before that was written.
    unsaid: how many have no record of an outcome, so that only their entry decides.
    taken_back: how many a failover may have taken back.
    vanished: recorded as committed, but their entries are missing.
    groups: of the calls of unique kinds. committing: when those were about to be committed.
    called: when each task was about to be sent.
    """

    committed: frozenset[str]
    ghosts: frozenset[str]
    undetermined: frozenset[str]
    unsaid: int
    taken_back: int
    vanished: frozenset[str]
    kinds: dict[str, str]
    groups: dict[str, str]
    called: dict[str, int]
    committing: dict[str, int]

    @property
    def known(self) -> frozenset[str]:
        return self.committed | self.ghosts | self.undetermined

    def kind(self, key: str, state: FinalState) -> Kind:
        name = self.kinds.get(key, "")
        return state.kinds.get(name, Kind(name))


def sent(records: Iterable[Record], state: FinalState, failovers: Failovers) -> Sent:
    """Combine the enqueuers' records with the rows that they committed.

    If the load wrote entries, only the entry decides: an enqueuer that lost its connection during
    a commit cannot know its outcome. A failover may also have taken a missing entry back. Then the
    task may have run before.
    """
    intended: set[str] = set()
    said: dict[str, set[str]] = {"commit": set(), "rollback": set()}
    groups: dict[str, str] = {}
    called: dict[str, int] = {}
    committing: dict[str, int] = {}
    kinds = {row.key: row.kind for row in state.tasks if row.kind}
    # A task of a schedule exists because its transaction committed. No other record says so.
    ticked = {row.key for row in state.tasks if row.scheduled_at is not None}
    taken_back: set[str] = set()
    grown: dict[str, str] = {}  # the kinds of steps that replace another one
    for record in records:
        says = record["kind"] in ("intent", "commit") or "scheduled_at" in record
        if says and failovers.undone(record["at"]):
            taken_back.update(keys_of(record))
        if record["kind"] == "intent":
            for key in keys_of(record):
                intended.add(key)
                kinds[key] = str(record.get("task", ""))
                called[key] = int(record["at"])
                if "group" in record:
                    groups[key] = str(record["group"])
        elif record["kind"] == "growing":
            grown.update(dict(record["tasks"]))
        elif record["kind"] == "start" and "scheduled_at" in record:
            ticked.update(keys_of(record))
            kinds.update(dict.fromkeys(keys_of(record), str(record["task"])))
        elif record["kind"] == "committing":
            committing.update(dict.fromkeys(keys_of(record), int(record["at"])))
        elif record["kind"] in said:
            said[record["kind"]].update(keys_of(record))
    kinds.update(grown)
    intended |= said["commit"] | said["rollback"]
    taken_back -= said["rollback"] | (state.entries or set()) | {row.key for row in state.tasks}
    unsaid = intended - said["commit"] - said["rollback"]
    if state.entries is None:
        committed, undetermined = (said["commit"] | ticked) - taken_back, unsaid | taken_back
        vanished: set[str] = set()
    else:
        # An acknowledged commit must have its entry. Its task must exist as well.
        vanished = said["commit"] - state.entries - taken_back
        committed = (said["commit"] | state.entries | ticked) - taken_back
        undetermined = taken_back
    undetermined |= grown.keys()
    return Sent(
        committed=frozenset(committed),
        ghosts=frozenset(intended - committed - undetermined),
        undetermined=frozenset(undetermined),
        unsaid=len(unsaid),
        taken_back=len(taken_back),
        vanished=frozenset(vanished),
        kinds=kinds,
        groups=groups,
        called=called,
        committing=committing,
    )
