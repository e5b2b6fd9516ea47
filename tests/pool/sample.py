"""A pool of plain functions, for the tests to start, watch and break.

    python -m tests.pool.sample DIRECTORY keeper=notes_deaths worker=waits*2 [options]

A role is NAME=BEHAVIOR[*COUNT], a behavior a function in tests.pool.behaviors. What
the children do is noted in DIRECTORY/notes.jsonl, what the pool says in DIRECTORY/log.
Tests talk to the children by files in DIRECTORY (``told``).
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from pathlib import Path
from typing import Any

from pool import Role, Scoreboard, Supervisor, supervisor
from tests.pool import behaviors, mishaps
from tests.pool.talk import note, options

#: What a role is, by its name; any other name is a plain role.
ROLES: dict[str, dict[str, Any]] = {
    "keeper": {"support": True},
    "worker": {"scalable": True, "oom_victim": True},
    "watcher": {"stops_pool": 9},
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("roles", nargs="+")
    parser.add_argument("--setting", action="append", default=[])
    parser.add_argument("--drain", type=float, default=600.0)
    parser.add_argument("--closing", type=float)
    parser.add_argument("--capacity", type=int, default=12)
    parser.add_argument("--boot", type=float, default=0.0, help="how long start-up takes")
    parser.add_argument("--slow-end", type=float, default=0.0)
    parser.add_argument("--lease", type=float, default=600.0)
    parser.add_argument("--hard", type=float)
    parser.add_argument("--soft", type=float)
    parser.add_argument("--patience", type=float)
    parser.add_argument("--code", type=int, default=0)
    parser.add_argument("--cgroup", type=Path)
    parser.parse_args(namespace=options)

    if options.cgroup:
        (options.cgroup / "cgroup.procs").write_text("0")
    logging.basicConfig(
        filename=options.directory / "log",
        level=logging.DEBUG,
        format="%(process)d %(levelname)s %(message)s",
    )
    if options.closing is not None:
        supervisor.CLOSING_TIME = options.closing
    options.scoreboard = Scoreboard(options.capacity)
    pool = Supervisor(
        [_role(text) for text in options.roles],
        options.scoreboard,
        drain_timeout=options.drain,
        title="sample",
    )
    for setting in filter(None, options.setting):
        getattr(mishaps, setting)()
    with contextlib.suppress(KeyboardInterrupt):
        code = pool.run()
        note("stopped", code=code)
        return code
    return 99


def _role(text: str) -> Role:
    name, _, rest = text.partition("=")
    behavior, _, count = rest.partition("*")
    return Role(
        name=name,
        run=behaviors.named(behavior),
        count=int(count or 1),
        patience=options.patience if name == "keeper" else None,
        **ROLES.get(name, {}),
    )


if __name__ == "__main__":
    sys.exit(main())
