"""``manage.py taskq_top``: the queues and workers, live on a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from taskq.management.arguments import add_database, database_alias, number, whole_number
from taskq.management.queue_command import QueueCommand
from taskq.overview import Flow, flow, overview

if TYPE_CHECKING:
    from rich.console import RenderableType

#: The least pause after a look, as a multiple of the time that the look took. With millions of
#: tasks a look takes long, and should cost no more than a tenth of the time.
LOOK_COST = 10
#: Characters of a line when the output is no terminal.
WIDTH = 160


class Command(QueueCommand):
    help = (
        "Show the queues and the workers, and what each worker runs and for how long, until "
        "Ctrl-C. The worker with the longest run comes first. in/s and out/s are the tasks per "
        "second that were sent and that left the table. It needs rich "
        "(pip install 'taskq-pool[top]'). The exit code is 0, or 1 when an option was wrong or "
        "rich is not installed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--interval",
            type=number,
            default=2.0,
            metavar="SECONDS",
            help="time between looks (default: 2)",
        )
        add("--once", action="store_true", help="print one look without the rates, and exit")
        add(
            "--workers",
            type=whole_number,
            metavar="N",
            help="the most workers to show (default: as many as fit; with --once all)",
        )
        add_database(parser)

    def handle(self, **options: Any) -> None:
        try:
            from rich.console import Console
            from rich.live import Live
        except ModuleNotFoundError as error:
            raise CommandError(
                "taskq_top needs rich, which is not installed: pip install 'taskq-pool[top]' "
                "(taskq_status needs no rich)"
            ) from error
        interval: float = options["interval"]
        if not 0.1 <= interval <= 3600:
            raise CommandError(f"--interval is {interval:g}: give a number of seconds from 0.1")
        if options["workers"] is not None and options["workers"] < 1:
            raise CommandError(f"--workers is {options['workers']}: give a whole number from 1")
        alias = database_alias(options["database"])
        if options["once"]:
            console = Console(width=None if self.stdout.isatty() else WIDTH)
            with console.capture() as text:
                console.print(self._look(alias, None, options["workers"])[0])
            self.stdout.write(text.get())
            return
        console = Console()
        before: Flow | None = None
        try:
            with Live(console=console, screen=True, auto_refresh=False) as live:
                while True:
                    began = time.monotonic()
                    rows = options["workers"] or max(3, console.height // 2)
                    shown, before = self._look(alias, before, rows)
                    live.update(shown, refresh=True)
                    took = time.monotonic() - began
                    time.sleep(max(interval - took, LOOK_COST * took))
        except KeyboardInterrupt:
            pass  # Ctrl-C is the way to end it

    def _look(
        self, alias: str, before: Flow | None, rows: int | None
    ) -> tuple[RenderableType, Flow]:
        """What to show, and the counts to compare the next look with."""
        from taskq.management import top

        now = flow(alias)
        rates = now.since(before) if before is not None else None
        name = str(connections[alias].settings_dict["NAME"])
        return top.screen(overview(alias), rates=rates, rows=rows, database=name), now
