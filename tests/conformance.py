"""``python -m tests.conformance``: Django's own tests of its tasks, with our backend.

docs/reference/conformance.md says which are left out, and why; this reads them there. It is also
the plugin of the pytest that runs them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/conformance.md"


def left_out() -> set[str]:
    """The tests that need another backend, as ``Class.test``."""
    return set(re.findall(r"^\| `(\w+\.\w+)` \|", PAGE.read_text(), re.MULTILINE))


def main() -> int:
    if django.VERSION < (6, 1):
        print(f"Django {django.get_version()} has no such tests: install 6.1 or later")
        return 0
    with tempfile.TemporaryDirectory(prefix="taskq-conformance-") as home:
        fetch(Path(home))
        pytest = [sys.executable, "-m", "pytest", "-p", "tests.conformance", "--rootdir", home]
        return subprocess.run(
            [*pytest, "-c", str(ROOT / "pyproject.toml"), f"{home}/tasks"],
            cwd=ROOT,
            # Coroutines there call what reads from memory in the dummy, and from a table in ours.
            env={**os.environ, "PYTHONPATH": home, "DJANGO_ALLOW_ASYNC_UNSAFE": "1"},
        ).returncode


def fetch(home: Path) -> None:
    """The package ``tasks`` of Django's tests."""
    wanted = f"django=={django.get_version()}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(home), wanted], check=True)
    (archive,) = home.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        for member in source:
            _, _, path = member.name.partition("/tests/tasks/")
            if path and member.isfile():
                (home / "tasks").mkdir(exist_ok=True)
                content = source.extractfile(member)
                assert content is not None
                (home / "tasks" / path).write_bytes(content.read())


# The plugin


def pytest_configure() -> None:
    """Before the tests are imported, which take the classes from where these put ours."""
    from django import test
    from django.db import connections
    from django.tasks import TaskResult
    from django.tasks.backends import dummy, immediate

    from taskq.backend import TaskqBackend
    from taskq.models import Task
    from taskq.testing import run_all

    @contextmanager
    def connection_of_a_loop() -> Iterator[None]:
        """A coroutine's thread has a connection of its own, which nobody else would close."""
        try:
            yield
        finally:
            if threading.current_thread() is not threading.main_thread():
                connections.close_all()

    class Dummy(TaskqBackend):
        """Shows what is in the table, as Django's shows what it has in memory."""

        @property
        def results(self) -> list[TaskResult[..., Any]]:
            with connection_of_a_loop():
                ids = list(Task.objects.values_list("pk", flat=True))
            return [self.get_result(id) for id in ids]

        def get_result(self, result_id: Any) -> TaskResult[..., Any]:
            with connection_of_a_loop():
                return super().get_result(result_id)

        def clear(self) -> None:
            Task.objects.all().delete()

    class Immediate(TaskqBackend):
        """Has a worker run at once what is sent."""

        def enqueue(self, task: Any, args: Any, kwargs: Any) -> TaskResult[..., Any]:
            result = super().enqueue(task, args, kwargs)
            run_all(propagate=False)
            result.refresh()
            return result

    dummy.DummyBackend = Dummy  # type: ignore[misc,assignment]
    immediate.ImmediateBackend = Immediate  # type: ignore[misc,assignment]
    # They need a database, and what they send is seen on each connection.
    test.SimpleTestCase = test.TransactionTestCase  # type: ignore[misc,assignment]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def name(item: pytest.Item) -> str:
        return ".".join(item.nodeid.split("::")[1:])

    left = left_out()
    missing = left - {name(item) for item in items}
    if missing:
        raise pytest.UsageError(f"{PAGE.name} leaves out what is not there: {sorted(missing)}")
    for item in items:  # Django's own apps are not all that we need
        item.cls.available_apps = None  # type: ignore[attr-defined]
    config.hook.pytest_deselected(items=[item for item in items if name(item) in left])
    items[:] = [item for item in items if name(item) not in left]


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test defines is gone after it."""
    from taskq.task import registry

    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


if __name__ == "__main__":
    sys.exit(main())
