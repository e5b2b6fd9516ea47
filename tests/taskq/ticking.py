"""``python -m tests.taskq.ticking SEED DEATHS``: keepers' tickers, killed at random.

Three processes tick what is due, as the keepers of three pools do, each over a connection
of its own; until nothing is due one of them is killed every few milliseconds, wherever it
is, and another takes its place. Prints how many were killed, at least DEATHS.
"""

import os
import random
import signal
import sys
import time

import django

django.setup()

from django.db import connections  # noqa: E402

from taskq.conf import settings  # noqa: E402
from taskq.database_errors import DATABASE_ERRORS  # noqa: E402
from taskq.keeper import ticker  # noqa: E402
from taskq.models import Schedule  # noqa: E402
from taskq.pool_context import PoolContext  # noqa: E402
from taskq.task.queues import Queues  # noqa: E402

#: Ticks by one statement: few, so that there is much to interrupt.
STEP = 20


def keep(context: PoolContext) -> None:
    """Tick until killed."""
    session = context.session("keeper")
    ours = ticker.Ticker(context.plan, session, context.alias)
    while True:
        try:
            ours.due = 0
            ours.tick()
        except DATABASE_ERRORS as error:
            time.sleep(min(0.05, session.lost(error)))


def fork(context: PoolContext) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            keep(context)
        finally:
            os._exit(1)
    return pid


def main(seed: int, deaths: int) -> None:
    rng = random.Random(seed)
    ticker.MOST = STEP
    context = PoolContext(settings=settings(), queues=Queues(), alias="default")
    now = time.time()
    connections.close_all()
    living = [fork(context) for _ in range(3)]
    killed, done = 0, False
    while not done or killed < deaths:
        time.sleep(rng.uniform(0.005, 0.05))
        victim = living.pop(rng.randrange(len(living)))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        killed += 1
        if killed % 10 == 0:
            done = all(row.next_at.timestamp() > now for row in Schedule.objects.all())
            connections.close_all()  # it must not cross a fork
        living.append(fork(context))
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    print(killed)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
