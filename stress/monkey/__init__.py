"""The monkey: it kills and freezes processes of a pool that runs a real project.

A seed chooses the keeper or a worker of one pool. The monkey follows in the tables what
became of the tasks that it held. It sends signals to processes of that pool only.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.live import Live

from stress.monkey.victims import PoolAtWork, Refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        f"{__doc__} Run it where the project's manage.py is, or set DJANGO_SETTINGS_MODULE."
    )
    add = parser.add_argument
    add("--pool", type=int, required=True, metavar="PID", help="pid of the pool's supervisor")
    add("--kill-every", type=float, default=5.0, metavar="S", help="seconds between faults (5)")
    add("--seconds", type=float, default=300.0, metavar="S", help="how long (300)")
    add("--seed", type=int, help="chooses the faults; default: a new one, which is printed")
    add(
        "--lease", type=float, metavar="S", help="of the pool, if it differs from the TASKQ setting"
    )
    add(
        "--heartbeat",
        type=float,
        metavar="S",
        help="of the pool, if it differs from the TASKQ setting",
    )
    add("--log", type=Path, help="the log of the pool, if its standard error goes elsewhere")
    add("--yes", action="store_true", help="run even if Django's DEBUG is off")
    add("--json", type=Path, metavar="FILE", help="write the report to this file too")


def main(options: argparse.Namespace) -> int:
    """Run. Returns 0 if nothing was lost and the pool recovered, 1 if not, 2 if refused."""
    console = Console()
    try:
        return _torment(options, console)
    except Refused as refusal:
        Console(stderr=True).print(f"monkey: {refusal}", soft_wrap=True, highlight=False)
        return 2


def _torment(options: argparse.Namespace, console: Console) -> int:
    from stress.monkey import site
    from stress.monkey.freezer import Freezer

    if options.kill_every <= 0 or options.seconds <= 0:
        raise Refused("--kill-every and --seconds must be above 0")
    pool = PoolAtWork(options.pool)
    site.set_up(Path.cwd())
    site.check_allowed(options.yes)

    # These need Django's apps.
    from stress.monkey.faults import Monkey
    from stress.monkey.log import EventLog, find
    from stress.monkey.report import Report, table
    from stress.monkey.torment import Torment
    from stress.monkey.witness import Witness
    from taskq import conf

    lease = options.lease or conf.settings().lease
    heartbeat = options.heartbeat or (lease / 3 if options.lease else conf.settings().heartbeat)
    with (
        Freezer() as freezer
    ):  # before the first database connection, which its guard would inherit
        name = site.pool_name(pool.pid, lease)
        seed = random.randrange(10**6) if options.seed is None else options.seed
        console.print(f"tormenting {name}, seed {seed}, lease {lease:g} s; Ctrl-C stops and thaws")
        log_file = options.log or find(pool.pid)
        log = EventLog(log_file) if log_file else None
        report = Report(pool=name, seed=seed, lease_s=lease, heartbeat_s=heartbeat)
        began = time.monotonic()
        witness = Witness(name)
        with Live(console=console, refresh_per_second=4) as live:

            def show(stage: str) -> None:
                report.count(witness.cases)
                live.update(table(report, stage))

            torment = Torment(
                pool,
                Monkey(seed, lease, heartbeat),
                witness,
                freezer,
                kill_every=options.kill_every,
                patience=lease + 2 * heartbeat + 10,
                show=show,
            )
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, torment.interrupt)
            torment.run(options.seconds)
            stage = "done"
            if torment.interrupted:
                stage = "interrupted: what the pool had no time to repair counts against it"
            witness.look()
            report.seconds = round(time.monotonic() - began, 1)
            report.pool_alive = pool.alive
            report.conclude(witness.cases, witness.stranded())
            report.events = log.counts() if log else None
            live.update(table(report, stage))
    _say(console, report.ok, report.pool_alive, log_file)
    if options.json:
        options.json.write_text(json.dumps({**asdict(report), "ok": report.ok}, indent=2) + "\n")
    return 0 if report.ok else 1


def _say(console: Console, ok: bool, alive: bool, log_file: Path | None) -> None:
    if not alive:
        console.print("The pool has ended. Another pool has to reclaim its tasks.")
    if log_file is None:
        console.print(
            "The log of the pool cannot be read here, so there are no events (see --log)."
        )
    console.print(
        "This is what the tables show. A missing row was finished, has expired or was removed "
        "by a person, as nothing else deletes one.",
    )
    console.print(
        "Nothing was lost." if ok else "The pool did not recover from everything: see the table."
    )
