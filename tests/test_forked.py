"""A process of the fork server sees of itself, and ends, as one that was started with exec."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from stress.rig.pools import GENEROUS, wait_until
from tests.forked import Forked, can_fork

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it adopts orphans as on Linux")

COMMAND = [sys.executable, "-m", "tests.facts"]

Start = Callable[..., tuple[Any, Path]]


def by_exec(words: list[str], environment: dict[str, str], output: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start tests.facts in one of the two ways: the process, and the file of what it says."""

    def begin(way: Callable[..., Any], end: str) -> tuple[Any, Path]:
        environment = {**os.environ, "TASKQ_TEST": "ä = ' "}
        environment.pop("DATABASE_URL")
        file = tmp_path / "output"
        with file.open("wb") as output:
            return way(["tests.facts", end, "two words"], environment, output), file

    return begin


@pytest.mark.parametrize(
    "end", ["returns", "exits", "exits with text", "raises", "is interrupted", "is killed"]
)
def test_it_sees_and_ends_as_with_exec(start, end):
    def outcome(way: Callable[..., Any]) -> tuple[int, str, str]:
        process, file = start(way, end)
        code = process.wait(GENEROUS)
        assert not psutil.pid_exists(process.pid)
        first, *rest = file.read_text().splitlines()
        # A traceback begins with the frames of the server.
        return code, json.loads(first), rest[-2:]

    code, facts, rest = outcome(Forked)
    assert (code, facts, rest) == outcome(by_exec)
    assert facts["parent"] == os.getpid()


def test_it_has_the_face_of_popen(start):
    process, _ = start(Forked, "sleeps")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    assert process.poll() is None
    assert process.pid in [each.pid for each in psutil.Process().children()]
    words = [*COMMAND, "sleeps", "two", "words"]
    wait_until(lambda: psutil.Process(process.pid).cmdline() == words)

    process.terminate()
    assert process.wait() == process.poll() == process.returncode == -signal.SIGTERM
    process.kill()  # does nothing: the number may be another's by now


def test_a_prefix_and_what_the_interpreter_reads_ask_for_an_exec():
    here = dict(os.environ)
    assert can_fork(COMMAND, {**here, "TASKQ_LISTEN": "0", "DATABASE_URL": "sqlite:///other"})
    assert not can_fork(["nice", *COMMAND], here)
    assert not can_fork([sys.executable, "manage.py"], here)
    assert not can_fork(COMMAND, {**here, "PYTHONPATH": "/nowhere"})
    assert not can_fork(COMMAND, {name: here[name] for name in here if name != "PATH"})
