"""Who was charged for a loss, and what became of the tasks that cause them."""

import pytest

from stress.checker import TaskRow
from tests.stress.histories import (
    KEEPER,
    OTHER,
    POOL,
    SUPERVISOR,
    WORKER,
    Story,
    failed,
)


def innocents(story, *rows, **state):
    found = story.verdict(*rows, **state).violations["innocents_charged"]
    return [key for finding in found for key in finding.keys]


# Charged


def test_a_task_that_went_down_with_its_worker_is_charged_rightly():
    story = Story().sent("a").start("a", 1, losses=0).kill(2).run("a", 3, 4, OTHER, losses=1)
    assert not innocents(story)


def test_a_task_that_only_waited_while_its_neighbor_died_is_innocent():
    story = Story().sent("a", "b").start("a", 1, losses=0).kill(2)
    assert innocents(story.run("b", 3, 4, OTHER, losses=1)) == ["b"]


def test_a_task_that_ended_before_its_worker_died_is_charged_rightly_while_unwritten():
    story = Story().sent("a").run("a", 1, 2, losses=0).kill(2.5)
    assert not innocents(story.run("a", 3, 4, OTHER, losses=1))
    story = Story().sent("a", "b").run("a", 1, 2, losses=0).start("b", 2.5).kill(3.5)
    assert innocents(story.run("a", 4, 5, OTHER, losses=1)) == ["a"]


def test_each_loss_needs_a_run_of_its_own():
    story = Story().sent("a").start("a", 1, losses=0).kill(2)
    assert innocents(story.run("a", 3, 4, OTHER, losses=2)) == ["a"]


def test_a_loss_is_not_earned_by_a_run_that_was_charged_before():
    story = Story().sent("a", "b").start("a", 1, losses=0).kill(2)
    story.start("a", 3, OTHER, losses=1).note("raised", 4, OTHER, key="a", error="X")
    story.start("b", 4.5, WORKER).kill(5.5)
    assert innocents(story.run("a", 6, 7, OTHER, losses=2)) == ["a"]


def test_losses_of_a_row_count_as_well_as_those_that_a_run_was_told():
    row = failed("b", "killed by SIGKILL", losses=3)
    story = Story().sent("a", "b").start("a", 1).kill(2).run("a", 3, 4, OTHER)
    assert innocents(story, row) == ["b"]
    # Failed at once, with on_lost="fail": the error says it, no count does.
    row = failed("c", "lease ran out unrenewed", losses=0, max_losses=0)
    assert innocents(Story().sent("c").start("c", 1).kill(2), row) == []
    assert innocents(Story().sent("c").run("c", 1, 2), row) == ["c"]


@pytest.mark.parametrize("error", ["ValueError: killed by SIGKILL", "MemoryError", ""])
def test_an_error_of_the_tasks_own_is_no_charge(error):
    assert not innocents(Story().sent("a"), failed("a", error, losses=0))


def test_a_worker_that_was_hit_between_two_runs_may_have_cost_one_unseen_start():
    # Claimed, said to be running on the scoreboard, and dead before its first record.
    story = Story().sent("a", "b").kill(0.5).run("a", 1, 2, OTHER, losses=1)
    assert not innocents(story)
    assert innocents(story.run("b", 3, 4, OTHER, losses=1)) == ["b"]


def test_the_one_that_was_hit_between_two_runs_must_be_a_worker():
    story = Story().sent("a").kill(0.5, KEEPER, "keeper").run("a", 1, 2, OTHER, losses=1)
    assert innocents(story) == ["a"]


def test_a_pool_may_have_cost_as_many_unseen_starts_as_it_had_processes_at_rest():
    story = Story().sent("a", "b", "c", "d").start("d", 0.1)
    story.kill(0.5, SUPERVISOR, "pool", victims=[WORKER, OTHER])
    assert not innocents(story.run("a", 1, 2, OTHER, losses=1))
    assert innocents(story.run("b", 3, 4, OTHER, losses=1)) == ["b"]


def test_a_blow_after_the_charge_was_known_excuses_nothing():
    assert innocents(Story().sent("a").run("a", 1, 2, losses=1).kill(3, OTHER)) == ["a"]


def test_a_task_that_took_its_worker_down_unseen_is_charged_rightly():
    story = Story().sent("r", kind="rude").start("r", 1, losses=0)
    assert not innocents(story.run("r", 3, 4, OTHER, losses=1))


@pytest.mark.parametrize(
    "blow",
    [
        lambda story: story.note("death", 0.5, victim=WORKER, cause="seen"),
        lambda story: story.fault("latency", 0.1, 0.5, effect="slow", victims=[WORKER]),
    ],
    ids=["left", "slow"],
)
def test_what_costs_no_lease_excuses_no_charge(blow):
    assert innocents(blow(Story().sent("a")).run("a", 1, 2, OTHER, losses=1)) == ["a"]


# Poison


def poisoned(times, kind="boom"):
    story = Story().sent("p", kind=kind)
    for number in range(times):
        at = 1.0 + number
        story.start("p", at, losses=number).note("death", at + 0.1, WORKER, victim=WORKER)
    return story


def test_poison_that_is_failed_with_its_cause_is_quarantined():
    assert poisoned(3).verdict(failed("p", "killed by SIGSEGV")).ok


def test_poison_with_another_cause_is_not():
    verdict = poisoned(3).verdict(failed("p", "exit code 7"))
    assert verdict.broken() == ["poison_unquarantined"]
    assert "failed with 'exit code 7', where 'SIGSEGV' is the cause" in (
        verdict.violations["poison_unquarantined"][0].text
    )


def test_poison_whose_last_loss_came_before_its_start_may_have_the_cause_of_that():
    story = poisoned(2).freeze(3.5, *POOL).thaw(9, *POOL)
    assert story.verdict(failed("p", "lease ran out unrenewed")).ok


def test_poison_that_was_killed_by_another_hand_may_name_that():
    story = poisoned(2).start("p", 3, OTHER, losses=2).kill(3.5, OTHER)
    assert story.verdict(failed("p", "killed by SIGKILL")).ok


def test_poison_that_ran_more_often_than_it_may_is_not_quarantined():
    verdict = poisoned(4).verdict(failed("p", "killed by SIGSEGV", losses=4))
    assert verdict.broken() == ["poison_unquarantined"]


def test_a_run_of_poison_that_was_broken_off_by_another_hand_does_not_count():
    story = poisoned(3).start("p", 4, OTHER).freeze(4.5, *POOL)
    assert story.verdict(failed("p", "killed by SIGSEGV")).ok


def test_a_run_of_poison_that_its_frozen_supervisor_did_not_see_die_does_not_count():
    story = poisoned(4).freeze(0.5, SUPERVISOR)
    assert story.verdict(failed("p", "killed by SIGSEGV")).ok
    story = poisoned(4).freeze(0.2, SUPERVISOR).thaw(0.8, SUPERVISOR)
    verdict = story.verdict(failed("p", "killed by SIGSEGV"))
    assert verdict.broken() == ["poison_unquarantined"]


def test_poison_of_a_pool_that_was_frozen_before_it_wrote_of_it_may_have_no_cause():
    story = poisoned(3).freeze(3.5, *POOL).thaw(9, *POOL)
    assert story.verdict(failed("p", "lease ran out unrenewed")).ok
    story = poisoned(3).freeze(4.5, *POOL).thaw(9, *POOL)
    assert story.verdict(failed("p", "lease ran out unrenewed")).broken() == [
        "poison_unquarantined"
    ]


@pytest.mark.parametrize(
    ("kind", "neighbor", "error"),
    [("hungry", "shot", "killed by SIGKILL"), ("shot", "hungry", "out of memory (killed by the")],
)
def test_out_of_memory_may_be_said_of_another_that_was_killed_in_the_same_moment(
    kind, neighbor, error
):
    """The kernel counts whom it kills, and does not name them."""
    for at, found in [(3.3, False), (5.3, True)]:
        story = poisoned(3, kind).sent("n", kind=neighbor).start("n", at, OTHER, losses=0)
        story.note("death", at + 0.1, OTHER, victim=OTHER)
        rows = [failed("p", error), failed("n", error, losses=1)]
        wrong = [each.text for each in story.verdict(*rows).violations["poison_unquarantined"]]
        assert any(text.startswith("p was failed") for text in wrong) is found


def test_out_of_memory_may_be_said_of_one_that_was_killed_from_outside_in_the_same_moment():
    right = poisoned(3, "hungry").kill(3.5, OTHER).verdict(failed("p", "killed by SIGKILL"))
    wrong = poisoned(3, "hungry").kill(5.5, OTHER).verdict(failed("p", "killed by SIGKILL"))
    assert right.ok
    assert wrong.broken() == ["poison_unquarantined"]


def test_poison_that_still_waits_or_is_gone_is_not_quarantined():
    (finding,) = poisoned(2).verdict().violations["poison_unquarantined"]
    assert finding.text == "p is poison (boom), and is not in the table"
    (finding,) = poisoned(2).verdict(TaskRow("p", "READY")).violations["poison_unquarantined"]
    assert finding.text == "p is poison (boom), and is READY"
    assert "poison_unquarantined" in poisoned(3).run("p", 9, 10).verdict().broken()


def test_poison_that_was_never_committed_is_nobodys_business():
    story = Story().note("intent", 0, key="p", task="boom").note("rollback", 0.1, key="p")
    assert story.verdict().ok


# Outcomes


def raised(key, kind, error="ValueError"):
    story = Story().sent(key, kind=kind).start(key, 1)
    return story.note("raised", 2, WORKER, key=key, error=error)


def test_a_harmless_task_does_not_fail():
    row = failed("a", "InterfaceError: closed", losses=0)
    verdict = raised("a", "plain").verdict(row)
    assert verdict.broken() == ["wrong_outcome"]


@pytest.mark.parametrize("when", [1.5, 30.5])
def test_no_outcome_is_wrong_of_what_was_hit_in_any_of_its_runs(when):
    """That it failed for it is another matter."""
    story = raised("a", "plain").start("a", 30).note("raised", 31, WORKER, key="a", error="X")
    story.fault("restart", when, when + 1.5, effect="cut")
    verdict = story.verdict(failed("a", "InterfaceError: closed", losses=0))
    assert verdict.broken() == ["innocents_failed"]


def test_a_task_that_always_fails_fails_with_its_error():
    assert raised("a", "grumpy").verdict(failed("a", "ValueError: x", losses=0)).ok
    verdict = raised("a", "grumpy").verdict(failed("a", "TypeError: x", losses=0))
    assert verdict.broken() == ["wrong_outcome"]


def test_a_task_that_always_fails_is_never_done():
    verdict = raised("a", "grumpy").run("a", 3, 4).verdict()
    assert verdict.broken() == ["wrong_outcome"]


def test_a_task_that_always_fails_and_is_nowhere_is_lost_and_no_more():
    assert raised("a", "grumpy").verdict().broken() == ["lost"]


def test_a_task_that_must_not_be_repeated_starts_once():
    story = Story().sent("a", kind="single").start("a", 1).kill(2)
    row = failed("a", "killed by SIGKILL", losses=1, max_losses=0)
    assert story.verdict(row).ok
    story.start("a", 3, OTHER).kill(4, OTHER)
    assert story.verdict(row).broken() == ["wrong_outcome"]


def test_a_worker_that_died_of_nothing_is_counted():
    story = Story().sent("a").start("a", 1).note("death", 2, victim=WORKER, cause="seen")
    verdict = story.run("a", 3, 4, OTHER).verdict()
    assert verdict.counts["unexplained_deaths"] == 1
    story.fault("cut", 1.5, 3, effect="cut", victims=[SUPERVISOR])
    assert story.verdict().counts["unexplained_deaths"] == 0
