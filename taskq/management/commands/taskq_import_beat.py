"""``manage.py taskq_import_beat``: bring the rows of django-celery-beat over."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from taskq.management.arguments import add_database, database_alias
from taskq.management.beat_rows import CELERYS_OWN, BeatRow, NotBrought, read
from taskq.management.queue_command import QueueCommand
from taskq.models import Schedule
from taskq.schedules import ScheduleError, data, entries


class Command(QueueCommand):
    help = (
        "Bring the periodic tasks of django-celery-beat over. The command reads the tables of that "
        "package and changes nothing in them. It says of each row what became of it. A schedule "
        "that is there already is left alone, so the command can run again. Stop celery beat "
        "first: from the commit on, pools send the tasks. The exit code is 1 when a row could not "
        "be brought over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be done, and change nothing"
        )
        parser.add_argument(
            "--replace",
            action="store_true",
            help="replace schedules of the same names that are there already",
        )
        add_database(parser)

    def handle(self, *, dry_run: bool, replace: bool, **options: Any) -> None:
        alias = database_alias(options["database"])
        rows = list(read(alias))
        if not rows:
            raise CommandError(f"database {alias!r} has no periodic task of django-celery-beat")
        refused = 0
        with transaction.atomic(using=alias):
            for row in rows:
                try:
                    with transaction.atomic(using=alias):
                        said = _bring(row, alias, replace=replace)
                except (NotBrought, ScheduleError) as error:
                    refused += 1
                    said = f"NOT BROUGHT: {error}"
                self.stdout.write(f"{row.name}: {said}")
            transaction.set_rollback(dry_run, using=alias)
        if dry_run:
            self.stdout.write("Nothing was changed (--dry-run).")
        if refused:
            raise CommandError(f"{refused} of {len(rows)} could not be brought over")


def _bring(row: BeatRow, alias: str, *, replace: bool) -> str:
    """Make the schedule of a row. Returns what to say. Raises NotBrought or ScheduleError."""
    if instead := CELERYS_OWN.get(row.row["task"]):
        return f"left out, as it is Celery's own: {instead}"
    there = Schedule.objects.using(alias).filter(name=row.name).select_for_update().first()
    if row.name in entries.names():
        return _of_code(row, there, alias)
    if there is not None and not replace:
        return "is there already"
    values = row.values()
    if there is None:
        made = data.make(row.name, values, using=alias)
    else:
        made = there
        data.change(made, values, using=alias)
    # The page of the schedule goes on counting.
    counted = {"last_at": row.last_at, "total_runs": row.total_runs}
    Schedule.objects.using(alias).filter(pk=made.pk).update(**counted)
    off = ", switched off" if made.paused else ""
    return f"{'replaced' if there is not None else 'made'}: {made.schedule}{off}"


def _of_code(row: BeatRow, there: Schedule | None, alias: str) -> str:
    """django-celery-beat stores the entries of the settings too. Only their switch is taken."""
    if row.row["enabled"]:
        return "left out, as the code or the settings define it"
    if there is None:
        raise NotBrought(
            "it is switched off, and the code or the settings define it: start a pool, which "
            "writes its row, and run this again"
        )
    Schedule.objects.using(alias).filter(pk=there.pk).pause()
    return "switched off, as it was; the code or the settings define the rest"
