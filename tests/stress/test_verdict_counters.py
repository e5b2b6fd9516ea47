"""The verdict on what pools count, by histories that are written by hand."""

import pytest

from tests.stress.histories import SUPERVISOR, SUPERVISOR_B, WORKER, WORKER_B, Story


def story():
    """Three tasks that end, one that raises."""
    told = Story().sent("a", "b", "c", "d")
    told.run("a", 1.0, 1.1).run("b", 2.0, 2.1).run("c", 9.0, 9.1)
    return told.start("d", 9.2).note("raised", 9.3, WORKER, key="d", error="ValueError")


def scrape(told, at, pool=SUPERVISOR, *, last=True, **counts):
    return told.note("scrape", at, victim=pool, last=last, counts=counts)


def found(told):
    return [each.text for each in told.verdict().violations["counters_wrong"]]


def test_counters_that_agree_to_the_last_are_right():
    assert found(scrape(story(), 20.0, done=3, retried=1)) == []


def test_a_pool_that_counts_a_run_too_many_is_found_at_any_time():
    assert found(scrape(story(), 20.0, done=4, last=False)) == [
        f"pool {SUPERVISOR} counted 4 runs as done, and 3 ended"
    ]
    # The run at 9 s had not ended then.
    assert found(scrape(story(), 5.0, done=3, last=False)) != []
    assert found(scrape(story(), 5.0, done=2, last=False)) == []


def test_a_run_that_is_left_out_is_found_when_all_is_over():
    assert found(scrape(story(), 20.0, done=2, retried=1)) != []
    assert found(scrape(story(), 20.0, done=2, retried=1, last=False)) == []


def test_only_the_last_scrape_of_a_pool_counts():
    told = scrape(story(), 15.0, done=2, last=False)
    assert found(scrape(told, 20.0, done=3, retried=1)) == []


@pytest.mark.parametrize(("killed", "counted", "fine"), [(9.5, 2, True), (9.5, 1, False)])
def test_a_worker_that_is_killed_may_leave_out_its_last_second(killed, counted, fine):
    told = scrape(story().kill(killed), 20.0, done=counted, retried=1)
    assert (found(told) == []) == fine


def test_a_run_that_ended_may_be_counted_in_another_way():
    assert found(scrape(story(), 20.0, done=2, retried=1, lost=1)) == []
    assert found(scrape(story(), 20.0, done=1, retried=1, lost=1)) != []


def test_each_pool_answers_for_its_own_runs():
    told = story().sent("e").run("e", 3.0, 3.1, WORKER_B)
    scrape(told, 20.0, done=3, retried=1)
    assert found(scrape(told, 20.0, SUPERVISOR_B, done=1)) == []
    assert len(found(scrape(told, 21.0, SUPERVISOR_B, done=0))) == 1
    assert found(Story().sent("a").run("a", 1.0, 1.1)) == []  # never scraped
