"""The black box of a child that has died: what it ran, where it was, and how its memory grew.

The supervisor fills it when it reaps the child, because the next child of the slot writes over what
stands there. It is kept in shared memory for the process that reads the deaths.
"""

from __future__ import annotations

import json
from typing import NamedTuple

#: Boxes that are kept. A death with 32 newer ones has none.
KEPT = 32
#: Bytes of a stack in a box.
STACK = 16 * 1024
#: Bytes of a box: the stack, a name, and a minute of samples of the memory.
ROOM = STACK + 4096

#: How faulthandler begins the stack of the thread that got the signal.
_CURRENT = "Current thread"
#: How it begins when the process crashes.
FATAL = "Fatal Python error: "


class Sample(NamedTuple):
    """before: seconds before the death. kib: resident memory."""

    before: float
    kib: int


class Box(NamedTuple):
    """label: the name of what it ran. stack: faulthandler's text, where there is one.
    memory: oldest first. Each is empty where nothing is known."""

    label: str = ""
    stack: str = ""
    memory: tuple[Sample, ...] = ()

    def packed(self) -> bytes:
        """The box as bytes, at most ``ROOM`` of them."""
        memory = json.dumps([[round(sample.before, 1), sample.kib] for sample in self.memory])
        return "\0".join((self.label, self.stack, memory)).encode()[:ROOM]

    @classmethod
    def unpacked(cls, data: bytes) -> Box:
        label, stack, memory = data.decode().split("\0")
        return cls(label, stack, tuple(Sample(*pair) for pair in json.loads(memory)))


def shortened(stack: str) -> str:
    """The stack with the thread that got the signal first, and at most ``STACK`` bytes long.

    A dump of an earlier moment before a crash is left out.
    """
    stack = stack[max(0, stack.rfind(FATAL)) :]
    head, *threads = stack.strip().replace("\r", "").split("\n\n")
    parts = [head, *threads] if head.startswith(FATAL) else ["", head, *threads]
    first = sorted(parts[1:], key=lambda part: not part.startswith(_CURRENT))
    text = "\n\n".join(filter(None, [parts[0], *first])).encode()
    if len(text) <= STACK:
        return text.decode()
    end = "\n  ..."
    return text[: STACK - len(end)].decode("utf-8", "ignore").rpartition("\n")[0] + end
