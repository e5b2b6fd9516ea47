"""``python -m taskq.celery_check [PATH] [--fix] [--diff]``: the check without a Django project."""

from __future__ import annotations

import argparse
import sys

from taskq.celery_check import command


def main() -> int:
    parser = argparse.ArgumentParser("python -m taskq.celery_check", description=command.HELP)
    command.add_arguments(parser)
    given = parser.parse_args()
    try:
        return command.run(given.path, fix=given.fix, diff=given.diff, say=print)
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    sys.exit(main())
