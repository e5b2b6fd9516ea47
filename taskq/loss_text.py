"""What to say of a worker that died: one sentence from its black box.

Such as "out of memory (killed by the kernel) at 1.9 GiB, grew 40 MiB/s, was in report.py:612
(build)".
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pool.black_box import Sample

#: Seconds over which a growth is measured.
GROWTH_SPAN = 10.0
#: A growth of fewer KiB is not worth a word, nor one of fewer KiB in a second.
GROWTH_LEAST = 32 * 1024
RATE_LEAST = 1024
#: How the causes begin that the memory may explain.
_OF_MEMORY = ("out of memory", "killed by SIGKILL")

_FRAME = re.compile(
    r'^ +File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.+)$', re.MULTILINE
)
_PACKAGES = Path(__file__).resolve().parents[1]
#: Below these are the frames that run tasks, and no task's own.
_RUNNERS = tuple(f"{_PACKAGES / name}/" for name in ("taskq/worker", "taskq/keeper", "pool"))
#: Where code lies that is not the site's own.
_LIBRARIES = (
    f"{_PACKAGES}/taskq/",
    *{f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib")},
)
_INSTALLED = re.compile(r"/(site|dist)-packages/|^<")


class Frame(NamedTuple):
    """A place in a stack."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line} ({self.function})"

    @property
    def runs_tasks(self) -> bool:
        return self.file.startswith(_RUNNERS)

    @property
    def is_library(self) -> bool:
        return bool(_INSTALLED.search(self.file)) or self.file.startswith(_LIBRARIES)


def place(stack: str) -> str:
    """Where a stack of faulthandler's says that the task was: "report.py:612 (build)".

    This is the innermost frame that is not library code, or else the innermost frame. Only the
    first thread of the stack counts. Empty where there is no frame.
    """
    thread: list[Frame] = []
    for part in stack.split("\n\n"):
        thread = [Frame(file, int(line), name) for file, line, name in _FRAME.findall(part)]
        if thread:
            break
    for frame in thread:
        if frame.runs_tasks:
            break
        if not frame.is_library:
            return str(frame)
    return str(thread[0]) if thread else ""


def details(cause: str, place: str, memory: Sequence[Sample]) -> str:
    """What follows the cause in the sentence. Empty where nothing is known.

    memory: oldest first.
    """
    found, rate = "", _growth(memory)
    if memory and (rate or cause.startswith(_OF_MEMORY)):
        found = f" at {size(memory[-1].kib)}"
    if rate:
        found += f", grew {size(rate)}/s"
    if place:
        found += f", was in {place}"
    return found


def size(kib: float) -> str:
    """A size of memory, in the largest unit of which it has one."""
    if kib >= 1024 * 1024:
        return f"{kib / 1024 / 1024:.1f} GiB"
    return f"{kib / 1024:.0f} MiB" if kib >= 1024 else f"{kib:.0f} KiB"


def _growth(memory: Sequence[Sample]) -> float:
    """KiB a second over the last seconds; 0 where that is not worth a word."""
    if not memory:
        return 0.0
    last = memory[-1]
    first = next(each for each in memory if each.before - last.before <= GROWTH_SPAN)
    grown, seconds = last.kib - first.kib, first.before - last.before
    if seconds <= 0 or grown < GROWTH_LEAST or grown / seconds < RATE_LEAST:
        return 0.0
    return grown / seconds
