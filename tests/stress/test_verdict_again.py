"""What was run again: whether it had ended, what had hit it, and for how many that are done."""

import pytest

from stress.checker.again import AND_WORKER, AWAY, FAILOVER, FROZEN, NOTHING, POOL
from stress.checker.result import ONLY_WORKER
from tests.stress.histories import KEEPER, OTHER, SUPERVISOR, WORKER, Story, failed
from tests.stress.histories import POOL as PIDS


def itself(story):
    return story.note("death", 2.2, WORKER, victim=WORKER, cause="poison")


def restart(began, ended):
    return lambda story: story.fault("restart", began, ended, effect="cut")


def fail_over(story, copied, up):
    story.fault("lossy-failover", copied, up, effect="cut")
    return story.note("failover", up, copied=round(copied * 1e9), lost=round(copied * 1e9) + 1)


def causes(counts):
    return {cause: n for cause, n in counts.items() if n}


HITS = {
    "killed": (lambda story: story.kill(2.2), ONLY_WORKER),
    "itself": (itself, ONLY_WORKER),
    "seen": (lambda story: story.note("death", 2.2, victim=WORKER, cause="seen"), ONLY_WORKER),
    "keeper": (lambda story: story.kill(2.2).kill(2.3, KEEPER, "keeper"), ONLY_WORKER),
    "lease over": (lambda story: restart(7.5, 8)(story.kill(2.2)), ONLY_WORKER),
    "pool": (lambda story: story.kill(2.2, SUPERVISOR, "pool", victims=PIDS), POOL),
    "pool later": (lambda story: story.kill(2.2).kill(4, SUPERVISOR, "supervisor"), POOL),
    "frozen": (lambda story: story.freeze(1.5, WORKER).kill(2.2), FROZEN),
    "away": (restart(1.5, 3), AWAY),
    "away and killed": (lambda story: restart(1.5, 3)(story.kill(2.2)), AWAY + AND_WORKER),
    "away later": (lambda story: restart(4, 5)(story.kill(2.2)), AWAY + AND_WORKER),
    "term": (lambda story: story.fault("term", 2.1, 3, victims=[SUPERVISOR]), "term"),
    "failover": (lambda story: fail_over(story.kill(2.2), 1.5, 3), FAILOVER),
    "failover later": (lambda story: fail_over(story.kill(2.2), 9, 9.5), ONLY_WORKER),
    "unseen": (lambda story: story, ONLY_WORKER),
    "nothing": (lambda story: story.end("b", 2.3), NOTHING),
}


@pytest.mark.parametrize(("hit", "cause"), HITS.values(), ids=HITS)
def test_what_had_ended_and_was_run_again_is_counted_by_what_had_hit_it(hit, cause):
    story = hit(Story().sent("a", "b").run("a", 1, 2).start("b", 2.1))
    found = story.run("a", 10, 11, OTHER).verdict().run_again
    assert causes(found.ended) == {cause: 1}
    assert not causes(found.cut)


@pytest.mark.parametrize("name", sorted({*HITS} - {"nothing", "unseen", "lease over", "term"}))
def test_what_was_cut_off_in_the_middle_is_counted_apart(name):
    hit, cause = HITS[name]
    found = hit(Story().sent("a").start("a", 1)).run("a", 10, 11, OTHER).verdict().run_again
    assert causes(found.cut) == {cause: 1}
    assert not causes(found.ended)


def test_a_run_that_an_outage_ended_was_cut_off():
    story = Story().sent("a").start("a", 1).fault("restart", 1.5, 1.8, effect="cut")
    story.note("raised", 2, WORKER, key="a", error="OperationalError").run("a", 4, 5, OTHER)
    assert causes(story.verdict().run_again.cut) == {AWAY: 1}


def test_so_was_one_that_its_pool_stopped_as_another_had_its_task():
    story = restart(1.5, 6)(Story().sent("a").start("a", 1))
    story.note("raised", 6.5, WORKER, key="a", error="TaskCancelled").run("a", 8, 9, OTHER)
    assert causes(story.verdict().run_again.cut) == {AWAY: 1}


def test_a_retry_is_neither():
    story = Story().sent("a").start("a", 1).note("raised", 2, WORKER, key="a", error="X")
    found = story.run("a", 3, 4).verdict().run_again
    assert not causes(found.ended)
    assert not causes(found.cut)


def test_nor_is_what_was_not_run_again():
    found = Story().sent("a").start("a", 1).kill(2).verdict(failed("a", "killed by SIGKILL"))
    assert not causes(found.run_again.cut)


def test_an_atomic_task_that_was_killed_before_it_committed_had_not_ended():
    story = Story().sent("a", kind="ship").run("a", 1, 2).kill(2.01).run("a", 3, 4, OTHER)
    verdict = story.verdict(effects={"a": 1})
    assert verdict.ok
    assert not causes(verdict.run_again.ended)
    assert causes(verdict.run_again.cut) == {ONLY_WORKER: 1}


def test_it_is_said_for_how_many_that_are_done():
    story = Story().sent("a", "b", "c", "d").run("a", 1, 2).start("b", 2.1).kill(2.2)
    story.run("a", 3, 4, OTHER).run("b", 5, 6, OTHER).run("c", 7, 8, OTHER)
    found = story.verdict().run_again
    assert found.done == 3
    assert found.as_json()["ended_per_10000"] == {ONLY_WORKER: 3333.33}


def test_that_none_was_is_said_too():
    found = Story().sent("a").run("a", 1, 2).verdict().as_json()["run_again"]
    assert found == {
        "done": 1,
        "ended": {ONLY_WORKER: 0},
        "cut": {ONLY_WORKER: 0},
        "ended_per_10000": {ONLY_WORKER: 0.0},
    }
    assert Story().verdict().run_again.as_json()["ended_per_10000"] == {ONLY_WORKER: 0.0}
