"""A supervisor in a process of its own, and what it and its children say."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pool import clock
from stress.rig.pools import GENEROUS
from tests.conftest import wait_until

ROOT = Path(__file__).parents[2]
TITLE = "sample: "


class Sample:
    """One run of tests.pool.sample.

    before: words to start it with, such as unshare and its options.
    environment: variables besides ours.
    """

    def __init__(
        self,
        directory: Path,
        words: list[str],
        before: list[str],
        environment: dict[str, str],
        **how: Any,
    ) -> None:
        self.directory = directory
        self.roles = [word for word in words if "=" in word]
        self.before = before
        self.output = directory / "output"
        directory.mkdir()
        (directory / "notes.jsonl").touch()
        (directory / "log").touch()
        command = [sys.executable, "-m", "tests.pool.sample", str(directory), *words]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*before, *command],
                cwd=ROOT,
                # Output is buffered, as it is where nothing else is asked for.
                env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | environment,
                start_new_session=True,
                **{"stdout": output, "stderr": subprocess.STDOUT, **how},
            )

    @property
    def pid(self) -> int:
        """The supervisor's."""
        if self.before:
            return wait_until(lambda: psutil.Process(self.process.pid).children())[0].pid
        return self.process.pid

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def notes(self, what: str | None = None, **details: Any) -> list[dict[str, Any]]:
        """What children noted, oldest first: notes("up", name="worker 1")."""
        lines = (self.directory / "notes.jsonl").read_text().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # the last is being written
        return [
            found
            for found in map(json.loads, whole)
            if (what is None or found["what"] == what) and details.items() <= found.items()
        ]

    def tell(self, what: str) -> None:
        """Set a flag that the children look at."""
        (self.directory / what).touch()

    def children(self, role: str = "") -> dict[str, int]:
        """Name -> pid of the living children of a role."""
        found = {}
        for process in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.Error):  # it died since it was listed
                title = " ".join(process.cmdline()).strip()
                if title.startswith(TITLE + role) and title != TITLE + "supervisor":
                    found[title.removeprefix(TITLE)] = process.pid
        return found

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait_up(self, name: str, *, other_than: int = 0, seconds: float = GENEROUS) -> int:
        """Wait until a child of that name is up; its pid."""

        def there() -> int:
            assert self.process.poll() is None, self.log()
            pids = [up["pid"] for up in self.notes("up", name=name)]
            return pids[-1] if pids and pids[-1] != other_than else 0

        return wait_until(there, seconds=seconds, what=f"{name} is up")

    def wait_all_up(self) -> Sample:
        for role in self.roles:
            name, _, rest = role.partition("=")
            count = int(rest.partition("*")[2] or 1)
            for number in range(1, count + 1):
                self.wait_up(f"{name} {number}" if name == "worker" else name)
        return self

    def wait_note(
        self, what: str, *, count: int = 1, seconds: float = GENEROUS, **details: Any
    ) -> list[dict[str, Any]]:
        def there() -> list[dict[str, Any]]:
            found = self.notes(what, **details)
            return found if len(found) >= count else []

        return wait_until(there, seconds=seconds, what=f"{count} x {what} {details}")

    def wait_log(self, text: str, *, seconds: float = GENEROUS) -> None:
        wait_until(lambda: text in self.log(), seconds=seconds, what=f"log says {text!r}")

    def wait_clock(self, moment: int) -> None:
        """Until the pool's clock has passed a moment."""
        wait_until(lambda: clock.now() >= moment)

    def wait_exit(self, seconds: float = GENEROUS) -> int:
        return self.process.wait(seconds)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def kill_all(self) -> None:
        """All of the session, whoever is their parent by now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(process.pid) == self.process.pid:
                    os.kill(process.pid, signal.SIGKILL)
        self.process.wait()


def gone(*pids: int) -> bool:
    """Whether none of these runs any more (a zombie does not)."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return False
    return True


@pytest.fixture(autouse=True)
def log_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process a line of the supervisor's log may take its time. How long it may take
    in a pool is the concern of test_log alone."""
    monkeypatch.setattr("pool.log.PATIENCE", GENEROUS)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Sample]]:
    """Start a pool: start("keeper=notes_deaths", "worker=waits*2", "--drain", 1).

    up=False does not wait until the children are; **how is for Popen.
    """
    samples: list[Sample] = []

    def start(
        *words: object,
        up: bool = True,
        before: list[str] | None = None,
        environment: dict[str, str] | None = None,
        **how: Any,
    ) -> Sample:
        directory = tmp_path / f"pool{len(samples)}"
        options = [str(word) for word in words]
        sample = Sample(directory, options, before or [], environment or {}, **how)
        samples.append(sample)
        return sample.wait_all_up() if up else sample

    yield start
    for sample in samples:
        sample.kill_all()
        # Shown by pytest when the test failed.
        output = sample.output.read_text("utf-8", "replace")[:5000]
        print(f"--- {sample.directory.name}\n{sample.log()}{output}")
