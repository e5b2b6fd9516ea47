"""Blows: events that may end a process or its lease, and when they happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stress.checker.records import NEVER, Record, Span, in_order
from stress.checker.runs import Death, Run, deaths
from stress.checker.state import Limits

#: The name of the blow that a freeze is.
FREEZE = "freeze"
#: Seconds in which the children of a killed supervisor must be gone.
CHILDREN_GONE = 1.0


@dataclass(frozen=True)
class Blow:
    """Something that hits processes for a time.

    victims: None for every process. whole: it also hits the children of a victim.
    injected: it was done from outside. If False, it was only seen or announced.
    cuts: its victims cannot reach the database. slows: they reach it slowly.
    """

    name: str
    span: Span
    victims: frozenset[int] | None
    whole: bool = False
    injected: bool = True
    cuts: bool = False
    slows: bool = False
    death: Death | None = None

    @property
    def over_all(self) -> bool:
        """Whether it hits every process."""
        return self.victims is None


@dataclass(frozen=True)
class Freeze:
    """Processes that were stopped, and when. The span begins after the stop, and ends before they
    were woken."""

    span: Span
    victims: frozenset[int]


class Blows:
    """All blows of a history. ``on`` tells which of them hit a run."""

    def __init__(self, records: Iterable[Record], limits: Limits) -> None:
        ordered = in_order(records)
        self.freezes = list(_freezes(ordered))
        self.deaths = deaths(ordered)
        self.all: list[Blow] = [
            *(_of_death(death) for death in self.deaths),
            *(
                Blow(FREEZE, each.span.longer(limits.unwritten), each.victims)
                for each in self.freezes
            ),
            *_faults(ordered, limits),
        ]
        self._by_victim: dict[int, list[Blow]] = defaultdict(list)
        self._on_all: list[Blow] = []
        for blow in self.all:
            if blow.victims is None:
                self._on_all.append(blow)
            for victim in blow.victims or ():
                self._by_victim[victim].append(blow)

    def on(self, run: Run, span: Span) -> list[Blow]:
        """The blows that hit the process of a run in this span, the most direct first."""
        near = [
            *self._by_victim.get(run.pid, ()),
            *(blow for blow in self._by_victim.get(run.parent, ()) if blow.whole),
            *self._on_all,
        ]
        return [blow for blow in near if blow.span.meets(span)]

    def frozen(self, pid: int) -> list[Freeze]:
        return [freeze for freeze in self.freezes if pid in freeze.victims]


def _of_death(death: Death) -> Blow:
    grace = CHILDREN_GONE if death.takes_children else 0.0
    return Blow(
        f"death of a {death.role}",
        Span(death.alive, death.at).longer(grace),
        death.with_it | {death.victim},
        whole=death.takes_children,
        injected=death.injected,
        death=death,
    )


def _freezes(ordered: Sequence[Record]) -> Iterable[Freeze]:
    began: dict[int, float] = {}  # by process that is frozen
    together: dict[Span, set[int]] = defaultdict(set)
    for record in ordered:
        if record["kind"] == "freeze":
            began.update(dict.fromkeys(record["victims"], float(record["at"])))
        elif record["kind"] == "thaw":
            for victim in began.keys() & set(record["victims"]):
                together[Span(began.pop(victim), float(record["at"]))].add(victim)
    for victim, since in began.items():
        together[Span(since, NEVER)].add(victim)
    for span, victims in together.items():
        yield Freeze(span, frozenset(victims))


def _faults(ordered: Sequence[Record], limits: Limits) -> Iterable[Blow]:
    going_on: dict[tuple[str, str], Record] = {}
    for record in ordered:
        if record["kind"] != "fault":
            continue
        of = (str(record["name"]), str(record.get("target", "")))
        if record["phase"] == "begin":
            if of in going_on:
                yield from _fault(going_on.pop(of), float(record["at"]), limits)
            going_on[of] = record
        else:
            begin = going_on.pop(of, record)
            victims = [*begin.get("victims", ()), *record.get("victims", ())]
            yield from _fault({**begin, "victims": victims}, float(record["at"]), limits)
    for begin in going_on.values():
        yield from _fault(begin, NEVER, limits)


def _fault(begin: Record, ended: float, limits: Limits) -> Iterable[Blow]:
    cuts, slows = begin.get("effect") == "cut", begin.get("effect") == "slow"
    victims = frozenset(begin.get("victims", ()))
    if not victims and not cuts and not slows:
        return  # it hits no process that the checker knows
    # An outage can cost a lease after its end, if a pool is late to connect again.
    after = limits.lease if cuts else limits.unwritten
    yield Blow(
        str(begin["name"]),
        Span(float(begin["at"]), ended).longer(after),
        victims or None,
        whole=True,
        cuts=cuts,
        slows=slows,
    )
