"""Schedules: each tick is sent, and sent once."""

import pytest

from stress.checker import TaskRow, Ticks
from tests.stress.histories import OTHER, WORKER, Story, failed

#: A tick each ten seconds, and the last that was sent is at 40.
SCHEDULE = {"beat": Ticks(every=10, last=40)}


def ticked(story, *ticks, row=1, at=1.0, pid=WORKER):
    """Runs of the tasks with these rows for these ticks."""
    for number, tick in enumerate(ticks):
        began = at + number
        about = {"task": "beat", "scheduled_at": tick}
        story.run(f"beat.{tick}.{row}", began, began + 0.1, pid, **about)
    return story


def broken(story, *rows, schedules=SCHEDULE):
    return story.verdict(*rows, schedules=schedules).broken()


def test_a_task_for_each_tick_is_right_and_nobody_has_to_have_sent_it():
    story = ticked(Story(), 10, 20, 30, 40)
    assert broken(story) == []
    verdict = story.verdict(schedules=SCHEDULE, entries=set())
    assert verdict.ok
    assert verdict.counts["committed"] == 4


def test_a_tick_that_is_passed_over_is_lost():
    assert broken(ticked(Story(), 10, 20, 40)) == ["lost_ticks"]
    assert broken(ticked(Story(), 10, 20, 30)) == ["lost_ticks"]
    (finding,) = ticked(Story(), 10, 20, 40).verdict(schedules=SCHEDULE).violations["lost_ticks"]
    assert finding.text == "the tick of beat at 30 was never sent"


def test_ticks_before_the_first_that_was_seen_are_nobodys():
    assert broken(ticked(Story(), 30, 40)) == []


def test_a_schedule_that_says_it_sent_something_and_nothing_was_seen():
    assert broken(Story()) == ["lost_ticks"]


def test_a_schedule_that_has_sent_nothing_is_right():
    assert broken(Story(), schedules={"beat": Ticks(10, None)}) == []


@pytest.mark.parametrize("twice", [10, 20, 40])
def test_a_tick_with_two_tasks_was_sent_twice(twice):
    story = ticked(Story(), 10, 20, 30, 40)
    assert broken(ticked(story, twice, row=2, at=50)) == ["double_ticks"]


def test_a_second_task_that_has_yet_to_run_counts_too():
    story = ticked(Story(), 10, 20, 30, 40)
    row = TaskRow("beat.20.2", "FAILED", kind="beat", error="exit", scheduled_at=20)
    assert "double_ticks" in broken(story, row)


def test_a_second_run_of_the_one_task_is_no_second_tick():
    story = ticked(Story(), 10, 20, 30)
    about = {"task": "beat", "scheduled_at": 40}
    story.start("beat.40.1", 9, **about).kill(9.5).run("beat.40.1", 10, 11, OTHER, **about)
    assert broken(story) == []


def test_a_task_of_a_tick_that_its_schedule_knows_nothing_of():
    assert broken(ticked(Story(), 30, 40, 50)) == ["double_ticks"]
    assert broken(ticked(Story(), 40), schedules={"beat": Ticks(10, None)}) == ["double_ticks"]


def test_a_task_of_a_tick_is_lost_like_any_other():
    story = ticked(Story(), 10, 20, 30)
    story.start("beat.40.1", 9, task="beat", scheduled_at=40).kill(9.5)
    assert broken(story) == ["lost"]
    row = failed("beat.40.1", "exit", kind="beat", scheduled_at=40)
    assert "lost" not in broken(story, row)


def test_ticks_of_another_kind_are_another_schedules():
    story = ticked(Story(), 10, 20, 30, 40)
    story.run("chime.20.9", 50, 51, task="chime", scheduled_at=20)
    assert broken(story) == []
