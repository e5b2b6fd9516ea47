"""The finished tasks that are kept: a partition for each day, made ahead and dropped when over."""

from __future__ import annotations

import datetime
import re
import threading
from importlib import import_module

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction

from pool import clock
from stress.rig.pools import wait_until
from taskq.models import FinishedTask
from taskq.sql.postgresql import partitions
from taskq.store import connecting, grants
from tests.conftest import SLACK
from tests.project.lab import tasks
from tests.taskq.finished import DAY, finished, today
from tests.taskq.roles import as_role

pytestmark = pytest.mark.postgresql


def days():
    """The days that have partitions, in order."""
    with connection.cursor() as cursor:
        cursor.execute(partitions.LIST)
        names = {name for name, _ in cursor.fetchall()}
    assert "taskq_finished_default" in names
    return sorted(name[-8:] for name in names - {"taskq_finished_default"})


def written(*wanted):
    return [f"{day:%Y%m%d}" for day in wanted]


def where(id):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM taskq_finished WHERE id = %s", [id])
        return cursor.fetchall()


@pytest.fixture
def store(connect, partitions_dropped):
    """A connection of a keeper's."""
    return connect()


def test_partitions_are_made_for_the_days_on_which_rows_will_expire(store):
    tended = store.partitions.tend([3 * 86400.0, 1.0])
    first = [today(), today() + 3 * DAY]
    assert days() == written(*sorted({day + n * DAY for day in first for n in range(3)}))
    assert [f"{day:%Y%m%d}" for day in tended.made] == days()
    again = store.partitions.tend([3 * 86400.0, 1.0])
    assert (again.made, again.dropped, again.more, again.busy) == ([], [], False, None)


def test_a_row_goes_to_its_day_and_to_the_default_partition_without_one(store):
    store.partitions.tend([86400.0])
    finished(1, today() + DAY)
    finished(2, today() + 9 * DAY)
    assert where(1) == [(partitions.name_of(today() + DAY),)]
    assert where(2) == [("taskq_finished_default",)]


def test_rows_that_came_before_their_partition_are_moved_to_it(store):
    finished(1, today() + DAY)
    finished(2, today() + 9 * DAY)
    store.partitions.tend([86400.0])
    assert where(1) == [(partitions.name_of(today() + DAY),)]
    assert where(2) == [("taskq_finished_default",)]


def test_a_day_with_too_many_such_rows_stays_in_the_default_partition(store, monkeypatch):
    monkeypatch.setattr("taskq.store.partitions.MOVED", 1)
    finished(1, today() + DAY)
    finished(2, today() + DAY)
    store.partitions.tend([86400.0])
    assert days() == written(today() + 2 * DAY, today() + 3 * DAY)
    assert where(1) == where(2) == [("taskq_finished_default",)]


def make(*wanted):
    for day in wanted:
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in partitions.make("public", day):
                cursor.execute(statement)


def test_days_that_are_over_are_dropped_with_their_rows(store):
    make(today() - 2 * DAY, today() - DAY, today())
    finished(1, today() - DAY)
    finished(2, today())
    assert store.partitions.tend([]).dropped == [today() - 2 * DAY, today() - DAY]
    assert [each.pk for each in FinishedTask.objects.all()] == [2]
    assert days() == written(today())


def test_a_few_at_a_time(store, monkeypatch):
    monkeypatch.setattr("taskq.store.partitions.CHANGES", 2)
    make(*(today() - n * DAY for n in range(1, 4)))
    tended = store.partitions.tend([])
    assert (len(tended.dropped), tended.more) == (2, True)
    tended = store.partitions.tend([])
    assert (len(tended.dropped), tended.more) == (1, False)


def test_in_the_default_partition_rows_are_deleted_a_few_at_a_time(store):
    for id, day in enumerate([today(), today() - DAY, today() - 2 * DAY, today() - 3 * DAY]):
        finished(id, day)
    assert store.pruning.prune_finished(2) == 2
    assert store.pruning.prune_finished(2) == 1
    assert [each.pk for each in FinishedTask.objects.all()] == [0]


def test_what_is_locked_is_left_for_the_next_time(store, database_url):
    make(today() - DAY)
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM taskq_finished")
        began = clock.now()
        tended = store.partitions.tend([86400.0])
        assert (clock.now() - began) / clock.SECOND < SLACK
        assert "lock timeout" in str(tended.busy)
        assert tended.dropped == tended.made == []
    tended = store.partitions.tend([86400.0])
    assert (tended.dropped, len(tended.made), tended.busy) == ([today() - DAY], 3, None)


def test_two_keepers_make_a_partition_once(store, connect):
    others = [connect() for _ in range(3)]
    made: list[list[datetime.date]] = []
    threads = [
        threading.Thread(target=lambda db=db: made.append(db.partitions.tend([86400.0]).made))
        for db in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(others)
    store.partitions.tend([86400.0])
    assert days() == written(*(today() + n * DAY for n in (1, 2, 3)))


def test_writers_wait_for_no_change_of_partitions_and_fail_for_none(store, database_url):
    """As a day ends: they write without a pause."""
    tries, failed, done = [], [], threading.Event()

    def write(number):
        with psycopg.connect(database_url, autocommit=True) as writer:
            writer.execute("SET lock_timeout = '20s'")
            while not done.is_set():
                number += 1_000_000
                try:
                    writer.execute(
                        "INSERT INTO taskq_finished SELECT %s, 'work', '', 'q', 0, now(), now(), "
                        "NULL, now(), now(), 'w', 1, 0, NULL, NULL, "
                        "(now() AT TIME ZONE 'UTC')::date + %s::int",
                        [number, number // 1_000_000 % 4],
                    )
                except psycopg.Error as error:
                    failed.append(error)
                tries.append(number)

    threads = [threading.Thread(target=write, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n in range(1, 9):
            make(today() - n * DAY)
            gone: list[datetime.date] = []
            wait_until(lambda gone=gone: gone or gone.extend(store.partitions.tend([]).dropped))
        wait_until(lambda: store.partitions.tend([86400.0]) and len(days()) == 3)
        written_so_far = len(tries)
        wait_until(lambda: len(tries) > written_so_far + 100)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert FinishedTask.objects.count() == len(tries)


def test_in_another_schema_they_are_made_there(transactional_db):
    """As with the tables of a tenant. Its name may need quotes."""
    with connection.cursor() as cursor:
        cursor.execute('CREATE SCHEMA "odd %name"')
        cursor.execute('CREATE TABLE "odd %name".taskq_task (id bigint)')
        for statement in import_module("taskq.migrations.0012_finished").POSTGRESQL.split(";"):
            cursor.execute(re.sub(r"(TABLE|OF|ON) (taskq_)", r'\1 "odd %name".\2', statement))
    db = connecting.connect("default", lease=30, search_path='"odd %name"')
    try:
        made = db.partitions.tend([86400.0]).made
        db.connection.rows(partitions.drop('"odd %%name"', made[0]), {})
        assert db.partitions.tend([86400.0]).made == made[:1]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits "
                "WHERE inhparent = '\"odd %name\".taskq_finished'::regclass"
            )
            names = {name for (name,) in cursor.fetchall()}
        assert names == {
            f'"odd %name".{name}'
            for name in ("taskq_finished_default", *map(partitions.name_of, made))
        }
    finally:
        db.close()
        with connection.cursor() as cursor:
            cursor.execute('DROP SCHEMA "odd %name" CASCADE')


# By hand


def test_the_days_are_kept_by_hand(store, capsys, settings):
    settings.TASKQ = {"KEEP_FINISHED": {"reports": "1 day"}}
    make(today() - DAY)
    finished(1, today() - DAY)
    finished(2, today() - 9 * DAY)
    finished(3, today() + 9 * DAY)
    call_command("taskq_prune")
    said = capsys.readouterr().out
    assert "1 finished tasks, 0 losses and 0 workflows removed" in said
    assert re.search(r"\d+ days of finished tasks made ahead, 1 days dropped", said)
    assert set(written(*(today() + n * DAY for n in (1, 2, 3)))) <= set(days())
    assert [each.pk for each in FinishedTask.objects.all()] == [3]


# Without the right to do so


REPORTS = {"TASKQ_KEEP_FINISHED": '{"default": "1 day"}'}


def test_a_pool_whose_role_may_make_no_partitions_works_on_and_says_so_once(
    role, start_pool, database_url, drained, partitions_dropped
):
    name = role({**grants.POOL, "shop_order": ("SELECT", "INSERT")})
    finished(10**9, today() - DAY)
    pool = start_pool("-c", 1, DATABASE_URL=as_role(database_url, name), **REPORTS)
    tasks.quick.delay_many([(key,) for key in range(5)])
    tasks.place.delay(7)
    drained()
    wait_until(lambda: FinishedTask.objects.filter(expires_on__gt=today()).count() == 6)
    wait_until(lambda: not FinishedTask.objects.filter(pk=10**9).exists(), what="it is pruned")
    assert days() == []
    assert pool.stop() == 0
    (said,) = [line for line in pool.log().splitlines() if "may not make or drop" in line]
    assert f"run manage.py taskq_prune once a day as postgres, or GRANT postgres TO {name}" in said
    assert "permission denied" not in pool.log()


def test_a_pool_whose_role_is_a_member_of_the_owner_makes_them(
    role, start_pool, database_url, partitions_dropped
):
    name = role(grants.POOL)
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT postgres TO {name}")
    pool = start_pool("-c", 1, DATABASE_URL=as_role(database_url, name), **REPORTS)
    pool.wait_for_log("partitions of taskq_finished: made")
    assert set(written(*(today() + n * DAY for n in (1, 2, 3)))) <= set(days())
