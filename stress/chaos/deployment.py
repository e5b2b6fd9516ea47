"""A deployment: one pool that is started again whenever it ends, as by an operator."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stress.chaos.options import DRAIN_TIMEOUT, Options
from stress.chaos.scraper import url_in
from stress.chaos.watch import Watcher
from stress.rig import netns, processes
from stress.rig.history import History
from stress.rig.pools import Pool, wait_until
from stress.rig.proxy import Proxy

MANAGE = "stress.project.manage"
#: Seconds between the end of a pool and its next start.
RESTART_AFTER = 0.5
#: KiB of resident memory above which a worker is replaced. Tasks that leak reach it.
MEMORY_PER_CHILD = 200 * 1024


class Deployment:
    """A pool with its proxy and its host.

    environment: of its processes. proxy: between the pool and its database, None for SQLite.
    host: the network namespace of the pool. prefix: see :class:`stress.rig.pools.Pool`.
    """

    def __init__(
        self,
        name: str,
        options: Options,
        home: Path,
        history: History,
        watcher: Watcher,
        *,
        environment: Mapping[str, str],
        proxy: Proxy | None = None,
        host: netns.Host | None = None,
        prefix: list[str] | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.log_file = home / f"{name.replace(' ', '-')}.log"
        #: The session ids of all pools that ran here. Each is the pid of a supervisor.
        self.sessions: list[int] = []
        self._options = options
        self._history = history
        self._watcher = watcher
        self._flag = home / f"{name.replace(' ', '-')}.broken"
        self._environment = {**environment, "STRESS_BREAK_FLAG": str(self._flag)}
        self._changed: dict[str, str] = {}
        self._proxy = proxy
        self._prefix = prefix or []
        self._expected: set[int] = set()
        self._may_run = threading.Event()
        self._may_run.set()
        self._over = False
        self._pool = self._start()
        self._keeper = threading.Thread(target=self._keep_running, name=name, daemon=True)
        self._keeper.start()

    # State

    @property
    def pid(self) -> int:
        """The pid of the supervisor that runs, or that ran last."""
        return self._pool.pid

    @property
    def proxy(self) -> Proxy:
        assert self._proxy is not None, "a fault that needs a proxy is not for SQLite"
        return self._proxy

    def children(self, role: str = "") -> list[int]:
        """The children of the pool that live, of one role or of all."""
        found = processes.children(self.pid)
        return [pid for pid in found if not role or processes.role(pid) == role]

    def busy_workers(self) -> dict[int, str]:
        """The workers that run a task: pid -> title. The title names the task."""
        titles = {pid: processes.title(pid) for pid in self.children("worker")}
        return {pid: title for pid, title in titles.items() if "#" in title}

    def metrics_url(self) -> str | None:
        """Where the pool that runs now serves its metrics; None until its log says so."""
        return url_in(self.log_file.read_text(errors="replace"), self.pid)

    # Actions

    def expect(self, *codes: int) -> None:
        """From now on these exit codes are right, until :meth:`wait_up` returns."""
        self._expected = set(codes)

    def signal(self, number: int) -> None:
        processes.send(self.pid, number)

    def hold_down(self) -> None:
        """Do not start the pool again, once it has ended, before :meth:`let_up`."""
        self._may_run.clear()

    def let_up(self) -> None:
        self._may_run.set()

    def stop(self) -> None:
        """Send TERM, and wait for the end of the pool."""
        pid = self.pid
        self.signal(signal.SIGTERM)
        wait_until(
            lambda: self.pid != pid or self._pool.process.poll() is not None,
            seconds=DRAIN_TIMEOUT + 20,
            what=f"{self.name} ends after TERM",
        )

    def wait_replaced(self, pid: int) -> None:
        """Wait until another supervisor runs in place of this one."""
        wait_until(
            lambda: self.pid != pid,
            seconds=DRAIN_TIMEOUT + 20,
            what=f"{self.name} (pid {pid}) ends and is started again",
        )

    def wait_up(self, *, seconds: float = 25.0) -> None:
        """Wait until all its workers are there."""
        wait_until(
            lambda: len(self.children("worker")) >= self._options.concurrency,
            seconds=seconds,
            what=f"{self.name} has all of its workers, see {self.log_file}",
        )
        self._expected = set()

    def redeploy(self, **environment: str) -> None:
        """Send TERM, and start the pool again with these environment variables."""
        self._changed = environment
        pid = self.pid
        self.expect(0)
        self.signal(signal.SIGTERM)
        self.wait_replaced(pid)
        self.wait_up()

    @contextmanager
    def broken_at_boot(self) -> Iterator[Callable[[], Counter[int]]]:
        """Let every forked process die at once. Yields a function that counts them, by parent."""
        self._flag.touch()
        try:
            yield lambda: Counter(map(int, self._flag.read_text().split()))
        finally:
            self._flag.unlink()

    def finish(self) -> None:
        """Send TERM at the end of the run, and do not start the pool again."""
        self._over = True
        self.expect(0)
        self._may_run.set()
        self.signal(signal.SIGTERM)
        self._keeper.join(DRAIN_TIMEOUT + 20)

    def kill(self) -> None:
        """Kill every process that is left of the pool."""
        self._over = True
        self._may_run.set()
        self._pool.kill_all()
        for session in self.sessions:
            for pid in processes.of_session(session):
                processes.send(pid, signal.SIGKILL)

    # Details

    def _start(self) -> Pool:
        options = self._options
        words = {
            "-c": options.concurrency,
            "--lease": options.lease,
            "--heartbeat": options.heartbeat,
            "--poll": 0.5,
            "--drain-timeout": DRAIN_TIMEOUT,
            "--max-memory-per-child": MEMORY_PER_CHILD,
            "--metrics-port": 0,
            "--metrics-host": self.host.address if self.host else "127.0.0.1",
        }
        pool = Pool(
            MANAGE,
            [str(word) for pair in words.items() for word in pair],
            log=self.log_file,
            environment={**self._environment, **self._changed},
            prefix=self._prefix,
        )
        self.sessions.append(pool.pid)
        self._watcher.add(pool.pid)
        return pool

    def _keep_running(self) -> None:
        """Restart the pool whenever it ends, as systemd does with Restart=always."""
        while True:
            code = self._pool.process.wait()
            self._history.record(
                "pool-exit", victim=self.pid, code=code, expected=sorted(self._expected)
            )
            self._may_run.wait()
            if self._over:
                return
            time.sleep(RESTART_AFTER)
            if self._over:
                return
            self._pool = self._start()
