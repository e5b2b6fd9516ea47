"""What was sent: which tasks were committed, which were not, and of what kind each is."""

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
    undetermined: an enqueuer was killed before it could say, and wrote no entries
        either, or a failover may have taken them back: these may run or not.
    unsaid: of those with entries, how many only their entry has decided.
    taken_back: how many a failover may have taken back.
    vanished: said to be committed, but their entries are not there.
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
    """The enqueuers' records and the rows that they committed, put together.

    With entries, an entry alone decides: an enqueuer that lost its connection in the
    middle of a commit cannot know how that went. One that is not there may also have been taken
    back by a failover: its task may have run before that.
    """
    intended: set[str] = set()
    said: dict[str, set[str]] = {"commit": set(), "rollback": set()}
    groups: dict[str, str] = {}
    called: dict[str, int] = {}
    committing: dict[str, int] = {}
    kinds = {row.key: row.kind for row in state.tasks if row.kind}
    # What a schedule sent is there because its transaction committed: nobody else says so.
    ticked = {row.key for row in state.tasks if row.scheduled_at is not None}
    taken_back: set[str] = set()
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
        elif record["kind"] == "start" and "scheduled_at" in record:
            ticked.update(keys_of(record))
            kinds.update(dict.fromkeys(keys_of(record), str(record["task"])))
        elif record["kind"] == "committing":
            committing.update(dict.fromkeys(keys_of(record), int(record["at"])))
        elif record["kind"] in said:
            said[record["kind"]].update(keys_of(record))
    intended |= said["commit"] | said["rollback"]
    taken_back -= said["rollback"] | (state.entries or set()) | {row.key for row in state.tasks}
    unsaid = intended - said["commit"] - said["rollback"]
    if state.entries is None:
        committed, undetermined = (said["commit"] | ticked) - taken_back, unsaid | taken_back
        vanished: set[str] = set()
    else:
        # A commit that was acknowledged must be there; its task is looked for as well.
        vanished = said["commit"] - state.entries - taken_back
        committed = (said["commit"] | state.entries | ticked) - taken_back
        undetermined = taken_back
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
