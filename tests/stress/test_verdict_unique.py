"""Unique tasks: calls that were missed, and runs of a group at once.

Each rule is tried from both sides: a history that breaks it, and its nearest neighbor
that does not.
"""

import pytest

from stress.checker import TaskRow
from tests.stress.histories import KEEPER, OTHER, POOL, SUPERVISOR, Story, failed


def missed(story, *rows, **state):
    return [each.text for each in story.verdict(*rows, **state).violations["missed_calls"]]


def overlaps(story):
    return [each.text for each in story.verdict().violations["overlaps"]]


def solo(*keys):
    story = Story()
    for key in keys:
        story.call(key, 0, 0.1, kind="solo")
    return story


# Released on start


def test_a_call_that_joined_is_followed_by_a_run_of_another_call():
    verdict = Story().call("a", 0, 0.1).call("b", 0.2, 0.5).run("a", 0.6, 0.7).verdict()
    assert verdict.ok, verdict.violations


def test_a_run_that_began_before_the_commit_has_missed_the_call():
    story = Story().call("a", 0, 0.1).call("b", 0.2, 0.5).run("a", 0.4, 0.7)
    assert missed(story) == ["b was committed, and no run of g began after its commit"]


def test_a_run_that_began_while_it_was_committed_may_have_seen_it():
    assert not missed(Story().call("a", 0, 0.1).call("b", 0.2, 0.5).run("a", 0.505, 0.7))


def test_a_run_of_another_group_sees_nothing_of_it():
    story = Story().call("a", 0, 0.1).call("b", 0.2, 0.5, group="h").run("a", 0.6, 0.7)
    assert missed(story) == ["b was committed, and no run of h began after its commit"]


def test_a_run_that_did_not_end_is_none():
    story = Story().call("a", 0, 0.1).start("a", 0.6).kill(0.7)
    assert missed(story)
    assert not missed(story.run("a", 0.8, 0.9, OTHER))


def test_a_group_that_failed_owes_no_run():
    story = Story().call("a", 0, 0.1).call("b", 0.2, 0.5).start("a", 0.6).kill(0.7)
    assert not missed(story, failed("a", "lost"))
    assert not missed(story, TaskRow("a", "READY"))
    assert story.verdict(TaskRow("a", "READY")).violations["stuck"]


def test_what_was_rolled_back_is_owed_no_run_and_may_have_none_of_its_own():
    story = (
        Story().note("intent", 0, key="a", task="joined", group="g").note("rollback", 1, key="a")
    )
    assert story.verdict().ok
    assert story.run("a", 2, 3).verdict().violations["ghosts"]


def test_where_an_enqueuer_died_its_entry_says_whether_it_is_owed_one():
    story = Story().note("intent", 0, key="a", task="joined", group="g")
    assert not missed(story, entries=set())
    assert missed(story.note("committing", 0.1, keys=["a"]), entries={"a"})
    assert not missed(story.run("a", 0.2, 0.3), entries={"a"})


def test_two_of_a_group_may_run_at_once_when_the_key_is_released_on_start():
    story = Story().call("a", 0, 0.1).call("b", 0.2, 0.3)
    assert story.run("a", 0.4, 0.8).run("b", 0.5, 0.9, OTHER).verdict().ok


# Released on finish


def test_a_call_that_joined_a_run_is_followed_by_its_end():
    story = solo("a").call("b", 0.5, 0.9, kind="solo").run("a", 0.3, 0.6)
    assert story.verdict().ok


def test_a_run_that_had_ended_before_the_call_was_not_joined():
    story = solo("a").call("b", 0.5, 0.9, kind="solo").run("a", 0.3, 0.4)
    assert missed(story) == ["b was committed, and no run of g ended after it"]


def test_two_runs_of_a_group_at_once_overlap():
    story = solo("a", "b").run("a", 1, 3).run("b", 2, 4, OTHER)
    assert overlaps(story) == ["a and b of one group ran at once for 1.000 s"]


def test_one_after_the_other_does_not_overlap():
    assert solo("a", "b").run("a", 1, 2).run("b", 2, 4, OTHER).verdict().ok


def test_runs_of_two_groups_may_go_on_at_once():
    story = solo("a").call("b", 0, 0.1, group="h", kind="solo")
    assert story.run("a", 1, 3).run("b", 2, 4, OTHER).verdict().ok


def test_a_run_that_was_killed_before_the_next_began_does_not_overlap():
    story = solo("a", "b").start("a", 1).kill(2).run("a", 2.1, 3).run("b", 3.1, 4, OTHER)
    assert not overlaps(story)
    assert overlaps(solo("a", "b").start("a", 1).tick("a", 2.5).kill(2.6).run("b", 2, 4, OTHER))


@pytest.mark.parametrize(("late", "allowed"), [(0.3, True), (1.0, False)])
def test_a_machine_that_was_frozen_is_allowed_a_tick(late, allowed):
    story = solo("a", "b").start("a", 1).freeze(1.5, *POOL).run("b", 7, 9, 202)
    verdict = story.thaw(8, *POOL).end("a", 8 + late).verdict()
    assert bool(verdict.allowed_overlaps) is allowed
    assert bool(verdict.violations["overlaps"]) is not allowed
    assert {SUPERVISOR, KEEPER} < set(POOL)
