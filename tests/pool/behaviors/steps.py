"""The steps of which the behaviors of a sample pool's children are made."""

from __future__ import annotations

import time

from pool import Child, State, clock
from tests.pool.talk import note, options, told


def up(child: Child) -> None:
    time.sleep(options.boot)
    child.title()
    ready = clock.now()  # the supervisor may act on it before this process gets to note it
    child.booted()
    note("up", name=child.name, slot=child.slot.index, ready=ready)


def grant(child: Child, now: int | None = None) -> int:
    """Give the child a lease; when that ends."""
    lease = (now or clock.now()) + clock.nanoseconds(options.lease)
    child.slot.grant(7000 + child.number, child.slot.generation, lease)
    return lease


def begin(child: Child) -> None:
    """Say on the scoreboard that a task runs, in the order that the pool asks for.

    Noted twice: "begins" before it can be killed for it, "begun" when the supervisor sees it.
    """
    slot, now = child.slot, clock.now()
    lease = grant(child, now)
    hard = now + clock.nanoseconds(options.hard) if options.hard else 0
    soft = now + clock.nanoseconds(options.soft) if options.soft else 0
    deadlines = {"name": child.name, "since": now, "lease": lease, "hard": hard, "soft": soft}
    note("begins", **deadlines)
    slot.state = State.BUSY
    slot.begin(100 + child.number, slot.generation, "sample", now, soft, hard)
    child.worked()
    note("begun", **deadlines)


def end(child: Child) -> None:
    child.slot.task_id = 0
    child.slot.state = State.IDLE
    child.slot.done += 1
    note("finished", name=child.name)


def rest(child: Child) -> None:
    while not child.stopping:
        child.wait(60)
    note("left", name=child.name)


def work(child: Child) -> None:
    begin(child)
    while not told("finish"):
        time.sleep(0.01)
    end(child)
    rest(child)
