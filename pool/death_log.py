"""The log line about the death of a child."""

import logging

from pool.death import Death
from pool.log import log
from pool.seat import Seat


def tell(
    seat: Seat, death: Death, *, failed: bool, replaced: bool, wait: float, stack: str
) -> None:
    """Log how a child died, at a level that fits.

    failed: the child died before it had booted.
    replaced: another child takes its place.
    wait: seconds until the other child is forked.
    stack: where it was, for the lines below; empty where that is not known.
    """
    fields = {"child": seat.name, "child_pid": death.pid, "cause": str(death)}
    if death.task_id:
        fields |= {"task_id": death.task_id, "task_name": seat.slot.label}
    if stack:
        fields["stack"] = stack
    extra = {"event": "child.died", "fields": fields}
    doing = f" while running {seat.slot.label} #{death.task_id}" if death.task_id else ""
    below = f"\n{stack}" if stack else ""
    if death.clean and not failed:
        log.debug("%s (pid %d) left", seat.name, death.pid, extra=extra)
    elif not replaced:
        text = "%s (pid %d) died: %s%s%s"
        log.warning(text, seat.name, death.pid, death, doing, below, extra=extra)
    elif failed and seat.backoff.failures > 1:
        # The line of the first death says why.
        level = logging.WARNING if wait >= 1 else logging.DEBUG
        log.log(level, "%s keeps dying at start; next try in %.1f s", seat.name, wait, extra=extra)
    else:
        then = f"again in {wait:.1f} s" if wait else "restarting"
        text = "%s (pid %d) died: %s%s; %s%s"
        log.warning(text, seat.name, death.pid, death, doing, then, below, extra=extra)
