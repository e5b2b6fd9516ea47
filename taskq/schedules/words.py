"""A schedule in words."""

from __future__ import annotations

import datetime
import re

from cronsim import CronSim, CronSimError

from taskq.task.timing import BOTH, EPOCH

_AT = re.compile(r"at (\d+-\d+-\d+)T(\d+:\d+(?::(?!00)\d+)?)(?::00)?\+00:00")
_EVERY = re.compile(r"every (\d+) s")
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def in_words(schedule: str) -> str:
    """What a schedule means: ``every 5 minutes``, ``At 02:30 on Monday through Friday``.

    schedule: the text of its row. It is returned as it is where this version cannot read it.
    """
    if every := _EVERY.fullmatch(schedule):
        left, parts = int(every[1]), []
        for length, unit in _UNITS:
            count, left = divmod(left, length)
            if count:
                parts.append(f"{count:,} {unit}{'s' * (count != 1)}")
        text = " ".join(parts)
        return f"every {text.removeprefix('1 ')}" if len(parts) == 1 else f"every {text}"
    if once := _AT.fullmatch(schedule):
        return f"once, at {once[1]} {once[2]} UTC"
    try:
        cron = CronSim(schedule.removeprefix(BOTH), EPOCH.astimezone(datetime.UTC))
    except CronSimError:
        return schedule
    said = str(cron.explain())
    return f"{said}, where both days match" if schedule.startswith(BOTH) else said
