"""A queue under test, in a process of its own environment.

The bench uses a queue only by ``python -m MODULE COMMAND``. The ``__main__`` of each
module passes a :class:`Queue` to :func:`main`. DATABASE_URL or REDIS_URL say where the
tasks go.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from stress.bench import work
from stress.bench.counter import Counter

#: Tasks sent before a measurement, to open connections and prepare statements.
WARM_UP = 20
#: The first pings of a series, which are not reported.
UNREPORTED = 5
#: The names of the tasks that each queue has: see stress.bench.work.
TASKS = ("noop", "nap", "mark", "nap_and_mark")


class Unsupported(Exception):
    """This queue does not have the feature."""


class Queue(ABC):
    """What a queue has to do. Tasks have the names in ``TASKS``."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the tables, once."""

    @abstractmethod
    def send(self, task: str, *arguments: int) -> None:
        """Send one task as users do. It is committed on return."""

    @abstractmethod
    def work(self, concurrency: int) -> list[list[str]]:
        """The commands that start workers for ``concurrency`` tasks at once."""

    def fill(self, task: str, count: int) -> None:
        """Send many tasks that are not measured, in the quickest way."""
        for _ in range(count):
            self.send(task)

    def send_in_transaction(self, task: str, count: int) -> None:
        """Send some in one transaction.

        Raises Unsupported.
        """
        raise Unsupported("tasks are not part of a transaction")

    def send_many(self, task: str, count: int) -> None:
        """Send many by the bulk call of the queue.

        Raises Unsupported.
        """
        raise Unsupported("there is no call that sends many tasks")


def main(queue: Queue) -> None:
    """Run one command of the bench, and print the result as JSON."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare")
    for name in ("fill", "send", "send-many"):
        command = commands.add_parser(name)
        command.add_argument("task", choices=TASKS)
        command.add_argument("count", type=int)
    command = commands.add_parser("send-in-transaction")
    command.add_argument("task", choices=TASKS)
    command.add_argument("size", type=int)
    command.add_argument("count", type=int)
    command = commands.add_parser("ping")
    command.add_argument("task", choices=TASKS)
    command.add_argument("gap", type=float)
    command.add_argument("count", type=int)
    command = commands.add_parser("pour")
    command.add_argument("task", choices=TASKS)
    command = commands.add_parser("work")
    command.add_argument("concurrency", type=int)
    command.add_argument("options", nargs=argparse.REMAINDER, help="more of the worker's own")
    options = parser.parse_args()
    if options.command == "work":
        _work([[*words, *options.options] for words in queue.work(options.concurrency)])
    try:
        print(json.dumps(_perform(queue, options)))
    except Unsupported as reason:
        print(json.dumps({"unsupported": str(reason)}))


def _work(commands: list[list[str]]) -> None:
    """Become the command, or wait for all of several."""
    if len(commands) == 1:
        os.execvp(commands[0][0], commands[0])
    processes = [subprocess.Popen(words) for words in commands]
    sys.exit(max(process.wait() for process in processes))


def _perform(queue: Queue, options: argparse.Namespace) -> object:
    if options.command == "prepare":
        queue.prepare()
    elif options.command == "fill":
        queue.fill(options.task, options.count)
    elif options.command == "send":
        for _ in range(WARM_UP):
            queue.send(options.task)
        return seconds(lambda: queue.send(options.task), options.count)
    elif options.command == "send-in-transaction":
        queue.send_in_transaction(options.task, options.size)
        size = options.size
        return seconds(lambda: queue.send_in_transaction(options.task, size), options.count // size)
    elif options.command == "send-many":
        queue.send_many(options.task, WARM_UP)
        return seconds(lambda: queue.send_many(options.task, options.count), 1)
    elif options.command == "ping":
        return ping(lambda number: queue.send(options.task, number), options.gap, options.count)
    elif options.command == "pour":
        pour(lambda: queue.send(options.task))
    return None


def seconds(call: Callable[[], object], times: int) -> float:
    """How many seconds ``times`` calls take."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - began


def pour(send: Callable[[], object]) -> None:
    """Send until killed, and count the tasks in BENCH_SENT."""
    counter = Counter(os.environ["BENCH_SENT"])
    while True:
        send()
        counter.add()


def ping(send: Callable[[int], object], gap: float, count: int) -> list[tuple[int, int]]:
    """Send numbered tasks at random times, on average ``gap`` seconds apart. Returns when
    each was sent, which is when its call returned.

    The gaps are exponential, so that they do not match the rhythm of a worker. The first
    few tasks are not reported.
    """
    chance = random.Random(1)
    sent = []
    due = time.monotonic()
    for number in range(count + UNREPORTED):
        due += gap * min(chance.expovariate(1.0), 3.0)
        time.sleep(max(0.0, due - time.monotonic()))
        send(number)
        if number >= UNREPORTED:
            sent.append((number, work.now()))
    return sent
