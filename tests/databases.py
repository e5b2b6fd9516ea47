"""The database under test, chosen before Django's settings are read.

TASKQ_TEST_DB is ``postgresql`` (the newest that the wheel has, and the default),
``postgresql-oldest``, ``sqlite``, or the URL of a server to use.
"""

import os
import shutil
import tempfile

import pytest

from stress.postgres import NEWEST, OLDEST, EmbeddedPostgres

CHOICE = os.environ.get("TASKQ_TEST_DB", "postgresql")
_cleanups = []


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    if CHOICE == "sqlite":
        home = tempfile.mkdtemp(prefix="taskq-sqlite-")
        _cleanups.append(lambda: shutil.rmtree(home))
        os.environ["DATABASE_URL"] = f"sqlite:///{home}/db.sqlite3"
    elif CHOICE.startswith("postgresql") and "://" not in CHOICE:
        version = OLDEST if CHOICE.endswith("oldest") else NEWEST
        # The machine does not crash under the tests, so nothing needs to reach the disk.
        settings = {"fsync": "off"}
        if version >= 17:  # before that it has a size that nobody fills
            settings["max_notify_queue_pages"] = "64"
        server = EmbeddedPostgres(version=version, settings=settings)
        _cleanups.append(server.close)
        os.environ["DATABASE_URL"] = server.create_database("taskq")
    else:
        os.environ["DATABASE_URL"] = CHOICE


def pytest_unconfigure() -> None:
    while _cleanups:
        _cleanups.pop()()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for another database, and on SQLite what needs none."""
    sqlite = CHOICE.startswith("sqlite")
    other = "postgresql" if sqlite else "sqlite"

    def fits(item: pytest.Item) -> bool:
        if item.get_closest_marker(other) is not None:
            return False
        needs_it = item.path.parent.name not in ("pool", "stress")
        return not sqlite or needs_it or item.get_closest_marker("sqlite") is not None

    left_out = [item for item in items if not fits(item)]
    items[:] = [item for item in items if fits(item)]
    config.hook.pytest_deselected(items=left_out)
