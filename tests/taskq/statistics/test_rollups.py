"""The tables of figures: writing, summing up, pruning and reading them."""

import datetime
import marshal

import pytest
from django.utils import timezone

from taskq import statistics
from taskq.conf import Settings
from taskq.keeper import rollups
from taskq.models import RecentRun, Rollup
from taskq.models.statistics import Step
from taskq.pool_context import KEEP
from taskq.statistics import Every
from taskq.store.statistics import Recent
from taskq.task.measures import COLUMNS, MOST_KEYS, End, amounts, key
from tests.taskq.conftest import keeper_of_no_pool

MINUTE, HOUR = datetime.timedelta(minutes=1), datetime.timedelta(hours=1)
NOON = datetime.datetime(2026, 3, 4, 12, tzinfo=datetime.UTC)


def runs(count, seconds=0.01):
    return amounts([End.DONE] * count, [seconds] * count, [0.1] * count)


@pytest.fixture
def store(db_store):
    return db_store.statistics


def done(since, **options):
    found = statistics.figures("default", since=since, **options)
    return {name: figures.done for name, figures in found.items()}


def test_a_minute_that_is_written_again_is_counted_once(store):
    store.write_minute(NOON, "a", {("ping", "default"): runs(3), ("mail", "post"): runs(1)})
    store.write_minute(NOON, "a", {("ping", "default"): runs(5)})
    store.write_minute(NOON, "b", {("ping", "default"): runs(2)})
    assert sorted(Rollup.objects.values_list("name", "pool", "done")) == [
        ("mail", "a", 1),
        ("ping", "a", 5),
        ("ping", "b", 2),
    ]
    row = Rollup.objects.get(name="mail")
    assert (row.at, row.step, row.queue) == (NOON, Step.MINUTE, "post")
    assert row.run_seconds == pytest.approx(0.01)
    assert (row.run_04, row.run_05, row.wait_07, row.wait_08) == (1, 0, 1, 0)


def test_hours_are_the_sums_of_their_minutes_however_often_they_are_made(store):
    for minute in range(-1, 61):
        store.write_minute(NOON + minute * MINUTE, "a", {("ping", "default"): runs(2)})
        store.write_minute(NOON + minute * MINUTE, "b", {("ping", "default"): runs(1)})
    store.sum_up_hours([NOON - HOUR, NOON])
    store.write_minute(NOON, "a", {("ping", "default"): runs(4)})  # late, after an outage
    for _ in range(2):
        store.sum_up_hours([NOON - HOUR, NOON])
    hours = Rollup.objects.filter(step=Step.HOUR).order_by("at")
    assert [(row.at, row.done) for row in hours] == [(NOON - HOUR, 3), (NOON, 182)]


def test_a_day_is_read_from_hours_and_from_the_minutes_after_them(store):
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    for ago in (1, 2, 5):
        store.write_minute(hour - ago * HOUR, "a", {("ping", "default"): runs(ago)})
    store.write_minute(now.replace(second=0, microsecond=0), "a", {("ping", "post"): runs(10)})
    day = hour - 20 * HOUR
    assert done(day) == {"ping": 18}  # no hour is summed up yet
    store.sum_up_hours([hour - ago * HOUR for ago in (5, 2, 1)])
    assert done(day) == {"ping": 18}
    Rollup.objects.filter(step=Step.MINUTE, at__lt=hour).delete()
    assert done(day) == {"ping": 18}
    assert done(day, by="queue") == {"default": 8, "post": 10}
    assert done(day, queue="post") == done(now) == {"ping": 10}
    assert done(day, name="mail") == {}
    points = statistics.series("default", since=day, every=Every.HOUR)
    assert [figures.done for _, figures in points[-6:]] == [5, 0, 0, 2, 1, 10]
    assert len(points) == 21


def test_a_series_has_a_point_for_each_step_of_the_clock(store, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    now = timezone.now().replace(second=0, microsecond=0)
    store.write_minute(now - 3 * MINUTE, "a", {("ping", "default"): runs(3)})
    points = statistics.series("default", since=now - 5 * MINUTE)
    assert [figures.done for _, figures in points][:6] == [0, 0, 3, 0, 0, 0]
    assert points[2][0] == now - 3 * MINUTE
    days = statistics.series("default", since=now - 3 * 24 * HOUR, every=Every.DAY)
    assert sum(figures.done for _, figures in days) == 3
    assert {(at.hour, at.minute) for at, _ in days} == {(0, 0)}


def test_old_rows_are_pruned_by_step(store):
    now = timezone.now().replace(second=0, microsecond=0)
    for ago in range(10):
        store.write_minute(now - ago * HOUR, "a", {("ping", "default"): runs(1)})
    store.sum_up_hours([(now - 9 * HOUR).replace(minute=0)])
    assert store.prune(Step.MINUTE, None, 10) == 0
    assert store.prune(Step.MINUTE, 4.5 * 3600, 3) == 3
    assert store.prune(Step.MINUTE, 4.5 * 3600, 10) == 2
    assert Rollup.objects.filter(step=Step.MINUTE).count() == 5
    assert Rollup.objects.filter(step=Step.HOUR).count() == 1


def recent(number, name="ping", end=End.DONE, seconds=0.1):
    at = NOON + number * MINUTE
    return Recent(number, 1, name, "default", "vm:1", "worker 1", at, seconds, 0.5, end)


def test_the_last_runs_of_each_name_stay_and_the_last_of_those_to_be_seen(store):
    store.add_recent(
        [
            *(recent(number, end=End.FAILED) for number in range(3)),
            recent(3, seconds=9.0),
            *(recent(number) for number in range(4, 10)),
            recent(0, name="mail"),
        ]
    )
    assert store.forget_recent(each=2, notable=2, slow=1.0) == 6
    kept = {(run.name, run.task_id) for run in RecentRun.objects.all()}
    assert kept == {("ping", 2), ("ping", 3), ("ping", 8), ("ping", 9), ("mail", 0)}
    assert [run.task_id for run in statistics.recent_runs("default", name="ping")] == [9, 8, 3, 2]
    (slow,) = statistics.recent_runs("default", slower=5)
    (failed,) = statistics.recent_runs("default", ends=[End.FAILED])
    assert (slow.task_id, failed.task_id) == (3, 2)


# The keeper's part


@pytest.fixture
def at(monkeypatch):
    """Set the keeper's clock to so many seconds after noon."""

    def set_to(seconds):
        monkeypatch.setattr(rollups.time, "time", lambda: NOON.timestamp() + seconds)

    set_to(0)
    return set_to


@pytest.fixture
def keeper(db_store):
    return keeper_of_no_pool(Settings())


def count(keeper, number, name="ping"):
    counters = keeper.scoreboard.slots[1].counters
    counters.add(counters.row(key(name, "default")), runs(number))


def written():
    rows = Rollup.objects.filter(step=Step.MINUTE).order_by("at", "name")
    return [((row.at - NOON) // MINUTE, row.name, row.done) for row in rows]


def test_a_minute_has_what_was_counted_in_it(keeper, at):
    for second, number in ((1, 3), (30, 4), (61, 5), (70, 6), (130, 0)):
        at(second)
        count(keeper, number)
        keeper.rollups.write(last=True)
    # What ended in the last seconds of a minute is found in the next, and belongs to it as well.
    assert written() == [(0, "ping", 12), (1, "ping", 6)]


def test_a_minute_that_was_quiet_does_not_get_the_runs_of_a_later_one(keeper, at):
    count(keeper, 3)
    keeper.rollups.write(last=True)
    keeper.rollups.write(last=True)
    at(600)
    count(keeper, 2, name="mail")
    keeper.rollups.write(last=True)
    assert written() == [(0, "ping", 3), (10, "mail", 2)]


def test_the_next_keeper_goes_on_in_the_same_minute(keeper, at):
    count(keeper, 3)
    keeper.rollups.write(last=True)
    successor = rollups.Rollups(keeper.scoreboard, keeper.session, keeper.context.id)
    count(keeper, 2)
    successor.write(last=True)
    assert written() == [(0, "ping", 5)]
    at(61)
    successor.write(last=True)
    count(keeper, 1)
    rollups.Rollups(keeper.scoreboard, keeper.session, keeper.context.id).write(last=True)
    assert written() == [(0, "ping", 5), (1, "ping", 1)]


def test_a_clock_that_is_set_back_writes_over_no_earlier_minute(keeper, at):
    for second in (600, 0, 30, 661):
        at(second)
        count(keeper, 1)
        keeper.rollups.write(last=True)
    assert written() == [(10, "ping", 4)]


def hours():
    rows = Rollup.objects.filter(step=Step.HOUR).order_by("at")
    return [((row.at - NOON) // HOUR, row.done) for row in rows]


def test_an_hour_is_summed_up_once_it_is_over_though_nothing_ran_since(keeper, at):
    count(keeper, 3)
    keeper.rollups.tell()
    keeper.rollups.write()
    keeper.rollups.hours_due = 0
    keeper.rollups.sum_up_hours()
    assert hours() == []
    assert keeper.rollups.hours_due < rollups.NEVER  # it is not over
    at(8 * 3600)
    keeper.rollups.hours_due = 0
    keeper.rollups.sum_up_hours()
    assert hours() == [(0, 3)]
    assert keeper.rollups.hours_due == rollups.NEVER


def test_a_keeper_that_starts_sums_up_what_another_pool_has_left(keeper, store, at):
    store.write_minute(NOON - 30 * HOUR, "gone", {("ping", "default"): runs(4)})
    keeper.rollups.hours_due = 0
    keeper.rollups.sum_up_hours()
    assert hours() == [(-30, 4)]


def test_names_beyond_the_most_are_counted_together(keeper, at, monkeypatch):
    monkeypatch.setattr("taskq.counted.MOST_KEYS", 3)
    for number in range(5):
        count(keeper, 1, name=f"name{number}")
    keeper.rollups.write(last=True)
    assert written() == [(0, "", 2), (0, "name0", 1), (0, "name1", 1), (0, "name2", 1)]


def test_what_stands_at_the_beginning_of_a_minute_fits_for_all_names():
    largest = {b"%382d" % number: [2**63 - 1] * COLUMNS for number in range(MOST_KEYS)}
    assert len(marshal.dumps((2**40, largest))) < KEEP


def test_a_keeper_with_nothing_to_write_has_nothing_to_do(keeper, at):
    assert keeper.recent_runs.due == keeper.rollups.due == keeper.rollups.hours_due
    keeper.recent_runs.look()
    assert keeper.rollups.due == rollups.NEVER
