"""``python -m stress.bench.load.workflows chains|group``: sends workflows, as users of taskq do."""

from __future__ import annotations

import argparse
import json
import os
import random
import time

import django

from stress.bench import work
from stress.bench.queue import UNREPORTED

#: Steps of a chain.
LENGTH = 10


def main() -> None:
    """Send, and print the result as JSON."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("chains")
    command.add_argument("gap", type=float)
    command.add_argument("count", type=int)
    command = commands.add_parser("group")
    command.add_argument("parts", type=int)
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "stress.bench.load.settings"
    django.setup()
    if options.command == "group":
        send_group(options.parts)
        print("null")
    else:
        print(json.dumps(send_chains(options.gap, options.count)))


def send_chains(gap: float, count: int) -> list[tuple[int, int]]:
    """Send chains of tasks that note their start, at random times. Returns the number of the last
    task of each, and when its call returned. The first few are not reported."""
    from stress.bench.load import tasks
    from taskq.workflow import Workflow

    chance = random.Random(1)
    sent = []
    for chain in range(count + UNREPORTED):
        time.sleep(gap * min(chance.expovariate(1.0), 3.0))
        flow = Workflow()
        last = [flow.add(tasks.mark, [chain * LENGTH])]
        for step in range(1, LENGTH):
            last = [flow.add(tasks.mark, [chain * LENGTH + step], after=last)]
        flow.send()
        if chain >= UNREPORTED:
            sent.append((chain * LENGTH + LENGTH - 1, work.now()))
    return sent


def send_group(parts: int) -> None:
    """Send a group of no-ops, and another one that waits for all of them."""
    from stress.bench.load import tasks
    from taskq.workflow import Workflow

    flow = Workflow()
    flow.add(tasks.noop, after=[flow.add(tasks.noop) for _ in range(parts)])
    flow.send()


if __name__ == "__main__":
    main()
