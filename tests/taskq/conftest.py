"""Leases without a pool (workers and claims by hand), and fixtures that several files share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction

from pool import Child, Role, State
from stress.rig.pools import wait_until
from taskq.celery import AsyncResult
from taskq.conf import Settings
from taskq.keeper.keeper import Keeper
from taskq.pool_context import PoolContext, scoreboard
from taskq.sql.postgresql import partitions
from taskq.store import connecting
from taskq.store.claims import ClaimRequest
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Claimed, Run
from taskq.task.queues import Queues
from taskq.worker.worker import Worker
from tests.conftest import PoolUnderTest
from tests.project.lab import tasks

# Fixtures of several files, kept beside the words that go with them.
from tests.taskq.admin_site import dead_worker, each_state, good_worker, root  # noqa: F401
from tests.taskq.outages import server, url  # noqa: F401
from tests.taskq.roles import role  # noqa: F401
from tests.taskq.saying import said  # noqa: F401
from tests.taskq.scheduling import table, write  # noqa: F401


@pytest.fixture
def connect(transactional_db: None) -> Iterator[Callable[[], TaskStore]]:
    """Open connections of the queue's own, as the processes of a pool do."""
    opened: list[TaskStore] = []

    def open_one() -> TaskStore:
        opened.append(connecting.connect("default", lease=30))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def db_store(connect: Callable[[], TaskStore]) -> TaskStore:
    return connect()


class HandWorker:
    """A worker that a test moves by hand.

    slept: it claims as one that has slept does.
    """

    def __init__(
        self, db: TaskStore, *, lease: float = 30.0, pid: int = 1, slept: bool = False
    ) -> None:
        self.db = db
        self.slept = slept
        self.id = db.leases.give("host:1", "host", [(f"worker {pid}", pid)], lease)[pid]

    def claim(self, limit: int = 1, quick: tuple[str, ...] = (), queues: str = "") -> list[Claimed]:
        if self.slept:
            return self.db.end_and_claim(
                self.id, [], ClaimRequest(Queues.parse(queues), limit, quick)
            ).tasks
        for lane in self.db.lanes(Queues.parse(queues)):
            if lane.wait <= 0 and (tasks := self.db.claim(self.id, lane, limit, quick)):
                return tasks
        return []

    def claim_one(self) -> Claimed:
        (task,) = self.claim()
        return task


@pytest.fixture
def worker(db_store: TaskStore) -> HandWorker:
    return HandWorker(db_store)


@pytest.fixture
def new_worker(db_store: TaskStore) -> Callable[..., HandWorker]:
    def make(pid: int = 2, lease: float = 30.0) -> HandWorker:
        return HandWorker(db_store, pid=pid, lease=lease)

    return make


@pytest.fixture
def held(worker: HandWorker) -> list[Run]:
    """The runs of five quick tasks that a worker holds."""
    tasks.quick.delay_many([(key,) for key in range(5)])
    return [task.run for task in worker.claim(5, (tasks.quick.name,))]


class Caller(threading.Thread):
    """Another process, as far as the database knows: a transaction that ends when told."""

    def __init__(self, call: Callable[[], AsyncResult], rollback: bool = False) -> None:
        super().__init__(daemon=True)
        self.call, self.rollback = call, rollback
        self.called, self.may_end = threading.Event(), threading.Event()
        self.id: int | None = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            with transaction.atomic():
                self.id = self.call().id.int
                self.called.set()
                assert self.may_end.wait(60), "nobody told it to end"
                transaction.set_rollback(self.rollback)
        except Exception as error:
            self.error = error
        finally:
            connections.close_all()

    def end(self) -> int | None:
        """Let the transaction end; the id that the call had."""
        self.may_end.set()
        self.join(60)
        assert not self.is_alive()
        assert self.error is None, self.error
        return self.id


@pytest.fixture
def call(transactional_db: None) -> Iterator[Callable[..., Caller]]:
    """Calls in transactions of their own: they have been made when this returns, or wait for
    another's, or for whatever ``waits`` says."""
    callers: list[Caller] = []

    def make(
        function: Callable[[], AsyncResult],
        *,
        rollback: bool = False,
        waits: bool | Callable[[], object] = False,
    ) -> Caller:
        callers.append(Caller(function, rollback))
        if waits:
            condition = waits_for_a_lock if waits is True else waits
            wait_until(condition, what="the call waits for another transaction")
        else:
            assert callers[-1].called.wait(60), callers[-1].error
        return callers[-1]

    yield make
    for each in callers:
        each.may_end.set()
        each.join(60)


def waits_for_a_lock() -> int:
    """How many sessions of this database do."""
    with connection.cursor() as cursor:
        # Within a transaction the activity is otherwise remembered from the first look.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def child_of_no_pool(name: str, number: int = 1) -> Child:
    """The keeper, or a worker, of a pool that has no processes: this one acts for it."""
    board = scoreboard(number + 1)
    for slot in board.slots:
        slot.generation = 1  # the one before was asked to end
    keeper = name == "keeper"
    return Child(
        Role(name=name, run=lambda _: 0, scalable=not keeper),
        number=number,
        slot=board.slots[0 if keeper else number],
        scoreboard=board,
        supervisor_pid=os.getppid(),
        title="test",
        first_try=True,
    )


#: The sessions of workers and keepers that are in no pool.
_sessions: list[StoreSession] = []


@pytest.fixture(autouse=True)
def no_session_is_left() -> Iterator[None]:
    """The database under test can be dropped only once nobody has a session there. What refers to
    itself would keep one until the garbage is collected."""
    yield
    while _sessions:
        _sessions.pop().close()


def worker_of_no_pool(
    lease: int, *, number: int = 1, worker_class: type[Worker] = Worker
) -> Worker:
    """A worker that holds this lease, and does only what a test tells it to do."""
    child = child_of_no_pool("worker", number)
    child.slot.grant(lease, child.slot.generation, 2**62)
    context = PoolContext(settings=Settings(), queues=Queues(), alias="default")
    worker = worker_class(child, context)
    _sessions.append(worker.session)
    return worker


def keeper_of_no_pool(settings: Settings, *, workers: int = 1) -> Keeper:
    """The keeper of a pool whose workers are all this process, and idle."""
    child = child_of_no_pool("keeper", workers)
    for slot in child.scoreboard.slots[1:]:
        slot.pid, slot.state = os.getpid(), State.IDLE
    keeper = Keeper(child, PoolContext(settings=settings, queues=Queues(), alias="default"))
    _sessions.append(keeper.session)
    return keeper


@pytest.fixture
def partitions_dropped(transactional_db: None) -> Iterator[None]:
    """The table of finished tasks has only its default partition, before and afterwards."""
    drop_partitions()
    yield
    drop_partitions()


def drop_partitions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(partitions.LIST)
        for name, _ in cursor.fetchall():
            if name != "taskq_finished_default":
                cursor.execute(f"DROP TABLE {name}")


@pytest.fixture
def announced() -> Iterator[list[Any]]:
    """The results that Django's task_enqueued is sent with, each with its sender."""
    from taskq.django.compat import task_enqueued

    heard: list[Any] = []

    def hear(sender: Any, task_result: Any, **kwargs: Any) -> None:
        heard.append((sender, task_result))

    task_enqueued.connect(hear)
    yield heard
    task_enqueued.disconnect(hear)


@pytest.fixture
def backend() -> Any:
    """That of Django's own tasks, or of their backport, where there is one."""
    from taskq.django.compat import task_backends

    return task_backends["default"]


@pytest.fixture
def pool_on(url, tmp_path, history_file):  # noqa: F811
    """Starts pools on the database ``url``, a fixture of the test's own file."""
    pools = []

    def start(*options):
        environment = {**os.environ, "DATABASE_URL": url, "TASKQ_HISTORY": str(history_file)}
        log = tmp_path / f"pool{len(pools)}.log"
        pools.append(PoolUnderTest([*options], log, environment))
        return pools[-1]

    yield start
    for pool in pools:
        pool.kill_all()
        print(f"--- {pool.log_file.name}\n{pool.log()}")
