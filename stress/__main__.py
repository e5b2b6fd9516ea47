"""``python -m stress COMMAND``"""

from __future__ import annotations

import argparse
import importlib
import sys
from types import ModuleType

#: Command -> its package, which has ``add_arguments(parser)`` and ``main(options) -> int``;
#: and what it does.
COMMANDS = {
    "chaos": ("stress.chaos", "break everything on purpose, and check that nothing is lost (60 s)"),
    "prove": ("stress.prove", "take out each protection, and check that the checker notices"),
    "explore": ("stress.explore", "run a few actors through every order of their statements"),
    "tune": ("stress.tune", "measure leases and heartbeats, and recommend settings"),
    "bench": ("stress.bench", "how fast taskq is, beside PostgreSQL itself and other queues"),
    "monkey": ("stress.monkey", "kill and freeze workers of a pool that runs your project"),
    "model": (
        "stress.model",
        "simulate hundreds of hosts on one PostgreSQL, and find the limit",
    ),
}


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m stress", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="a shop whose workers are killed while it sells (30 s)")
    commands.add_parser("list", help="list the faults of chaos")
    for name, (package, text) in COMMANDS.items():
        subparser = commands.add_parser(name, help=text)
        # Only the command that was asked for is loaded.
        if words[:1] == [name]:
            _load(package, parser).add_arguments(subparser)
    given = parser.parse_args(words)
    if given.command == "demo":
        return int(_load("stress.demo", parser).main())
    if given.command == "list":
        return int(_load("stress.chaos", parser).list_faults())
    return int(_load(COMMANDS[given.command][0], parser).main(given))


def _load(module: str, parser: argparse.ArgumentParser) -> ModuleType:
    """Import the module of a command. Where something is not installed, exit with 2."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module:
            parser.error(
                f"the installed package does not have {module}: run this command from a clone"
            )
        if missing.partition(".")[0] in ("stress", "taskq", "pool"):
            raise  # not a matter of what is installed
        parser.error(f"{module} needs {missing}: pip install 'taskq-pool[stress]'")


if __name__ == "__main__":
    sys.exit(main())
