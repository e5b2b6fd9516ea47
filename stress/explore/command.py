"""The command: it makes the database, tries the orders, and prints what was found."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stress.prove.proofs import PROOFS
from stress.rig.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from stress.explore.cases import Play


def explore(options: argparse.Namespace) -> int:
    """The exit code, as ``stress.explore.main`` says."""
    if problem := _problem(options):
        print(problem, file=sys.stderr)
        return 2
    with _database(options.database_url) as url:
        os.environ.update(
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="stress.prove.settings",
            STRESS_SABOTAGE=options.without or "",
            # No order depends on what a crash leaves, so no commit waits for the disk.
            PGOPTIONS="-c synchronous_commit=off",
        )
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        return _explore(options, url)


def _problem(options: argparse.Namespace) -> str:
    """What is wrong with the options. Empty if nothing is."""
    if options.orders < 1:
        return f"--orders is {options.orders}: give a number above 0"
    if options.without and options.without not in PROOFS:
        return f"--without {options.without}: known are {', '.join(PROOFS)}"
    return ""


@contextmanager
def _database(url: str) -> Iterator[str]:
    if url:
        yield url
        return
    # Speed matters here, not a crash of the machine.
    with EmbeddedPostgres(settings={"fsync": "off"}) as server:
        yield server.create_database("explore")


def _explore(options: argparse.Namespace, url: str) -> int:
    from stress.explore.actors import ACTORS
    from stress.explore.conductor import Conductor
    from stress.explore.report import script
    from stress.explore.schedule import PLAYERS

    actors = options.actors.split(",") if options.actors else []
    if unknown := set(actors) - set(ACTORS):
        print(f"--actors {min(unknown)}: known are {', '.join(ACTORS)}", file=sys.stderr)
        return 2
    if len(actors) > PLAYERS:
        print(f"--actors has {len(actors)}: give {PLAYERS} at most", file=sys.stderr)
        return 2
    began, tried = time.monotonic(), 0
    with Conductor(url) as conductor:
        for case, play in _plays(options, actors):
            order = play(conductor)
            tried += 1
            if order.broken:
                print(script(order, case))
                print(f"found after {tried} orders in {time.monotonic() - began:.0f} s")
                return 1
    print(f"{tried} orders in {time.monotonic() - began:.0f} s: nothing is wrong in any")
    return 0


def _plays(options: argparse.Namespace, actors: Sequence[str]) -> Iterator[tuple[str, Play]]:
    """Each order with its name."""
    from stress.explore import cases

    if actors or options.pairs:
        for number, play in enumerate(cases.all_orders(actors) if actors else cases.pairs(), 1):
            yield f"order {number}", play
        return
    numbers = range(options.orders) if options.case is None else [options.case]
    for number in numbers:
        yield f"seed {options.seed}, case {number}", cases.drawn(options.seed, number)
