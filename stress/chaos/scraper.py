"""The scraper: asks each pool for its metrics while it is broken, and records what it counted."""

from __future__ import annotations

import http.client
import re
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from stress.rig.history import History
from stress.rig.pools import TimedOut, wait_until

#: Seconds between scrapes, and until one is given up.
EVERY = 1.0
PATIENCE = 1.0
#: Seconds that workers may take, after the last task, to count what they ran.
COUNTED = 10.0


class Scraped(Protocol):
    """A deployment of pools, one after the other."""

    @property
    def pid(self) -> int:
        """The pid of the supervisor that runs, or that ran last."""

    def metrics_url(self) -> str | None:
        """Where that pool serves its metrics; None while it does not."""


class Scraper(threading.Thread):
    """Scrapes all pools each second.

    deployments: returns those that there are now.
    """

    def __init__(self, history: History, deployments: Callable[[], Sequence[Scraped]]) -> None:
        super().__init__(name="scraper", daemon=True)
        self._history = history
        self._deployments = deployments
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(EVERY):
            for deployment in self._deployments():
                self._scrape(deployment)

    def finish(self) -> None:
        """All tasks have run. Scrape each pool once more when its workers have counted them."""
        self._over.set()
        self.join()
        for deployment in self._deployments():
            try:
                wait_until(partial(self._scrape, deployment, last=True), seconds=COUNTED)
            except TimedOut:
                continue  # it does not answer: the checker has the scrapes before

    def _scrape(self, deployment: Scraped, *, last: bool = False) -> bool:
        """Record what a pool has counted. False if there is nothing to record.

        last: only when no worker is busy, as a worker counts after a batch.
        """
        supervisor, url = deployment.pid, deployment.metrics_url()
        if url is None:
            return False
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                text = response.read().decode()
        except (OSError, http.client.HTTPException):  # it is cut off, frozen, or gone
            return False
        counts, busy = read(text)
        if last and busy:
            return False
        self._history.record("scrape", victim=supervisor, last=last, counts=dict(counts))
        return True


def read(text: str) -> tuple[Counter[str], float]:
    """How many runs ended in which way, and how many workers are busy or start."""
    from prometheus_client.parser import text_string_to_metric_families

    counts: Counter[str] = Counter()
    busy = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "taskq_runs_total":
                counts[sample.labels["end"]] += int(sample.value)
            elif sample.name == "taskq_workers" and sample.labels["state"] != "idle":
                busy += sample.value
    return counts, busy


def url_in(log: str, supervisor: int) -> str | None:
    """Where the pool of this supervisor serves its metrics, by the log of its host."""
    found = re.search(rf"taskq pool \S+:{supervisor}$.*?metrics +(http\S+)$", log, re.M | re.S)
    return found[1] if found else None
