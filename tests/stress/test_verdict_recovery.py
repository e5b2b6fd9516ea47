"""How long recovery took, and after what."""

import pytest

from stress.checker import Recovery
from tests.stress.histories import (
    KEEPER,
    OTHER,
    POOL,
    SUPERVISOR,
    WORKER,
    WORKER_B,
    Story,
)


def recovery(story):
    return {name: each for name, each in story.verdict().recovery_s.items() if each is not None}


def test_a_workers_recovery_is_from_its_death_to_the_next_start_of_what_it_ran():
    story = Story().sent("a", "b").start("a", 1).kill(2).run("b", 2.1, 2.2, OTHER)
    found = recovery(story.run("a", 2.4, 3, OTHER))
    assert list(found) == ["worker"]
    assert found["worker"].max == pytest.approx(0.4)


def test_it_counts_from_the_moment_before_the_kill():
    story = Story().sent("a").start("a", 1).kill(2.2, since=round(2e9)).run("a", 2.4, 3, OTHER)
    assert recovery(story)["worker"].median == pytest.approx(0.4)


def test_a_pools_recovery_has_one_time_for_each_task_that_it_ran():
    story = Story().sent("a", "b").start("a", 1).start("b", 1.5, OTHER)
    story.kill(2, SUPERVISOR, "pool", victims=POOL)
    story.run("a", 5, 5.5, WORKER_B).run("b", 6, 6.5, WORKER_B)
    found = recovery(story)
    assert list(found) == ["pool"]
    assert (found["pool"].n, found["pool"].max) == (2, pytest.approx(4))


@pytest.mark.parametrize(
    "more",
    [
        lambda story: story.fault("restart", 2.1, 3, effect="cut"),
        lambda story: story.fault("latency", 1, 9, effect="slow"),
        lambda story: story.kill(2.1, KEEPER, "keeper"),
        lambda story: story.freeze(1.5, SUPERVISOR, KEEPER),
    ],
    ids=["outage", "slow", "keeper", "freeze"],
)
def test_what_happened_while_something_else_was_broken_is_counted_apart(more):
    story = more(Story().sent("a").start("a", 1).kill(2)).run("a", 4, 5, OTHER)
    assert list(recovery(story)) == ["worker_disturbed"]


def test_the_death_of_another_worker_disturbs_nothing():
    story = Story().sent("a").start("a", 1).kill(2).kill(2.1, OTHER).run("a", 4, 5, WORKER_B)
    assert list(recovery(story)) == ["worker"]


def test_a_task_keeps_its_place_so_it_may_wait_for_older_ones_and_that_is_no_standstill():
    story = Story().sent("old", "older", at=0.1).sent("a", at=0.2).sent("new", at=0.3)
    story.start("a", 1).kill(2).run("old", 2.5, 3, OTHER).run("new", 3.2, 3.5, OTHER)
    story.run("older", 5, 5.4, OTHER).run("a", 6, 7, OTHER)
    found = recovery(story)["worker"]
    assert found.max == pytest.approx(4)
    assert found.standstill == pytest.approx(2.5)


def test_where_nothing_older_waits_all_of_it_is_a_standstill():
    story = Story().sent("a").start("a", 1).kill(2).run("a", 2.4, 3, OTHER)
    assert recovery(story)["worker"].standstill == pytest.approx(0.4)


def test_the_longest_standstill_of_all_is_told():
    story = Story().sent("a", "b").start("a", 1).start("b", 1, OTHER).kill(2).kill(2, OTHER)
    story.run("a", 2.4, 2.5, WORKER_B).run("b", 2.9, 3, WORKER_B)
    assert recovery(story)["worker"].standstill == pytest.approx(0.9)


def test_deaths_that_nobody_caused_and_tasks_that_stopped_there_are_not_counted():
    story = Story().sent("a").start("a", 1).note("death", 2, WORKER, victim=WORKER)
    assert not recovery(story.run("a", 4, 5, OTHER))
    assert not recovery(Story().sent("a").start("a", 1).kill(2))


def test_figures():
    assert Recovery.of([], 0.0) is None
    assert Recovery.of([0.3], 0.2) == Recovery(0.3, 0.3, 0.3, 1, 0.2)
    many = Recovery.of([number / 1000 for number in range(1, 1001)], 0.7)
    assert many == Recovery(0.5005, 0.991, 1.0, 1000, 0.7)
