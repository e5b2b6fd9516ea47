"""The support role: it hears of deaths, and is replaced when it stops beating."""

from __future__ import annotations

import time
from dataclasses import asdict

from pool import Child, clock
from tests.pool.behaviors.steps import grant, up
from tests.pool.talk import note, options, told


def notes_deaths(child: Child) -> None:
    """The support role: notes each death. Acknowledges none while told to refuse."""
    up(child)
    child.worked()
    while not child.stopping:
        child.beat()
        note_deaths()
        child.wait(options.patience / 3 if options.patience else 60)
    if child.slot.generation == 1:
        time.sleep(options.slow_end)
    note_deaths()
    note("left", name=child.name)


def notes_deaths_with_a_lease(child: Child) -> None:
    grant(child)
    notes_deaths(child)


def ends_runs(child: Child) -> None:
    """As notes_deaths(), and asks each run of a first child to end, once told to: softly now,
    and hard four seconds later. Of the others it names a run that is not theirs."""
    up(child)
    child.worked()
    while not told("end runs"):
        child.wait(0.02)
    now = clock.now()
    for slot in options.scoreboard.living():
        if slot.task_id:
            attempt = slot.attempt if slot.number == 1 else slot.attempt + 1
            slot.end_run(slot.task_id, attempt, soft=now, hard=now + clock.nanoseconds(4))
    note("asked", at_clock=now)
    notes_deaths(child)


def note_deaths() -> None:
    for number, death in options.scoreboard.unread_deaths():
        box = options.scoreboard.box(number)._asdict()
        note("death", number=number, **asdict(death), text=str(death), clean=death.clean, box=box)
        if not told("refuse"):
            options.scoreboard.acknowledge(number)


def stops_beating(child: Child) -> None:
    """A support role that hangs when told to."""
    up(child)
    child.worked()
    while not told("hang"):
        child.beat()
        note_deaths()
        time.sleep(0.02)
    while child.slot.generation == 1:
        time.sleep(60)
    notes_deaths(child)


def hangs_at_end(child: Child) -> None:
    """A support role that does not leave."""
    up(child)
    while True:
        time.sleep(60)
