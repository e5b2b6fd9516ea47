"""Failovers that take back what was committed: what they explain, and what they do not."""

import pytest

from stress.checker import ResultRow, TaskRow, Ticks
from tests.stress.histories import KEEPER, OTHER, SUPERVISOR, SUPERVISOR_B, WORKER, WORKER_B, Story

#: The copy is begun, the server is lost, the older one is up.
COPIED, LOST, UP = 10.0, 14.0, 15.0


class Failover(Story):
    def fail_over(self):
        self.fault("lossy-failover", COPIED, UP, effect="cut")
        return self.note("failover", UP, copied=round(COPIED * 1e9), lost=round(LOST * 1e9))


def broken(story, *rows, **state):
    return story.verdict(*rows, **state).broken()


def test_what_was_committed_since_the_copy_may_be_gone():
    story = Failover().sent("a", at=12).fail_over()
    verdict = story.verdict(entries=set())
    assert verdict.ok
    assert verdict.counts["taken_back"] == 1


@pytest.mark.parametrize("at", [5, 17])
def test_what_was_committed_before_the_copy_or_after_the_failover_may_not(at):
    assert broken(Failover().sent("a", at=at).fail_over(), entries=set()) == ["lost"]


def test_what_was_committed_meanwhile_and_is_there_must_end():
    story = Failover().sent("a", at=12).fail_over()
    assert broken(story, entries={"a"}) == ["lost"]
    assert story.run("a", 16, 17).verdict(entries={"a"}).ok


@pytest.mark.parametrize("said", ["sent", "intended"])
def test_a_task_that_was_taken_back_may_have_run(said):
    story = getattr(Failover(), said)("a", at=12).run("a", 12.1, 13).fail_over()
    assert story.verdict(entries=set()).ok


def test_what_was_rolled_back_may_still_not_run():
    story = Failover().intended("a", at=12).note("rollback", 12.1, key="a").run("a", 13, 13.5)
    assert broken(story.fail_over(), entries=set()) == ["ghosts"]


@pytest.mark.parametrize(("ended", "explained"), [(13, True), (8, False)])
def test_what_was_done_since_the_copy_is_run_again(ended, explained):
    story = Failover().sent("a").run("a", ended - 1, ended).fail_over().run("a", 16, 17, OTHER)
    found = broken(story, entries={"a"})
    assert found == ([] if explained else ["unexplained_duplicates"])


@pytest.mark.parametrize(("began", "allowed"), [(12, True), (17, False)])
def test_what_must_not_be_repeated_is_only_where_it_was_taken_back(began, allowed):
    story = Failover().sent("a", kind="single").run("a", began, began + 1).fail_over()
    story.kill(began + 1.5).run("a", 20, 21, OTHER)
    assert broken(story, entries={"a"}) == ([] if allowed else ["wrong_outcome"])


# Overlaps: until the first renewal after the reconnect, and a tick of the supervisor


def overlap(first_ends, **more):
    story = Failover().sent("a").start("a", 12).fail_over().start("a", 15.1, WORKER_B)
    for name, span in more.items():
        story.fault(name.replace("_", "-"), *span, victims=[SUPERVISOR_B], effect="cut")
    story.end("a", first_ends, WORKER).end("a", 30, WORKER_B)
    return story.verdict(entries={"a"})


def test_an_overlap_until_the_pool_has_heard_of_it_is_allowed_and_counted():
    verdict = overlap(first_ends=16.5)
    assert verdict.ok
    assert len(verdict.allowed_overlaps) == 1


def test_an_overlap_after_the_first_renewal_is_none_that_a_failover_explains():
    assert overlap(first_ends=18.5).broken() == ["overlaps"]


@pytest.mark.parametrize(("ends", "found"), [(18.2, []), (19, ["overlaps"])])
def test_a_pool_that_is_cut_off_as_well_stops_with_its_lease(ends, found):
    assert overlap(first_ends=ends, cut_off=(14.5, 20)).broken() == found


def test_two_runs_at_once_before_the_failover_are_an_overlap():
    story = Failover().sent("a").run("a", 11, 13).run("a", 12, 13.5, OTHER).fail_over()
    assert "overlaps" in broken(story, entries={"a"})


# A supervisor that was stopped alone: until it wakes, and a tick


def asleep(until, *victims, began=12, frozen=(13, 20), again=16):
    """A run whose supervisor was stopped, and another in the other pool after the failover."""
    story = Failover().sent("a").start("a", began).fail_over().start("a", again, WORKER_B)
    story.freeze(frozen[0], *(victims or [SUPERVISOR])).thaw(frozen[1], *(victims or [SUPERVISOR]))
    return story.end("a", until).end("a", 30, WORKER_B).verdict(entries={"a"})


def test_a_supervisor_that_was_stopped_in_the_failover_ends_the_run_a_tick_after_it_woke():
    verdict = asleep(20.4)
    assert verdict.ok
    assert "for 4.400 s" in verdict.allowed_overlaps[0].text


def test_longer_than_a_tick_after_its_supervisor_woke_is_an_overlap():
    verdict = asleep(20.6)
    assert verdict.broken() == ["overlaps"]
    assert not verdict.allowed_overlaps


@pytest.mark.parametrize(
    ("victims", "found"),
    [
        ([SUPERVISOR, KEEPER], []),
        ([SUPERVISOR_B], ["overlaps"]),  # of the run that has the task by right
        ([KEEPER], ["overlaps"]),  # its supervisor replaces it, or its leases end
    ],
)
def test_it_must_be_the_supervisor_of_the_run_that_was_stopped(victims, found):
    assert asleep(20.4, *victims).broken() == found


@pytest.mark.parametrize(
    ("frozen", "until", "found"),
    [
        ((13, 20), 19, []),
        ((17.4, 20), 20.4, []),  # just before it should have stopped the run
        ((17.6, 20), 20.4, ["overlaps"]),  # just after
        ((11, 13.9), 18, ["overlaps"]),  # it woke before the failover
    ],
)
def test_it_must_have_been_stopped_when_it_should_have_acted(frozen, until, found):
    assert asleep(until, frozen=frozen).broken() == found


@pytest.mark.parametrize(("began", "found"), [(14.9, []), (15.1, ["overlaps"])])
def test_a_run_that_began_after_the_failover_is_not_excused(began, found):
    assert asleep(20.4, began=began).broken() == found


def test_without_a_failover_a_supervisor_that_was_stopped_excuses_nothing():
    story = Story().sent("a").start("a", 12).freeze(13, SUPERVISOR).start("a", 16, WORKER_B)
    story.thaw(20, SUPERVISOR).end("a", 20.4).end("a", 30, WORKER_B)
    assert "overlaps" in story.verdict().broken()


def test_two_runs_at_once_before_the_failover_are_not_excused_by_the_freeze():
    assert "overlaps" in asleep(20.4, again=13.5).broken()


# Cancels, results and ticks


@pytest.mark.parametrize(("at", "found"), [(12, []), (8, ["uncancelled"])])
def test_a_cancel_may_be_taken_back(at, found):
    story = Failover().sent("a").note("cancelling", at, key="a")
    story.note("cancel", at + 0.1, key="a", outcome="removed").fail_over().run("a", 16, 17)
    assert broken(story, entries={"a"}) == found


def test_a_cancel_does_not_forbid_the_attempts_that_were_taken_back():
    story = Failover().sent("a").start("a", 12, attempt=3).fail_over()
    story.start("a", 16, OTHER, attempt=2).note("cancelling", 17, key="a")
    story.note("cancel", 17.1, key="a", outcome="asked", attempt=2).kill(18, OTHER)
    row = TaskRow("a", "FAILED", kind="plain", error="cancelled", cancelled=True)
    assert story.verdict(row, entries={"a"}).ok


def test_a_result_may_be_of_a_lower_attempt_than_one_that_was_taken_back():
    story = Failover().sent("a", kind="kept").start("a", 12, attempt=2).kill(13).fail_over()
    story.run("a", 16, 17, OTHER, attempt=1)
    result = ResultRow("a", {"key": "a", "attempt": 1})
    assert story.verdict(entries={"a"}, results=(result,)).ok


def ticks(*moments):
    story = Failover()
    for number, moment in enumerate(moments):
        about = {"scheduled_at": 100, "task": "plain"}
        story.run(f"tick.{number}", moment, moment + 0.5, **about)
    return broken(story.fail_over(), entries=set(), schedules={"plain": Ticks(1, 100)})


def test_a_tick_that_was_taken_back_is_sent_again():
    assert ticks(12, 17) == []
    assert ticks(17, 18) == ["double_ticks"]
