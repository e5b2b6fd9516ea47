"""The screen of ``taskq_top``, drawn by rich."""

from __future__ import annotations

import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from taskq import printable
from taskq.models import ShownState
from taskq.overview import Overview, WorkerLine

_STYLES = {"lost": "bold red", "failed": "red"}


def screen(
    seen: Overview, *, rates: tuple[float, float] | None, rows: int | None, database: str
) -> RenderableType:
    """The whole screen.

    rates: tasks per second that were sent and that left the table. None until there are two looks.
    rows: the most rows of workers. None for all workers.
    """
    return Group(_head(seen, rates, database), _queues(seen), _workers(seen.workers, rows))


def _head(seen: Overview, rates: tuple[float, float] | None, database: str) -> Text:
    head = Text(f"taskq {datetime.datetime.now():%H:%M:%S} on {database}   ")
    head.append(f"{seen.alive} workers in {seen.pools} pools, {seen.busy} busy", style="bold")
    if rates is not None:
        came, went = rates
        head.append(f"   {came:.1f} in/s  {went:.1f} out/s")
    if lost := seen.total(ShownState.LOST):
        head.append(f"   {lost} lost", style=_STYLES["lost"])
    if seen.unknown:
        head.append(f"   {sum(seen.unknown.values())} of unknown names", style=_STYLES["lost"])
    if seen.stands_still:
        head.append("   a workflow stands still", style=_STYLES["failed"])
    if not seen.alive:
        head.append("   no worker is alive", style="bold red")
    return head


def _queues(seen: Overview) -> Table:
    table = Table("queue", box=None, expand=True, header_style="bold")
    for state in ShownState:
        table.add_column(state.value, justify="right")
    table.add_column("oldest due", justify="right")
    for queue in seen.queues:
        cells = [
            Text(str(count), style=_STYLES.get(state.value, "") if count else "dim")
            for state, count in queue.counts.items()
        ]
        oldest = span(queue.oldest) if queue.counts[ShownState.PENDING] else "-"
        name = _text(queue.queue)
        if queue.pause is not None:
            name.append("  paused", style="yellow")
        table.add_row(name, *cells, oldest)
    return table


def _workers(workers: list[WorkerLine], rows: int | None) -> Table:
    table = Table("worker", "pool", "pid", "lease", box=None, expand=True, header_style="bold")
    table.add_column("holds", justify="right")
    table.add_column("for", justify="right")
    table.add_column("runs", ratio=1, no_wrap=True)
    shown = workers if rows is None else workers[:rows]
    for line in shown:
        lease = span(line.lease) if line.lease > 0 else Text("expired", style=_STYLES["lost"])
        runs = Text("idle", style="dim") if line.id is None else _text(f"{line.name} #{line.id}")
        since = "-" if line.id is None else span(line.seconds)
        table.add_row(
            *(_text(line.worker), _text(line.pool), str(line.pid)),
            *(lease, str(line.holds or "-"), since, runs),
        )
    if len(shown) < len(workers):
        table.add_row(Text(f"… {len(workers) - len(shown)} more", style="dim"))
    return table


def _text(of_a_row: str) -> Text:
    """The text as it is: rich would read words in brackets as markup."""
    return Text(printable.in_a_line(of_a_row))


def span(seconds: float) -> str:
    """A time as people read it: 0.4 s, 12 s, 3:05, 2:03:05."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    text = str(datetime.timedelta(seconds=round(seconds)))
    return text.removeprefix("0:").lstrip("0") if seconds < 3600 else text
