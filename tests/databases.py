"""The database under test, chosen before Django's settings are read.

TASKQ_TEST_DB is ``postgresql`` (the newest that the wheel has, and the default),
``postgresql-oldest``, ``sqlite``, or the URL of a database on a server to use: for one process of
pytest, as a role that may make databases and roles. Each process of pytest-xdist
has a server of its own, as some tests fill, slow down or cut off all of a server.
TASKQ_TEST_COMMIT_DELAY: milliseconds that each commit of that server takes longer.
"""

import os
import shutil
import tempfile

import pytest

from stress.rig.postgres import NEWEST, OLDEST, EmbeddedPostgres

CHOICE = os.environ.get("TASKQ_TEST_DB", "postgresql")
_cleanups = []


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    several = getattr(early_config.known_args_namespace, "numprocesses", None)
    if several and "PYTEST_XDIST_WORKER" not in os.environ:
        return  # this process starts those that run the tests
    if CHOICE == "sqlite":
        home = tempfile.mkdtemp(prefix="taskq-sqlite-")
        _cleanups.append(lambda: shutil.rmtree(home))
        os.environ["DATABASE_URL"] = f"sqlite:///{home}/db.sqlite3"
    elif CHOICE.startswith("postgresql") and "://" not in CHOICE:
        version = OLDEST if CHOICE.endswith("oldest") else NEWEST
        server = EmbeddedPostgres(version=version, settings=_settings(version))
        _cleanups.append(server.close)
        os.environ["DATABASE_URL"] = server.create_database("taskq")
    else:
        os.environ["DATABASE_URL"] = CHOICE


def _settings(version: int) -> dict[str, str]:
    """Of the server's postgresql.conf."""
    settings = {}
    if version >= 17:  # before that it has a size that nobody fills
        settings["max_notify_queue_pages"] = "64"
    if delay := os.environ.get("TASKQ_TEST_COMMIT_DELAY"):
        # The server waits only before it writes to the disk.
        return settings | {"commit_delay": f"{delay}000", "commit_siblings": "0"}
    # The machine does not crash under the tests, so nothing needs to reach the disk.
    return settings | {"fsync": "off"}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """A process of pytest-xdist says after this that it has finished, and is interrupted 5 s later:
    to stop a server may take longer."""
    pytest_unconfigure()


def pytest_unconfigure() -> None:
    while _cleanups:
        _cleanups.pop()()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for another database, what a switched-off shortcut would do, and on SQLite
    what cannot see which database it is."""
    sqlite = CHOICE.startswith("sqlite")
    other = "postgresql" if sqlite else "sqlite"
    shortcuts_off = os.environ.get("TASKQ_SHORTCUTS") == "off"

    def fits(item: pytest.Item) -> bool:
        if item.get_closest_marker(other) is not None:
            return False
        if item.get_closest_marker("shortcuts") is not None and shortcuts_off:
            return False
        return not sqlite or _sees_it(item) or item.get_closest_marker("sqlite") is not None

    left_out = [item for item in items if not fits(item)]
    items[:] = [item for item in items if fits(item)]
    config.hook.pytest_deselected(items=left_out)


def _sees_it(item: pytest.Item) -> bool:
    """Whether a test of taskq uses the database: pytest-django lets no other do so."""
    if item.nodeid.startswith(("tests/pool/", "tests/stress/")):
        return False
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or "django_db_setup" in fixtures
