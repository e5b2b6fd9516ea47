"""The bench's rows of Django's door and of a slow disk: they measure what they say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stress.bench.arena import Arena
from stress.bench.catalog import SCENARIOS
from stress.bench.contestants import CELERY_DOOR, DJANGO_DOOR, PEERS, PeerEnvironment
from stress.bench.queue import WARM_UP
from stress.bench.scenarios.drain import FAILURES, LONG_TEXT, TEXTS, Load, fill, full
from stress.bench.scenarios.slow_disk import OnSlowDisk
from stress.bench.stage import Stage
from stress.rig.pools import wait_until
from stress.rig.postgres import EmbeddedPostgres

#: Seconds of five commits that wait for 5 ms each. A disk of memory needs next to none of its own.
FIVE_COMMITS = 0.025


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with EmbeddedPostgres() as server:
        yield Arena(tmp_path_factory.mktemp("bench"), server, PeerEnvironment(), quick=True)


def value(stage: Stage, query: str) -> Any:
    with psycopg.connect(stage.url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


@pytest.mark.postgresql
def test_a_flush_on_the_slow_disk_takes_5_ms_more(arena: Arena) -> None:
    with (
        arena.slow_disk(),
        arena.stage() as stage,
        psycopg.connect(stage.url, autocommit=True) as connection,
    ):
        assert value(stage, "SHOW commit_delay") == "5000"
        assert value(stage, "SHOW commit_siblings") == "0"
        connection.execute("CREATE TABLE written (number int)")
        began = time.perf_counter()
        for number in range(5):
            connection.execute("INSERT INTO written VALUES (%s)", [number])
        assert time.perf_counter() - began > FIVE_COMMITS
    with arena.stage() as stage:
        assert value(stage, "SHOW commit_delay") == "0"


@pytest.mark.postgresql
def test_a_task_of_the_django_door_runs_and_keeps_its_result(arena: Arena) -> None:
    with arena.stage(DJANGO_DOOR) as stage:
        stage.run("send", "noop", 1)
        stage.watch(stage.start_workers(1), seconds=120, until=lambda done: done > WARM_UP)
        results = "SELECT count(*) FROM taskq_result WHERE name = 'stress.bench.work.noop'"
        wait_until(lambda: value(stage, results) == WARM_UP + 1, what="all have a result")


@pytest.mark.postgresql
def test_a_task_that_fails_is_retried_at_once_and_again(arena: Arena) -> None:
    with full(arena, FAILURES, 1) as stage:
        samples = stage.watch(stage.start_workers(1), seconds=120, until=lambda done: done >= 5)
        assert samples[-1][1] >= 5


@pytest.mark.postgresql
def test_the_long_text_comes_back_as_the_result(arena: Arena) -> None:
    with full(arena, TEXTS, 3, DJANGO_DOOR) as stage:
        stage.start_workers(1)
        kept = f"SELECT count(*) FROM taskq_result WHERE value LIKE '%{LONG_TEXT}%'"
        wait_until(lambda: value(stage, kept) == 3, what="all have a result")


@pytest.mark.postgresql
def test_the_raw_loop_leaves_a_result_of_each_row(arena: Arena) -> None:
    with arena.stage() as stage:
        with psycopg.connect(stage.url, autocommit=True) as connection:
            fill(connection, "some.task", 120, "[[%s],{}]")
        stage.module("stress.bench.raw", "drain-results", "--rows", "50")
        assert value(stage, "SELECT count(*) FROM taskq_task") == 0
        assert value(stage, "SELECT count(*) FROM taskq_result WHERE value = payload") == 120
        assert stage.counter.total() == 120


def test_what_is_beside_a_row_is_beside_it_on_the_slow_disk_too(tmp_path: Path) -> None:
    scenario = SCENARIOS["drain-django-c8-slow-disk"]
    assert set(scenario.beside(NoServer(tmp_path))) == {CELERY_DOOR}


def test_a_queue_in_memory_has_no_slow_disk(tmp_path: Path) -> None:
    celery = next(peer for peer in PEERS if peer.store == "redis")
    scenario = SCENARIOS["drain-noop-c8-slow-disk"]
    assert isinstance(scenario, OnSlowDisk)
    assert scenario.peer(NoServer(tmp_path), celery) is None


class NoServer(Arena):
    """An arena in which nothing can be measured."""

    def __init__(self, home: Path) -> None:
        self.home = home


@pytest.mark.postgresql
@pytest.mark.parametrize("measures", [True, False])
def test_what_a_measured_row_compares_with_measures_nothing(arena: Arena, measures: bool) -> None:
    with ExitStack() as stack:
        if not measures:
            stack.enter_context(arena.taskq_settings(STATISTICS=False))
        stage = stack.enter_context(full(arena, Load(), 500))
        stage.watch(stage.start_workers(1), seconds=240, until=lambda done: done >= 500)
        rows = "SELECT count(*) FROM taskq_rollup"
        if measures:
            wait_until(lambda: value(stage, rows) > 0, what="a minute is written")
        else:
            assert value(stage, rows) == 0


@pytest.mark.postgresql
def test_the_raw_loop_of_retries_makes_rows_due_again(arena: Arena) -> None:
    with full(arena, FAILURES, 100) as stage:
        workers = stage.start("stress.bench.raw", "retry", "--rows", "50")
        stage.watch(workers, seconds=240, until=lambda done: done >= 500)
        assert value(stage, "SELECT max(retries) FROM taskq_task") >= 4


@pytest.mark.postgresql
def test_the_bare_backend_sends_tasks_that_are_tasks(arena: Arena) -> None:
    with arena.stage() as stage:
        assert stage.module("stress.bench.bare_backend", "--count", 10) > 0
        sent = "SELECT count(*) FROM taskq_task WHERE name = 'stress.bench.work.noop'"
        assert value(stage, sent) == 10 + WARM_UP
