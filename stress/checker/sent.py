"""What was sent: which tasks were committed, which were not, and of what kind each is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stress.checker.records import Record, keys_of
from stress.checker.state import FinalState, Kind


@dataclass(frozen=True)
class Sent:
    """The enqueuers' side.

    committed: the tasks that must not be lost. ghosts: those that must never run.
    undetermined: an enqueuer was killed before it could say, and wrote no entries
        either: these may run or not.
    unsaid: of those with entries, how many only their entry has decided.
    vanished: said to be committed, but their entries are not there.
    groups: of the calls of unique kinds. called, committing: when they were about to be made,
        and to be committed.
    """

    committed: frozenset[str]
    ghosts: frozenset[str]
    undetermined: frozenset[str]
    unsaid: int
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


def sent(records: Iterable[Record], state: FinalState) -> Sent:
    """The enqueuers' records and the rows that they committed, put together.

    With entries, an entry alone decides: an enqueuer that lost its connection in the
    middle of a commit cannot know how that went.
    """
    intended: set[str] = set()
    said: dict[str, set[str]] = {"commit": set(), "rollback": set()}
    groups: dict[str, str] = {}
    called: dict[str, int] = {}
    committing: dict[str, int] = {}
    kinds = {row.key: row.kind for row in state.tasks if row.kind}
    # What a schedule sent is there because its transaction committed: nobody else says so.
    ticked = {row.key for row in state.tasks if row.scheduled_at is not None}
    for record in records:
        if record["kind"] == "intent":
            for key in keys_of(record):
                intended.add(key)
                kinds[key] = str(record.get("task", ""))
                if "group" in record:
                    groups[key], called[key] = str(record["group"]), int(record["at"])
        elif record["kind"] == "start" and "scheduled_at" in record:
            ticked.update(keys_of(record))
            kinds.update(dict.fromkeys(keys_of(record), str(record["task"])))
        elif record["kind"] == "committing":
            committing.update(dict.fromkeys(keys_of(record), int(record["at"])))
        elif record["kind"] in said:
            said[record["kind"]].update(keys_of(record))
    intended |= said["commit"] | said["rollback"]
    unsaid = intended - said["commit"] - said["rollback"]
    if state.entries is None:
        committed, undetermined = said["commit"] | ticked, unsaid
        vanished: set[str] = set()
    else:
        # A commit that was acknowledged must be there; its task is looked for as well.
        vanished = said["commit"] - state.entries
        committed, undetermined = said["commit"] | state.entries | ticked, set()
    return Sent(
        committed=frozenset(committed),
        ghosts=frozenset(intended - committed - undetermined),
        undetermined=frozenset(undetermined),
        unsaid=len(unsaid),
        vanished=frozenset(vanished),
        kinds=kinds,
        groups=groups,
        called=called,
        committing=committing,
    )
