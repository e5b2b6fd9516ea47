"""Start a pool, kill it, wait until: the words in which the tests are written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from django.db import connection

from stress import history
from taskq.models import Task

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, seconds: float = 15.0, what: str = "") -> T:
    """Wait for a true value and return it; fail the test after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what or condition}")
        time.sleep(0.01)
    return value


class RunningPool:
    """A ``taskq_pool`` in a process of its own, on the test's database."""

    def __init__(self, log: Path, environment: dict[str, str], *options: str) -> None:
        self.log_file = log
        command = [sys.executable, "-m", "tests.project.manage", "taskq_pool", *options]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return self.log_file.read_text()

    def children(self, role: str = "") -> dict[str, int]:
        """Name -> pid of the children that have their title: {"keeper": 12, "worker 1": 13}."""
        found = {}
        for process in psutil.Process(self.pid).children():
            try:
                title = " ".join(process.cmdline())
            except psutil.Error:
                continue
            prefix, _, rest = title.partition("taskq_pool: ")
            if not prefix and rest.startswith(role):
                found[rest.partition(" [")[0].strip()] = process.pid
        return found

    def tree(self) -> list[psutil.Process]:
        """The supervisor and all that descend from it."""
        top = psutil.Process(self.pid)
        return [top, *top.children(recursive=True)]

    def wait_ready(self, workers: int) -> RunningPool:
        """Until so many workers are idle or busy."""

        def ready() -> bool:
            assert self.process.poll() is None, self.log()
            return len(self.children("worker")) == workers and self.leases() >= workers + 1

        wait_until(ready, what=f"{workers} workers up")
        return self

    def leases(self) -> int:
        from taskq.models import Worker

        return Worker.objects.filter(pool__endswith=f":{self.pid}").count()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_for_log(self, text: str, *, seconds: float = 15.0) -> None:
        wait_until(lambda: text in self.log(), seconds=seconds, what=f"log says {text!r}")

    def stop(self, *, seconds: float = 20.0) -> int:
        """TERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill_all(self) -> None:
        """SIGKILL to everything, as when the host goes."""
        try:
            processes = self.tree()
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.wait()


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
def environment(transactional_db: None, history_file: Path) -> dict[str, str]:
    """For a process that is to see the test's database and history."""
    url = os.environ["DATABASE_URL"]
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        base, _, query = url.partition("?")
        url = f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    return {
        **os.environ,
        "DATABASE_URL": url,
        "TASKQ_HISTORY": str(history_file),
        "DJANGO_SETTINGS_MODULE": "tests.project.settings",
    }


@pytest.fixture
def start_pool(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., RunningPool]]:
    """Start pools on the test's database; whatever is left of them is killed at the end."""
    pools: list[RunningPool] = []

    def start(*options: object, ready: bool = True, **more_environment: str) -> RunningPool:
        words = [str(option) for option in options]
        log = tmp_path / f"pool{len(pools)}.log"
        pool = RunningPool(log, {**environment, **more_environment}, *words)
        pools.append(pool)
        workers = int(words[words.index("-c") + 1]) if "-c" in words else os.cpu_count() or 1
        return pool.wait_ready(workers) if ready else pool

    yield start
    for pool in pools:
        pool.kill_all()
        print(f"--- {pool.log_file.name}\n{pool.log()}")


@pytest.fixture
def drained() -> Callable[..., None]:
    """Wait until no task waits or runs."""

    def wait(seconds: float = 20.0) -> None:
        wait_until(lambda: not Task.objects.exclude(state=2).exists(), seconds=seconds)

    return wait
