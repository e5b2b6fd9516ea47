"""The workflows of a history: what each step waits for, and which steps may be gone."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stress.checker.cancels import Cancels
from stress.checker.records import Record
from stress.checker.runs import Run


@dataclass(frozen=True)
class Place:
    """What a step waits for: that one of these parts has this end (done, failed or ended).

    value: the step gets what that part has returned.
    """

    on: str
    parts: tuple[str, ...]
    value: bool

    @classmethod
    def of(cls, place: Mapping[str, Any]) -> Place:
        return cls(str(place["on"]), tuple(map(str, place["parts"])), bool(place["value"]))


class Flows:
    """All steps of a history that wait for others.

    places: of each such step. last: the steps of which one takes the place of a step that grows:
    more than one if that step ran again before it was replaced. grown_from: the step that grew, of
    each step that it sent.
    """

    def __init__(
        self, records: Iterable[Record], cancels: Cancels, runs: Mapping[str, Sequence[Run]]
    ) -> None:
        self.places: dict[str, tuple[Place, ...]] = {}
        self.last: dict[str, list[str]] = defaultdict(list)
        self.grown_from: dict[str, str] = {}
        self._cancels = cancels
        self._runs = runs
        for record in records:
            if record["kind"] == "intent" and "places" in record:
                self.places[str(record["key"])] = tuple(map(Place.of, record["places"]))
            elif record["kind"] == "growing":
                last = str(record["last"])
                self.places[last] = tuple(map(Place.of, record["places"]))
                self.last[str(record["key"])].append(last)
                self.grown_from.update(dict.fromkeys(record["tasks"], str(record["key"])))
        self.may_be_dropped = functools.cache(self._may_be_dropped)

    def done_by(self, key: str, moment: float) -> bool:
        """Whether a run of a part had returned by then, and so may have ended it. A run that a
        later one had overtaken has ended nothing: it was fenced."""
        keys = self.last.get(key) or [key]
        return any(
            run.returned
            and run.over <= moment
            and not any(run.began < later.began < run.over for later in self._runs[each])
            for each in keys
            for run in self._runs.get(each, ())
        )

    def _may_be_dropped(self, key: str) -> bool:
        """Whether a step may be gone without a run: one of its places never gets an input."""
        return any(
            all(self._is_void(part, place.on) for part in place.parts)
            for place in self.places.get(key, ())
        )

    def _is_void(self, part: str, on: str) -> bool:
        if on == "ended":
            return False
        if on == "failed" and self.done_by(part, float("inf")):
            return True
        return self._cancels.may_have_ended(part) or bool(self.may_be_dropped(part))
