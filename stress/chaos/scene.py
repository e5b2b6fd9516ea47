"""The scene of a run: what the faults can break, and the actions that break it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pool import clock
from stress.chaos.databases import Database
from stress.chaos.deployment import Deployment
from stress.chaos.enqueuers import Enqueuers
from stress.chaos.needs import Need
from stress.chaos.options import Options
from stress.chaos.schedule import SCHEDULE
from stress.chaos.scraper import Scraper
from stress.chaos.watch import Watcher
from stress.checker.state import LeftOver
from stress.rig import cgroup, netns, processes
from stress.rig.history import History
from stress.rig.pools import TimedOut, wait_until
from stress.rig.proxy import Proxy

#: Seconds that a task waits for a pool that knows it. No series of faults may keep such
#: pools away for longer.
UNKNOWN_TASK_TTL = 600.0
#: Seconds that a cancelled task gets to end.
CANCEL_GRACE = 0.5
#: MiB of memory that a pool may have in its cgroup, or a process by RLIMIT_AS.
POOL_MEMORY = 1024
PROCESS_MEMORY = 768


class Scene:
    """The database, the deployments, the enqueuers and the history.

    ``oom`` says how memory is limited. ``errors`` collects the errors of the harness itself.
    Closing the scene ends everything that it started.
    """

    def __init__(self, options: Options, home: Path, database: Database, needs: Set[Need]) -> None:
        self.options = options
        self.home = home
        self.database = database
        self.history = History(os.environ["TASKQ_HISTORY"])
        self.errors: list[str] = []
        self.left_over: list[LeftOver] = []
        self.memory_is_limited = False
        self.oom = "memory is not limited"
        self.deployments: list[Deployment] = []
        self.log_files: list[Path] = []
        self._aborted = threading.Event()
        self._needs = needs
        self._stack = ExitStack()
        try:
            self._watcher = Watcher(self.history)
            self._watcher.start()
            self._stack.callback(self._watcher.close)
            for number in range(options.pools):
                self.deployments.append(self._deploy(f"pool {number + 1}", options))
            self.enqueuers = Enqueuers(
                3, options.rate, options.seed, environment=self._environment()
            )
            self._stack.callback(self.enqueuers.kill)
            self.scraper = Scraper(self.history, lambda: list(self.deployments))
            self.scraper.start()
        except BaseException:
            self.close()
            raise

    @property
    def aborted(self) -> bool:
        return self._aborted.is_set()

    # Actions of the faults

    def pause(self, seconds: float) -> None:
        """Let time pass. It returns early when the run is aborted."""
        self._aborted.wait(seconds)

    def send(self, names: Iterable[str], *args: object) -> None:
        """Send tasks of these kinds in one transaction, again and again until it commits.

        Raises TimedOut when the database does not come back.
        """
        from stress.chaos.sending import send

        kinds = list(names)

        def sent() -> bool:
            if send(self.history, kinds, *args):
                return True
            self.pause(0.3)
            return False

        wait_until(sent, seconds=60, what="a commit")

    def type_bad_rows(self) -> None:
        from stress.chaos.bad_rows import type_bad_rows

        type_bad_rows(self.history)

    def kill(
        self, victims: Sequence[int], *, role: str, cause: str, taking: Sequence[int] = ()
    ) -> None:
        """Send SIGKILL, and record it.

        taking: the children of the victim. Those of a supervisor end by themselves; those
        of a whole pool are killed too.
        """
        for victim in victims:
            since = clock.now()
            if not processes.send(victim, signal.SIGKILL):
                continue
            if role == "pool":
                for child in taking:
                    processes.send(child, signal.SIGKILL)
            self.history.record(
                "death", victim=victim, role=role, cause=cause, since=since, victims=list(taking)
            )

    @contextmanager
    def frozen(self, victims: Sequence[int]) -> Iterator[None]:
        """Send SIGSTOP, and SIGCONT at the end of the block. Both are recorded."""
        stopped = [pid for pid in victims if processes.send(pid, signal.SIGSTOP)]
        wait_until(lambda: not any(map(_still_runs, stopped)), seconds=5)
        self.history.record("freeze", victims=stopped)
        try:
            yield
        finally:
            self.history.record("thaw", victims=stopped)
            for pid in stopped:
                processes.send(pid, signal.SIGCONT)

    def must_be_gone(self, pids: Sequence[int]) -> None:
        """Tell the checker of those that still run, although their pool has ended."""
        for pid in pids:
            if processes.role(pid):
                self.left_over.append(LeftOver(pid, processes.title(pid)))

    def wait_at_work(self, target: Deployment) -> None:
        """Wait until one of its workers holds a lease."""
        import django.db
        from django.db import connection

        from taskq.models import Worker

        def at_work() -> bool:
            try:
                return Worker.objects.filter(pool__endswith=f":{target.pid}").exists()
            except django.db.Error:
                connection.close()
                return False

        wait_until(at_work, seconds=60, what=f"{target.name} is at work, see {target.log_file}")

    @contextmanager
    def bouncer(self, target: Deployment) -> Iterator[str]:
        from stress.rig.pgbouncer import pgbouncer

        host = target.host.gateway if target.host else "127.0.0.1"
        with pgbouncer(self.database, host, self.home) as url:
            yield url

    @contextmanager
    def more_pools(self, count: int, *, workers: int) -> Iterator[list[Deployment]]:
        """Start more pools, and stop them at the end of the block."""
        options = replace(self.options, concurrency=workers)
        more: list[Deployment] = []
        try:
            for each in range(count):
                more.append(self._deploy(f"pool {chr(65 + each)}", options))
            yield more
        finally:
            for deployment in more:
                self.retire(deployment)

    def taskq_settings(self, **changed: object) -> dict[str, str]:
        """The TASKQ setting of a pool, as an environment variable."""
        settings = {
            "UNKNOWN_TASK_TTL": UNKNOWN_TASK_TTL,
            "CANCEL_GRACE": CANCEL_GRACE,
            "SCHEDULE": SCHEDULE,
            **changed,
        }
        return {"STRESS_TASKQ": json.dumps(settings)}

    # The end

    def retire(self, deployment: Deployment) -> None:
        """Stop a deployment for good, and note the processes that outlive it."""
        deployment.finish()

        def alive() -> list[int]:
            sessions = deployment.sessions
            return [pid for session in sessions for pid in processes.of_session(session)]

        try:
            # A child that a task left behind is not part of the pool: it may take its time.
            wait_until(lambda: not alive(), seconds=5)
        except TimedOut:
            self.left_over += [LeftOver(pid, processes.title(pid)) for pid in alive()]
        deployment.kill()

    def abort(self) -> None:
        """End all pauses of the faults."""
        self._aborted.set()

    def close(self) -> None:
        for deployment in self.deployments:
            deployment.kill()
        self._stack.close()

    # Building

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": self.database.url,
            "DJANGO_SETTINGS_MODULE": "stress.project.settings",
            **self.taskq_settings(),
        }

    def _deploy(self, name: str, options: Options) -> Deployment:
        environment = self._environment()
        prefix = self._limit_memory(name, environment)
        host = None
        if Need.NAMESPACE in self._needs:
            host = self._stack.enter_context(netns.Host(len(self.deployments)))
            prefix += host.prefix
        proxy = None
        if not self.database.sqlite:
            place = host.gateway if host else "127.0.0.1"
            proxy = self._stack.enter_context(Proxy(self.database.target, host=place))
            environment["DATABASE_URL"] = self.database.url_by(place, proxy.port)
        deployment = Deployment(
            name,
            options,
            self.home,
            self.history,
            self._watcher,
            environment=environment,
            proxy=proxy,
            host=host,
            prefix=prefix,
        )
        self.log_files.append(deployment.log_file)
        return deployment

    def _limit_memory(self, name: str, environment: dict[str, str]) -> list[str]:
        if Need.CGROUP not in self._needs:
            return []
        own_name = f"taskq-{os.getpid()}-{name.replace(' ', '-')}"
        try:
            group = cgroup.MemoryCgroup(own_name, POOL_MEMORY * 2**20)
        except cgroup.Unavailable as error:
            environment["STRESS_RLIMIT_AS"] = str(PROCESS_MEMORY)
            self.oom = f"RLIMIT_AS of {PROCESS_MEMORY} MiB a process ({error})"
            return []
        self._stack.enter_context(group)
        self.memory_is_limited = True
        self.oom = f"a memory cgroup (version {group.version}) of {POOL_MEMORY} MiB a pool"
        return group.prefix


def _still_runs(pid: int) -> bool:
    return processes.is_alive(pid) and not processes.is_stopped(pid)
