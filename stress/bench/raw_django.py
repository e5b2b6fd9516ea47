"""The limit of an atomic task in Django: the raw loop with Django's cursor.

    python -m stress.bench.raw_django --rows 50

claims rows; then writes the effect and deletes the row of each by Django's cursor in
``transaction.atomic()``. Its distance from the raw loop is the cost of Django.
"""

from __future__ import annotations

import argparse
import json
import os

import django
from django.db import connection, transaction

from stress.bench.counter import Counter
from stress.bench.raw import CLAIM, EFFECT, REMOVE_ONE


def drain_atomic(rows: int) -> None:
    """Like ``stress.bench.raw.drain_atomic``."""
    counter, worker = Counter(os.environ["BENCH_COUNTER"]), os.getpid()
    while claimed := _claim(worker, rows):
        for id, attempt, _, payload in claimed:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(EFFECT, (json.loads(payload)[0][0], "now"))
                cursor.execute(REMOVE_ONE, (id, worker, attempt))
            counter.add()


def _claim(worker: int, rows: int) -> list[tuple[int, int, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, (worker, rows))
        return list(cursor.fetchall())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50)
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "stress.bench.load.settings"
    django.setup()
    drain_atomic(options.rows)


if __name__ == "__main__":
    main()
