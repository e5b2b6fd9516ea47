"""The contestants: taskq, and the installed peers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

#: Where ``make bench`` installs the peers.
ENVIRONMENT = Path(".bench")


@dataclass(frozen=True)
class Contestant:
    """A queue under test.

    module: its ``python -m`` name. package: the package that it needs. store: where its
    tasks go. pace: roughly how many no-ops it drains a second with 8 workers. It decides
    only how many it gets. variant: the value of BENCH_VARIANT for the module.
    """

    name: str
    module: str
    package: str
    store: str
    pace: int
    variant: str = ""


OURS = Contestant("taskq", "stress.bench.load", "taskq", "postgresql", 120_000)
#: The name of taskq's door for Celery's spelling, where another door is compared with it.
CELERY_DOOR = "Celery's door"
#: Django's own @task, with results.
DJANGO_DOOR = replace(OURS, variant="django")

_PEERS = "stress.bench.peers"
PEERS = (
    Contestant("django-taskq", f"{_PEERS}.django_taskq", "django_taskq", "postgresql", 1_000),
    Contestant(
        "django-tasks-db", f"{_PEERS}.django_tasks_db", "django_tasks_db", "postgresql", 400
    ),
    Contestant("django-ox", f"{_PEERS}.django_ox", "django_ox", "postgresql", 600),
    Contestant("dj-queue", f"{_PEERS}.dj_queue", "dj_queue", "postgresql", 400),
    Contestant("django-q2", f"{_PEERS}.django_q2", "django_q", "postgresql", 600),
    Contestant("Procrastinate", f"{_PEERS}.procrastinate", "procrastinate", "postgresql", 1_000),
    Contestant("PgQueuer 10", f"{_PEERS}.pgqueuer", "pgqueuer", "postgresql", 12_000, "10"),
    Contestant("PgQueuer 100", f"{_PEERS}.pgqueuer", "pgqueuer", "postgresql", 20_000, "100"),
    Contestant("Celery", f"{_PEERS}.celery", "celery", "redis", 2_000),
    Contestant("Dramatiq", f"{_PEERS}.dramatiq", "dramatiq", "redis", 6_000),
    Contestant("Huey", f"{_PEERS}.huey", "huey", "redis", 6_000),
)
EVERYBODY = tuple(peer.name for peer in PEERS)
#: Those with the same door: backends of Django's tasks.
DJANGO_PEERS = ("django-tasks-db", "django-ox", "dj-queue")


@dataclass(frozen=True)
class Skipped:
    """A peer that does not take part, and why."""

    name: str
    reason: str


class PeerEnvironment:
    """The Python with the peers: that of ``.bench`` if there is one."""

    def __init__(self, folder: Path = ENVIRONMENT) -> None:
        inside = folder.absolute() / "bin" / "python"
        self.python = str(inside) if inside.exists() else sys.executable

    @cached_property
    def versions(self) -> dict[str, str]:
        """The peers' packages that are installed, and their versions."""
        program = (
            "import importlib.metadata as m, json, sys\n"
            "names = m.packages_distributions()\n"
            "print(json.dumps({p: m.version(names[p][0]) for p in sys.argv[1:] if p in names}))"
        )
        packages = [peer.package for peer in PEERS]
        result = subprocess.run(
            [self.python, "-c", program, *packages], check=True, capture_output=True, text=True
        )
        return dict(json.loads(result.stdout))

    def choose(
        self, wanted: list[str] | None, *, redis: bool
    ) -> tuple[list[Contestant], list[Skipped]]:
        """The peers that can run, and the rest.

        wanted: names, in any case; None is all. redis: whether there is a Redis server.

        Raises ValueError for a name that no peer has.
        """
        known = {peer.name.lower(): peer for peer in PEERS}
        names = list(known) if wanted is None else [name.lower() for name in wanted]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"no peer is called {unknown[0]!r}; there are {', '.join(known)}")
        chosen, skipped = [], []
        for peer in (known[name] for name in names):
            if peer.package not in self.versions:
                skipped.append(Skipped(peer.name, f"{peer.package} is not installed: make bench"))
            elif peer.store == "redis" and not redis:
                skipped.append(Skipped(peer.name, "there is no redis-server: install Debian's"))
            else:
                chosen.append(peer)
        return chosen, skipped
