"""One contestant at work: its commands, its workers, and what they complete."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from stress.bench.contestants import Contestant
from stress.bench.counter import Counter
from stress.bench.figures import Sample
from stress.bench.queue import Unsupported
from stress.rig.pools import TITLE, TimedOut, wait_until

#: Seconds between two looks at what is done.
LOOK = 0.02
#: Seconds within which workers must have completed their first task.
START = 30.0


class Broken(RuntimeError):
    """A contestant's process failed; what it printed is the message."""


class Workers:
    """Processes that drain: one tree, or several of the raw loops."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
        self._processes = processes
        self._log = log

    @property
    def running(self) -> bool:
        return any(process.poll() is None for process in self._processes)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def tree(self) -> list[psutil.Process]:
        """All of their processes that are alive."""
        found = []
        for process in self._processes:
            try:
                top = psutil.Process(process.pid)
                found += [top, *top.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return found

    def wait_ready(self, children: int) -> None:
        """Until taskq's pool has so many children with a title, which they get when up.

        Raises TimedOut.
        """
        wait_until(
            lambda: sum(_title(each).startswith(TITLE) for each in self.tree()) > children,
            what=f"{children} children are up",
        )

    def kill(self) -> None:
        """All at once: the database is dropped after this."""
        for process in self.tree():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        for started in self._processes:
            started.wait()


class Stage:
    """A contestant with its tables, its environment and a counter.

    The tasks count themselves (stress.bench.counter), the raw loops what they removed.
    """

    def __init__(self, contestant: Contestant, environment: dict[str, str], home: Path) -> None:
        self.contestant = contestant
        self.environment = {
            **environment,
            "BENCH_COUNTER": str(home / "counter"),
            "BENCH_SENT": str(home / "sent"),
            "BENCH_STARTS": str(home / "starts"),
        }
        self.starts = home / "starts"
        self.starts.write_bytes(b"")
        self.counter = Counter(home / "counter")
        self.counter.clear()
        self.sent = Counter(home / "sent")
        self.sent.clear()
        self._home = home
        self._started = 0
        self._workers: list[Workers] = []

    @property
    def url(self) -> str:
        return self.environment["DATABASE_URL"]

    def run(self, *words: object) -> Any:
        """One command of the contestant's module; what it returns.

        Raises Unsupported, or Broken with what it printed.
        """
        return self.module(self.contestant.module, *words)

    def module(self, module: str, *words: object) -> Any:
        """The same with another module that prints JSON."""
        result = subprocess.run(
            self._command(module, words), env=self.environment, capture_output=True, text=True
        )
        if result.returncode:
            raise Broken(f"{module} {' '.join(map(str, words))}:\n{result.stderr or result.stdout}")
        answer = json.loads(result.stdout.strip().splitlines()[-1])
        if isinstance(answer, dict) and "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        return answer

    def start(self, module: str, *words: object, processes: int = 1) -> Workers:
        """Start a module in so many processes, each a session of its own."""
        self._started += 1
        path = self._home / f"{self._started}.log"
        with path.open("wb") as log:
            workers = Workers(
                [
                    subprocess.Popen(
                        self._command(module, words),
                        env=self.environment,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                    for _ in range(processes)
                ],
                path,
            )
        self._workers.append(workers)
        return workers

    def start_workers(self, concurrency: int, *options: str) -> Workers:
        return self.start(self.contestant.module, "work", concurrency, *options)

    def watch(
        self,
        workers: Workers,
        *,
        seconds: float,
        until: Callable[[int], bool] = lambda done: False,
        counter: Counter | None = None,
    ) -> list[Sample]:
        """What is done when, from the first completion on, for so many seconds or until
        so much is done. counter: another than that of the tasks.

        Raises Broken when the workers end before, TimedOut when they complete nothing.
        """
        total = (counter or self.counter).total
        began = time.perf_counter()
        first = None
        samples: list[Sample] = []
        while True:
            done, now = total(), time.perf_counter()
            if done:
                first = now if first is None else first
                samples.append((now - first, done))
                if until(done) or now - first > seconds:
                    return samples
            elif now - began > START:
                raise TimedOut(f"nothing was done within {START:g} s:\n{workers.log()}")
            if not workers.running:
                if samples and total() > done:
                    continue
                if samples:
                    return samples
                raise Broken(f"the workers ended:\n{workers.log()}")
            time.sleep(LOOK)

    def close(self) -> None:
        for workers in self._workers:
            workers.kill()

    def _command(self, module: str, words: tuple[object, ...]) -> list[str]:
        python = self.environment["BENCH_PYTHON"]
        return [python, "-m", module, *map(str, words)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
