"""The values of the rounds of a scenario, and the figures from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stress.bench.contestants import Skipped
from stress.bench.figures import Spread, ratios

Values = list[float | None]


@dataclass(frozen=True)
class Verdict:
    """What a target makes of a result.

    target: in words. met: None where there is no target, or where it could not be judged.
    narrow: a spread is wider than its margin to the target.
    """

    target: str
    met: bool | None
    narrow: bool


@dataclass
class Result:
    """All rounds of a scenario. A value is None if a round has none.

    detail: what else the last round of each contestant showed. machine: its yardsticks.
    """

    scenario: str
    title: str
    unit: str
    limit_is: str
    shows: tuple[str, ...] = ()
    ours: Values = field(default_factory=list)
    limit: Values = field(default_factory=list)
    peers: dict[str, Values] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    detail: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What each of the rounds of taskq showed besides, of what the table shows.
    shown: dict[str, list[float]] = field(default_factory=dict)
    machine: dict[str, float] = field(default_factory=dict)

    def show(self, detail: Mapping[str, Any]) -> None:
        """Keep what the table shows of one of taskq's rounds."""
        for key in self.shows:
            if key in detail:
                self.shown.setdefault(key, []).append(detail[key])

    def shown_spread(self, key: str) -> Spread | None:
        return _spread(self.shown.get(key, []))

    def ours_spread(self) -> Spread | None:
        return _spread(self.ours)

    def limit_spread(self) -> Spread | None:
        return _spread(self.limit)

    def peer_spread(self, name: str) -> Spread | None:
        return _spread(self.peers.get(name, []))

    def ratio_to_limit(self) -> Spread | None:
        return _spread(ratios(self.ours, self.limit))

    def ratio_to_peer(self, name: str) -> Spread | None:
        """The ratio in rounds in which both were measured."""
        return _spread(ratios(self.ours, self.peers[name])) if name in self.peers else None

    def as_json(self, verdict: Verdict) -> dict[str, Any]:
        """One element of the list that ``--json`` writes."""
        peers = {name: self.peer_spread(name) for name in self.peers}
        ratio = self.ratio_to_limit()
        return {
            "scenario": self.scenario,
            "title": self.title,
            "ours": _median(self.ours_spread()),
            "limit": _median(self.limit_spread()),
            "peers": {name: _median(spread) for name, spread in peers.items()},
            "unit": self.unit,
            "ratio_to_limit": _median(ratio),
            "target": verdict.target,
            "met": verdict.met,
            "narrow": verdict.narrow,
            "limit_is": self.limit_is,
            "rounds": len(self.ours),
            "ours_range": _range(self.ours_spread()),
            "limit_range": _range(self.limit_spread()),
            "ratio_range": _range(ratio),
            "peers_range": {name: _range(spread) for name, spread in peers.items()},
            "ratio_to_peers": {name: _median(self.ratio_to_peer(name)) for name in self.peers},
            "shown": {key: _median(self.shown_spread(key)) for key in self.shown},
            "machine": self.machine,
            "skipped": {each.name: each.reason for each in self.skipped},
            "detail": self.detail,
        }


def _spread(values: Values | list[float]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread.of(known) if known else None


def _median(spread: Spread | None) -> float | None:
    return spread.median if spread else None


def _range(spread: Spread | None) -> list[float] | None:
    return [spread.low, spread.high] if spread else None
