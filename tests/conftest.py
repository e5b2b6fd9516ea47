"""Start a pool, kill it, wait until: the words in which the tests are written."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest
from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection
from django.db.models.signals import post_migrate
from hypothesis import settings as hypothesis

from pool.supervisor import REST
from stress.rig import history
from stress.rig.pools import GENEROUS, Pool, TimedOut, wait_until
from stress.rig.proxy import Proxy
from taskq import signals
from taskq.models import Task, Worker
from taskq.task import registry
from tests.forked import Forked, can_fork
from tests.receivers import as_before

# Of what a shell runs in the background it has Ctrl-C ignored, and so would be all that the
# tests start. What has a handler is at its default there.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the machine may be busy with the pools of other tests.
hypothesis.register_profile("pure functions", deadline=None, database=None)
hypothesis.load_profile("pure functions")

# Its asserts say what they compared, as those of the tests do.
pytest.register_assert_rewrite("tests.taskq.admin_site")


#: Seconds that a machine that is slow or busy may take for what should happen at once.
SLACK = 15.0


class PoolUnderTest(Pool):
    """A pool on the test's database."""

    def __init__(
        self,
        options: list[str],
        log: Path,
        environment: dict[str, str],
        prefix: Sequence[str] = (),
    ) -> None:
        manage = "tests.project.manage"
        super().__init__(manage, options, log=log, environment=environment, prefix=prefix)

    def start(
        self, command: list[str], environment: dict[str, str], output: BinaryIO
    ) -> subprocess.Popen[bytes]:
        if can_fork(command, environment):
            return Forked(command[2:], environment, output)
        return super().start(command, environment, output)

    def leases(self) -> list[Worker]:
        return list(Worker.objects.filter(pool__endswith=f":{self.pid}"))

    def wait_ready(self, workers: int) -> PoolUnderTest:
        """Until so many workers hold a lease."""

        def ready() -> bool:
            assert self.process.poll() is None, self.log()
            # The cheaper question first: it is asked again and again while the pool starts.
            return len(self.children("worker")) == workers and len(self.leases()) > workers

        wait_until(ready, what=f"{workers} workers up")
        return self

    def wait_for_log(self, text: str, *, seconds: float = GENEROUS) -> None:
        wait_until(lambda: text in self.log(), seconds=seconds, what=f"log says {text!r}")


def looks_seldom(supervisor: int) -> bool:
    """Whether it goes round as one of idle children does: once a REST, and waits again."""
    began = time.monotonic()

    def waits() -> int:
        return psutil.Process(supervisor).num_ctx_switches().voluntary

    before = waits()
    time.sleep(4)
    rounds = waits() - before
    return rounds <= (time.monotonic() - began) / REST + 3


#: Bytes of a table that can be emptied without new files.
SMALL = 64 * 1024

#: Files that take the longest. They come first, so that no process is left alone with one.
LONG = (
    "test_admin_odd_rows test_killing test_killing_atomic test_outage "
    "test_commands_without_answer test_discovery test_explore test_bench test_prove test_chaos "
    "test_monkey test_tune test_draining"
).split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The test database; after a test it keeps Django's lists of models and permissions.

    To write them again takes ten times as long as to empty the other tables.
    """
    kept = {"auth_permission", "django_content_type"}
    names = connection.introspection.django_table_names

    def names_to_flush(*options: Any, **more_options: Any) -> list[str]:
        return [name for name in names(*options, **more_options) if name not in kept]

    connection.introspection.django_table_names = names_to_flush
    if connection.vendor == "postgresql":
        connection.ops.sql_flush = functools.partial(sql_to_flush, connection.ops.sql_flush)
    assert post_migrate.disconnect(create_contenttypes)
    assert post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    yield
    if connection.vendor == "postgresql":
        name_sessions_that_are_left()


def name_sessions_that_are_left() -> None:
    """Warn of them, as the database cannot be dropped. Those of pools that were just killed end."""
    raw = connection.connection
    ours = raw.info.backend_pid if raw is not None and not raw.closed else 0
    statement = (
        "SELECT application_name, state, query FROM pg_stat_activity "
        "WHERE datname = %s AND backend_type = 'client backend' AND pid <> %s"
    )
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:

        def left() -> list[tuple[str, str, str]]:
            name = connection.settings_dict["NAME"]
            return other.execute(statement, [name, ours]).fetchall()

        try:
            wait_until(lambda: not left(), seconds=SLACK)
        except TimedOut:
            warnings.warn(f"sessions that a test has left: {left()}", stacklevel=1)


def sql_to_flush(
    truncate: Callable[..., list[str]], style: Any, tables: list[str], **options: Any
) -> list[str]:
    """The statements that empty these tables after a test, with the locks that TRUNCATE takes.

    TRUNCATE makes new files for each table and index. To delete the rows takes a hundredth of its
    time while the tables are small, dead rows included.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(pg_relation_size(name)) FROM unnest(%s::regclass[]) AS name", [tables]
        )
        if cursor.fetchone()[0] > SMALL:
            return truncate(style, tables, **options)
    names = [connection.ops.quote_name(table) for table in tables]
    return [f"LOCK {', '.join(names)}", *(f"DELETE FROM {name}" for name in names)]


@pytest.fixture
def history_file(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    path.touch()
    return path


@pytest.fixture
def runs(history_file: Path) -> Callable[..., list[dict[str, Any]]]:
    """The records of the tasks' runs: runs("start", key="a")."""

    def find(kind: str | None = None, key: Any = None) -> list[dict[str, Any]]:
        return [
            record
            for record in history.read(history_file)
            if (kind is None or record["kind"] == kind) and (key is None or record["key"] == key)
        ]

    return find


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """The test's database, for other processes and connections."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    base, _, query = os.environ["DATABASE_URL"].partition("?")
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


@pytest.fixture
def environment(database_url: str, history_file: Path) -> dict[str, str]:
    """For a process that is to see the test's database and history."""
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "TASKQ_HISTORY": str(history_file),
        "DJANGO_SETTINGS_MODULE": "tests.project.settings",
    }


@pytest.fixture
def refusing(transactional_db: None) -> Iterator[Callable[..., None]]:
    """Have the database refuse what is done to rows of which a condition is true; or, silently,
    not do it."""
    undo: list[str] = []

    def refuse(doing: str, rows: str, when: str, *, silently: bool = False) -> None:
        name = f"refuse_{len(undo)}"
        if connection.vendor == "postgresql":
            said = "RAISE 'the site has its own ideas'"
            made = (
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
                f"BEGIN {'RETURN NULL' if silently else said}; END $$; "
                f"CREATE TRIGGER {name} BEFORE {doing} ON {rows} FOR EACH ROW "
                f"WHEN ({when}) EXECUTE FUNCTION {name}()"
            )
            undo.append(f"DROP FUNCTION {name} CASCADE")
        else:
            said = "RAISE(ABORT, 'the site has its own ideas')"
            made = (
                f"CREATE TRIGGER {name} BEFORE {doing} ON {rows} WHEN {when} "
                f"BEGIN SELECT {'RAISE(IGNORE)' if silently else said}; END"
            )
            undo.append(f"DROP TRIGGER {name}")
        with connection.cursor() as cursor:
            cursor.execute(made)

    yield refuse
    with connection.cursor() as cursor:
        for each in undo:
            cursor.execute(each)


@pytest.fixture
def far_away(transactional_db: None) -> Iterator[tuple[Proxy, str]]:
    """A proxy to the test's database, and the URL that leads through it."""
    url = urlsplit(os.environ["DATABASE_URL"])
    host = parse_qs(url.query).get("host", [url.hostname])[0]
    port = url.port or 5432
    target = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
    login = f"{url.username}:{url.password or ''}"
    with Proxy(target) as proxy:
        name = connection.settings_dict["NAME"]
        yield proxy, f"postgresql://{login}@{proxy.host}:{proxy.port}/{name}"


@pytest.fixture
def start_pool(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., PoolUnderTest]]:
    """Start pools on the test's database; whatever is left of them is killed at the end."""
    pools: list[PoolUnderTest] = []

    def start(
        *options: object, ready: bool = True, prefix: Sequence[str] = (), **more_environment: str
    ) -> PoolUnderTest:
        words = [str(option) for option in options]
        log = tmp_path / f"pool{len(pools)}.log"
        pool = PoolUnderTest(words, log, {**environment, **more_environment}, prefix)
        pools.append(pool)
        workers = int(words[words.index("-c") + 1]) if "-c" in words else os.cpu_count() or 1
        return pool.wait_ready(workers) if ready else pool

    yield start
    for pool in pools:
        pool.kill_all()
        # Shown by pytest when the test failed.
        print(f"--- {pool.log_file.name}\n{pool.log()}")


@pytest.fixture
def drained() -> Callable[..., None]:
    """Wait until no task waits or runs."""

    def wait(seconds: float = GENEROUS) -> None:
        wait_until(lambda: not Task.objects.exclude(state=2).exists(), seconds=seconds)

    return wait


@pytest.fixture
def no_receivers() -> Iterator[None]:
    """The receivers that the test connects are gone afterwards."""
    with as_before(signals):
        yield


@pytest.fixture
def registered() -> Iterator[None]:
    """The registry of tasks as it was before, afterwards."""
    before = dict(registry._definitions)
    yield
    registry._definitions.clear()
    registry._definitions.update(before)
