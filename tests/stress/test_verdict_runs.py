"""Runs as they are read from a history."""

from pool.clock import SECOND
from stress.checker.records import NEVER, Span
from stress.checker.runs import runs
from tests.stress.histories import OTHER, POOL, SUPERVISOR, SUPERVISOR_B, WORKER, Story


def read(story):
    return runs(story.records)


def times(run):
    return (run.began / SECOND, run.seen / SECOND, run.over / SECOND)


def test_a_run_goes_from_its_start_to_its_end():
    (run,) = read(Story().run("a", 1, 2))
    assert (run.key, run.pid, run.parent, run.how) == ("a", WORKER, SUPERVISOR, "end")
    assert times(run) == (1, 2, 2)


def test_records_may_come_in_any_order():
    story = Story().run("a", 1, 2).run("a", 3, 4)
    story.records.reverse()
    assert [times(run) for run in read(story)] == [(1, 2, 2), (3, 4, 4)]


def test_a_killed_run_is_over_at_its_death_and_seen_while_it_was_known_to_be_alive():
    (run,) = read(Story().start("a", 1).kill(2, since=round(1.8e9)))
    assert (run.how, times(run)) == ("killed", (1, 1.8, 2))


def test_an_open_run_is_never_proven_to_be_over():
    (run,) = read(Story().start("a", 1).tick("a", 1.5))
    assert (run.how, run.seen / SECOND, run.over) == ("open", 1.5, NEVER)
    assert run.died


def test_the_next_start_in_its_process_closes_a_run_without_its_death():
    first, _ = read(Story().start("a", 1).run("b", 2, 3))
    assert (first.how, times(first), first.died) == ("open", (1, 1, 2), False)


def test_the_same_number_in_another_pool_is_another_process():
    story = Story().start("a", 1).note("start", 2, WORKER, key="b", parent=SUPERVISOR_B)
    first, second = read(story.kill(3, SUPERVISOR, "supervisor"))
    assert first.died
    assert second.how == "open"


def test_the_death_of_a_supervisor_or_pool_ends_the_runs_of_its_children():
    for role, more in [("supervisor", {}), ("pool", {"victims": POOL})]:
        story = Story().start("a", 1).start("b", 1, OTHER).kill(2, SUPERVISOR, role, **more)
        assert [run.how for run in read(story)] == ["killed", "killed"]


def test_the_death_of_a_worker_ends_no_other_run():
    story = Story().start("a", 1).start("b", 1, OTHER).run("c", 0.5, 1, SUPERVISOR_B + 2)
    assert [run.how for run in read(story.kill(2))] == ["end", "killed", "open"]


def test_a_death_that_somebody_saw_gives_way_to_whoever_caused_it():
    story = Story().start("a", 1).note("death", 1.9, victim=WORKER, cause="seen")
    (run,) = read(story)
    assert not run.death.injected
    (run,) = read(story.kill(2.0, since=round(1.8e9)))
    assert run.death.injected
    assert times(run) == (1, 1.9, 1.9)


def test_a_kill_of_the_next_process_of_that_number_does_not():
    story = Story().start("a", 1).note("death", 1.9, victim=WORKER, cause="seen")
    (run,) = read(story.kill(9))
    assert not run.death.injected


def test_a_pool_is_not_killed_with_who_had_died_in_it_just_before():
    story = Story().start("a", 1).note("death", 1.9, WORKER, victim=WORKER).start("b", 1.5, OTHER)
    first, second = read(story.kill(2.1, SUPERVISOR, "pool", since=round(2e9), victims=POOL))
    assert not first.death.injected
    assert second.death.role == "pool"


def test_the_old_word_for_a_workers_death_is_understood():
    (run,) = read(Story().start("a", 1).note("kill", 2, victim=WORKER))
    assert (run.how, run.death.role, run.death.injected) == ("killed", "worker", True)


def test_an_end_in_a_fork_of_the_task_is_not_its_end():
    (run,) = read(Story().start("a", 1).end("a", 2, pid=999))
    assert run.how == "open"


def test_what_is_left_of_a_span():
    assert Span(0, 10).without([Span(2, 3), Span(8, 12)]) == [Span(0, 2), Span(3, 8)]
    assert Span(0, 10).without([Span(-1, 11)]) == []
    assert Span(0, 10).without([]) == [Span(0, 10)]


def test_what_two_spans_share():
    assert Span(0, 4).common(Span(2, 8)) == Span(2, 4)
    assert Span(0, 4).common(Span(4, 8)) is None
    assert Span(0, 4).common(Span(2, 2)) == Span(2, 2)
    assert Span(2, 2).common(Span(0, 4)) == Span(2, 2)
    for edge in (Span(0, 0), Span(4, 4)):
        assert Span(0, 4).common(edge) is None
        assert edge.common(Span(0, 4)) is None
