"""The watcher of chaos, on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pool.clock import SECOND
from stress.chaos.watch import SEARCH, Watcher
from stress.rig import history
from stress.rig.history import History
from stress.rig.pools import wait_until
from tests.conftest import SLACK


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


@pytest.fixture
def watcher(path: Path) -> Iterator[Watcher]:
    started = Watcher(History(path))
    started.start()
    yield started
    started.close()


def watched(watcher: Watcher) -> set[int]:
    return {each.pid for each in list(watcher._watched.values())}


def deaths(path: Path, pid: int) -> list[dict[str, Any]]:
    return [record for record in history.read(path) if record["victim"] == pid]


def test_a_death_is_recorded_at_once_and_once_also_when_nobody_reaps_the_dead(
    watcher: Watcher, path: Path
) -> None:
    # What the shell becomes does not know of its child.
    parent = subprocess.Popen(
        ["sh", "-c", "sleep 600 & echo $!; exec sleep 600"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent:
        child = int(parent.stdout.readline())
        watcher.add(parent.pid)
        wait_until(lambda: child in watched(watcher))
        os.kill(child, signal.SIGKILL)
        (death,) = wait_until(lambda: deaths(path, child))
        assert death["cause"] == "seen"
        assert 0 <= death["at"] - death["since"] < SLACK * SECOND
        time.sleep(3 * SEARCH)  # it has looked for children meanwhile, and found a dead one
        parent.kill()
        wait_until(lambda: deaths(path, parent.pid), what="the parent's own end")
    assert len(deaths(path, child)) == 1
