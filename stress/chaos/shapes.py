"""The shapes of the workflows that chaos sends: random, and nested."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stress.chaos.sending import new_key
from stress.project.lab import steps
from stress.project.lab.kinds import KINDS
from taskq.workflow import Step, Workflow

#: The kinds of an everyday step, and how often each is taken.
_EVERYDAY = {
    "step": 12,
    "step-slow": 1,
    "step-atomic": 3,
    "step-kept": 2,
    "step-archived": 2,
    "step-flaky": 1,
}
#: Parts of a large group, at most, and the share of the workflows that have one.
LARGE, LARGE_SHARE = 1000, 0.02
_FUNCTIONS = {
    "step-growing": steps.growing,
    "step": steps.step,
    "step-slow": steps.slow,
    "step-long": steps.long,
    "step-atomic": steps.atomic,
    "step-kept": steps.kept,
    "step-archived": steps.archived,
    "step-flaky": steps.flaky,
    "step-broken": steps.broken,
    "step-mended": steps.mended,
}


@dataclass(frozen=True)
class Part:
    """A step, and what the history says of it.

    places: as the records have them. parts: the keys of this and of what runs instead of it.
    """

    key: str
    kind: str
    step: Step
    goes_on: bool = False
    places: list[dict[str, Any]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)


class Sketch:
    """A workflow, and what is to be known of each of its steps."""

    def __init__(self, rng: random.Random) -> None:
        self.flow = Workflow("chaos")
        self.parts: list[Part] = []
        self.random = rng

    def add(
        self,
        kind: str = "",
        inputs: Sequence[Part] = (),
        *,
        after: Sequence[Part] = (),
        on: Literal["done", "failed", "ended"] = "done",
        if_fails: Literal["stop", "go on"] = "stop",
        instead_of: Part | None = None,
    ) -> Part:
        """Add a step of a kind, by default of an everyday one."""
        kind = kind or self.random.choices(list(_EVERYDAY), list(_EVERYDAY.values()))[0]
        key = new_key(KINDS[kind])
        places = [_place(part, "done", value=True) for part in inputs]
        places += [_place(part, on) for part in after]
        if instead_of is not None:
            places.append({"on": "failed", "parts": [instead_of.key], "value": False})
        added = self.flow.add(
            _FUNCTIONS[kind],
            [key, self.flow.results([part.step for part in inputs])],
            after=[part.step for part in after],
            on=on,
            if_fails=if_fails,
            instead_of=instead_of.step if instead_of is not None else None,
        )
        part = Part(key, kind, added, if_fails == "go on", places, [key])
        self.parts.append(part)
        if instead_of is not None:
            instead_of.parts.append(key)
        return part

    # Each of these begins with steps that get what came before, and ends with one step

    def chain(self, before: Sequence[Part]) -> Part:
        last = self.add("", before)
        for _ in range(self.random.randint(1, 4)):
            last = self.add("", [last])
        return last

    def group(self, before: Sequence[Part]) -> Part:
        """A group with a body. Its parts may be whole shapes."""
        shapes = [self.shape if self.random.random() < 0.2 else self.one for _ in range(4)]
        return self.add("", [make(before) for make in shapes[: self.random.randint(2, 4)]])

    def one(self, before: Sequence[Part]) -> Part:
        return self.add("", before)

    def replaced(self, before: Sequence[Part]) -> Part:
        """A step that a graph takes the place of."""
        return self.add("", [self.add("step-growing", before), self.add("", before)])

    def instead(self, before: Sequence[Part]) -> Part:
        """One that fails or may fail, and another one that then runs instead."""
        first = self.add(self.random.choice(["step-broken", "step-mended", "step"]), before)
        self.add("", before, instead_of=first)
        return self.add("", [first, self.add("", before)])

    def goes_on(self, before: Sequence[Part]) -> Part:
        """Behind one that fails, it goes on all the same."""
        return self.add("", [self.add("step-broken", before, if_fails="go on"), *before])

    def errbacks(self, before: Sequence[Part]) -> Part:
        """What waits for failures, of one that fails and of one that does not."""
        for kind in ("step-broken", "step"):
            bad = self.add(kind, before)
            self.add("", [self.add("", after=[bad], on="failed")])
            self.add("", after=[bad], on="ended")
        return self.one(before)

    def mended(self, before: Sequence[Part]) -> Part:
        """It stands still until somebody retries what has failed."""
        bad = self.add("step-mended", before)
        self.add("", after=[bad], on="failed")
        return self.add("", [bad])

    def shape(self, before: Sequence[Part]) -> Part:
        shapes: dict[Callable[[Sequence[Part]], Part], int] = {
            self.chain: 4,
            self.group: 4,
            self.replaced: 2,
            self.instead: 2,
            self.goes_on: 1,
            self.errbacks: 1,
            self.mended: 1,
        }
        return self.random.choices(list(shapes), list(shapes.values()))[0](before)


def draw(rng: random.Random) -> Sketch:
    """A random workflow: some shapes behind each other, or a large group with a body."""
    sketch = Sketch(rng)
    last: list[Part] = []
    if rng.random() < LARGE_SHARE:
        last = [sketch.add("step") for _ in range(rng.randint(LARGE // 5, LARGE - 20))]
        last = [sketch.add("step", last)]
    for _ in range(rng.randint(1, 2)):
        last = [sketch.shape(last)]
    return sketch


def _place(part: Part, on: str, *, value: bool = False) -> dict[str, Any]:
    on = "ended" if on == "done" and part.goes_on else on
    parts = [part.key] if on == "failed" else list(part.parts)
    return {"on": on, "parts": parts, "value": value}
