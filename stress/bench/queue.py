"""A queue under test, in a process of its own environment.

``python -m MODULE COMMAND`` is all that the bench knows of a queue. Each has a
module whose ``__main__`` hands a :class:`Queue` to :func:`main`. DATABASE_URL or
REDIS_URL say where the tasks go.
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

#: Sent before a measurement, so that connections are open and statements prepared.
WARM_UP = 20
#: The first of a series of pings, which are not reported.
UNREPORTED = 5
#: The names of the tasks that each queue has: see stress.bench.work.
TASKS = ("noop", "nap", "mark", "nap_and_mark")


class Unsupported(Exception):
    """This queue has nothing of the kind."""


class Queue(ABC):
    """What is asked of a queue. Tasks are called by their names in ``TASKS``."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the tables, once."""

    @abstractmethod
    def send(self, task: str, *arguments: int) -> None:
        """Send one task, as its users do; it is committed on return."""

    @abstractmethod
    def work(self, concurrency: int) -> list[list[str]]:
        """The commands that start its workers, so that so many tasks run at once."""

    def fill(self, task: str, count: int) -> None:
        """Send many that are not measured, by whatever way is quick."""
        for _ in range(count):
            self.send(task)

    def send_in_transaction(self, task: str, count: int) -> None:
        """Send some in one transaction.

        Raises Unsupported.
        """
        raise Unsupported("tasks are no part of a transaction")

    def send_many(self, task: str, count: int) -> None:
        """Send many by the queue's own call for it.

        Raises Unsupported.
        """
        raise Unsupported("there is no call that sends many tasks")


def main(queue: Queue) -> None:
    """One command of the bench's; the result is printed as JSON."""
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
    """How long it takes to do something so often."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - began


def pour(send: Callable[[], object]) -> None:
    """Send until killed, and count what was sent into BENCH_SENT."""
    counter = Counter(os.environ["BENCH_SENT"])
    while True:
        send()
        counter.add()


def ping(send: Callable[[int], object], gap: float, count: int) -> list[tuple[int, int]]:
    """Send numbered tasks at random moments, ``gap`` seconds apart on average; when
    each was sent, which is when the call that sends it returned.

    The gaps are exponential, so that no rhythm of a worker meets ours; the first few
    are not reported.
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
