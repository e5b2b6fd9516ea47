"""The pictures of the dashboard, with figures of an hour that was not waited for."""

from __future__ import annotations

import datetime
import math
import random
from pathlib import Path

from tests.site.devtools import browser

#: The task names of the shop with their queues, runs a minute, and the bucket of most run times.
SHOP = "stress.project.shop.tasks"
NAMES = (
    *((f"{SHOP}.send_receipt", "mail", 240, 6), (f"{SHOP}.charge_card", "default", 120, 8)),
    *((f"{SHOP}.ship", "warehouse", 40, 9), (f"{SHOP}.print_label", "default", 15, 11)),
)
#: How the runs spread over the buckets from there.
SPREAD = (0.05, 0.25, 0.4, 0.2, 0.08, 0.02)
DESKTOP, PHONE = (1280, 860), (390, 780)


def photograph(address: str, home: Path, folder: Path, **pages: str) -> None:
    """Take a picture of each page, by the name of its file. One whose name ends in phone or dark
    is taken on a phone, or in the dark."""
    with browser(home / "dashboard") as found:
        for name, page in pages.items():
            phone, dark = name.endswith("phone"), name.endswith("dark")
            width, height = PHONE if phone else DESKTOP
            found.look_like(width, height, dark=dark, phone=phone, scale=2 if phone else 1)
            found.open(f"http://{address}/taskq/{page}")
            if found.run("document.getElementById('charts') !== null"):
                found.wait_for("document.querySelectorAll('#charts canvas').length === 2")
            picture = folder / f"{name.replace('_', '-')}.png"
            found.photograph(picture)
            print(picture.name)


def fill_figures() -> None:
    """The minutes of the last hour, as pools would have written them."""
    from django.utils import timezone

    from taskq.models import Rollup
    from taskq.models.statistics import RUN_COLUMNS, WAIT_COLUMNS, Step
    from taskq.task.measures import BOUNDS

    drawn = random.Random(7)
    now = timezone.now().replace(second=0, microsecond=0)
    rows = []
    for minute in range(1, 61):
        wave = 1 + 0.45 * math.sin(minute / 8)
        for name, queue, rate, bucket in NAMES:
            done = round(rate * wave * drawn.uniform(0.9, 1.1))
            failed = sum(drawn.random() < 0.004 for _ in range(done))
            retried = sum(drawn.random() < 0.01 for _ in range(done))
            counts = [round((done + failed + retried) * share) for share in SPREAD]
            waits = enumerate(counts, 2 + round(wave))
            runs = list(enumerate(counts, bucket - 2))
            rows.append(
                Rollup(
                    **{"step": Step.MINUTE, "at": now - datetime.timedelta(minutes=minute)},
                    **{"name": name, "queue": queue, "pool": "earlier"},
                    **{"done": done, "failed": failed, "retried": retried},
                    **{"lost": int(drawn.random() < 0.01), "wait_seconds": 0.02 * done},
                    run_seconds=sum(0.7 * BOUNDS[place] * count for place, count in runs),
                    **{RUN_COLUMNS[place]: count for place, count in runs},
                    **{WAIT_COLUMNS[place]: count for place, count in waits},
                )
            )
    Rollup.objects.bulk_create(rows)


def fill_backlog() -> None:
    """A million tasks that wait in a paused queue, and 200,000 that have failed."""
    from django.db import connection

    name = f"{SHOP}.send_receipt"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO taskq_task (name, queue, execute_at) SELECT %s, 'mail',"
            " now() - make_interval(secs => n / 500.0) FROM generate_series(1, 1000000) n",
            [name],
        )
        cursor.execute(
            "INSERT INTO taskq_task (name, queue, state, attempt, failed_at, error) SELECT %s,"
            " 'mail', 2, 4, now() - make_interval(secs => number), 'TimeoutError: no answer'"
            " FROM generate_series(1, 200000) AS number",
            [name],
        )
        cursor.execute("ANALYZE taskq_task")


def fill_workflow() -> int:
    """A workflow that stands still: all that does not wait for the step that failed is done.
    Returns its primary key."""
    from django.db import transaction
    from django.db.models.functions import Now

    from stress.project.shop import tasks
    from taskq.models import Edge, EdgeState, State, Task
    from taskq.workflow import Workflow

    flow = Workflow("Orders of today")
    charged = [flow.add(tasks.charge_card, [number]) for number in range(30)]
    printed = [flow.add(tasks.print_label, [each.index, 0], after=[each]) for each in charged]
    shipped = flow.add(tasks.ship, [1], after=printed)
    flow.add(tasks.send_receipt, [1], after=[shipped])
    flow.add(tasks.send_receipt, [404], after=[charged[7]], on="failed")
    with transaction.atomic():
        sent = flow.send()
        ids = sent.task_ids
        failed, wait = ids[7], {ids[37], *ids[60:62]}
        done = [id for id in ids if id != failed and id not in wait]
        Task.objects.filter(pk=failed).update(
            **{"state": State.FAILED, "attempt": 1, "failed_at": Now()},
            error="CardError: the bank does not answer",
        )
        Task.objects.filter(pk__in=done).delete()
        Edge.objects.filter(step_id__in=done).delete()
        Edge.objects.filter(part_id__in=done).update(state=EdgeState.DONE)
    return int(sent.pk)
