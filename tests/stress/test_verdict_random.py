"""Histories that no hand has written: legal ones are clean, and one flaw is found."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from stress.checker import TaskRow
from tests.stress.histories import PARENTS, Story

#: How a run may go before its task is tried again, and what explains that.
BROKEN_OFF = ["raised", "killed", "seen", "pool killed", "cut off", "unwritten", "frozen"]

lives = st.lists(st.sampled_from(BROKEN_OFF), max_size=4)
#: Tasks with their lives, and whether each was committed.
loads = st.lists(st.tuples(lives, st.booleans()), min_size=1, max_size=6)


@dataclass
class Load:
    """A history in the making: each run has a process of its own, and so its supervisor."""

    story: Story = field(default_factory=Story)
    pid: int = 1000
    committed: list[str] = field(default_factory=list)
    rolled_back: list[str] = field(default_factory=list)

    def add(self, life: list[str], committed: bool) -> None:
        key = f"task {len(self.committed) + len(self.rolled_back)}"
        if not committed:
            self.story.intended(key).note("rollback", 0.5, key=key)
            self.rolled_back.append(key)
            return
        self.story.sent(key)
        self.committed.append(key)
        at = 1.0
        for how in life:
            at = self.broken_off(key, how, at)
        self.start(key, at)
        self.story.end(key, at + 1, self.pid)

    def start(self, key: str, at: float) -> None:
        self.pid += 10
        PARENTS[self.pid] = self.pid + 1
        self.story.start(key, at, self.pid)

    def broken_off(self, key: str, how: str, at: float) -> float:
        """A run that leads to another: when that may start."""
        self.start(key, at)
        story, worker, supervisor = self.story, self.pid, self.pid + 1
        match how:
            case "raised":
                story.note("raised", at + 1, worker, key=key, error="X")
            case "killed":
                story.kill(at + 1, worker, since=round((at + 0.9) * 1e9))
            case "seen":
                story.note("death", at + 1, victim=worker, cause="seen")
            case "pool killed":
                story.kill(at + 1, supervisor, "pool", victims=[worker])
            case "cut off":
                victims = [supervisor]
                story.fault("cut", at + 0.5, at + 1, effect="cut", victims=victims, target=key)
            case "unwritten":
                story.end(key, at + 0.9, worker).kill(at + 1, worker)
            case "frozen":
                story.freeze(at + 0.5, worker, supervisor)
                story.thaw(at + 1.5, worker, supervisor).end(key, at + 1.7, worker)
        return at + 1.1


def built(tasks):
    load = Load()
    for life, committed in tasks:
        load.add(life, committed)
    return load


@given(loads)
def test_a_legal_history_is_clean(tasks):
    load = built(tasks)
    verdict = load.story.verdict()
    assert verdict.ok, verdict.as_json()
    assert verdict.counts["committed"] == len(load.committed)


@given(loads, st.randoms())
def test_the_order_of_the_lines_does_not_matter(tasks, random):
    story = built(tasks).story
    first = story.verdict()
    random.shuffle(story.records)
    assert story.verdict() == first


@given(loads, lives)
def test_a_task_that_vanished_after_its_runs_is_lost(tasks, life):
    load = built(tasks)
    load.story.sent("flaw")
    at = 1.0
    for how in [how for how in life if how not in ("unwritten", "frozen")]:
        at = load.broken_off("flaw", how, at)
    assert load.story.verdict().broken() == ["lost"]
    assert load.story.verdict(TaskRow("flaw", "FAILED", error="killed by SIGKILL")).broken() in (
        [],
        # It has no run that could have been at fault.
        ["innocents_charged"],
        # Or nobody did anything to the process of its last one.
        ["innocents_failed"],
    )


@given(loads, lives, st.floats(0.01, 0.99))
def test_a_run_that_starts_within_another_overlaps(tasks, life, late):
    load = built(tasks)
    load.add(life, True)
    start = max(
        (each for each in load.story.records if each["kind"] == "start"),
        key=lambda each: each["at"] if each["key"] == load.committed[-1] else -1,
    )
    load.start(load.committed[-1], start["at"] / 1e9 + late)
    load.story.end(load.committed[-1], start["at"] / 1e9 + 3, load.pid)
    found = load.story.verdict()
    assert len(found.violations["overlaps"]) == 1
    assert not found.violations["lost"]


@given(loads, st.floats(1, 20))
def test_a_run_after_an_end_that_nothing_explains_is_found(tasks, late):
    load = built(tasks)
    load.add([], True)
    load.start(load.committed[-1], 2 + late)
    load.story.end(load.committed[-1], 3 + late, load.pid)
    assert load.story.verdict().broken() == ["unexplained_duplicates"]


@given(loads, st.integers(0, 5))
def test_a_rolled_back_task_that_ran_is_a_ghost(tasks, which):
    load = built([*tasks, ([], False)])
    key = load.rolled_back[which % len(load.rolled_back)]
    load.start(key, 1.0)
    load.story.end(key, 2.0, load.pid)
    assert load.story.verdict().broken() == ["ghosts"]
