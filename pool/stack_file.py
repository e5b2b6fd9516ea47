"""The memory into which a child's stack is written: when it crashes, and when it is asked for it.

Python's ``faulthandler`` writes it in C, so it also works while a task holds the interpreter or
hangs in C code. The memory is a file without a name. It outlives the child, and its size is fixed.
The child has inherited the open file, so all processes share the place in it: whoever asks for a
stack first goes back to the start, and the place is then how much was written.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections.abc import Sequence
from enum import IntEnum

from pool import clock, kernel

#: Bytes of the file: a hundred threads whose stacks have ten lines each. Memory is only taken for
#: what is written.
SIZE = 128 * 1024
#: Seconds between two looks at whether a stack is there.
LOOK = 0.001


class Ask(IntEnum):
    """The signals that ask a child for its stack.

    By default both do nothing, so they harm no process that does not expect them.
    """

    OWN = signal.SIGWINCH  # of the main thread. It may go on afterwards
    #: Of all threads. Python reads the stacks of the others while they run, and that may crash the
    #: process. So it is only for a process that is to be killed.
    ALL = signal.SIGURG


class StackFile:
    """Where the stack of one child is written."""

    def __init__(self) -> None:
        self._file = kernel.memory_file("taskq-stack", SIZE)
        self._enabled_before = False

    # Called in the child

    def start(self) -> None:
        """Begin to have stacks written here, in a new child."""
        self._enabled_before = faulthandler.is_enabled()
        self.clear()
        self.watch()

    def watch(self) -> None:
        """Have stacks written here, though a run may have told faulthandler something else.

        A handler that C code has installed is kept: the runtimes of Java and Go need theirs.
        """
        faulthandler.enable(file=self._file)
        for number in Ask:
            if signal.getsignal(number) not in (signal.SIG_DFL, None):
                # Python does not see that faulthandler has the signal, nor faulthandler that
                # somebody else has it now.
                signal.signal(number, signal.SIG_DFL)
                faulthandler.unregister(number)
            faulthandler.register(number, file=self._file, all_threads=number is Ask.ALL)

    def forget(self) -> None:
        """Write nothing here any more. For a process that a task has forked."""
        if self._enabled_before:
            faulthandler.enable(file=2)  # standard error, as before
        else:
            faulthandler.disable()
        for number in Ask:
            faulthandler.unregister(number)

    # Called in other processes

    def ask(self, pid: int, what: Ask) -> bool:
        """Ask the child for its stack. Returns whether it can be expected to write it."""
        # The run may have closed the file, and opened something else under its number.
        if not kernel.has_open(pid, self._file) or not kernel.awaits(pid, what):
            return False
        self.clear()
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            return False
        return True

    def is_written(self, pid: int, what: Ask) -> bool:
        """Whether the child has written what :meth:`ask` asked for."""
        return self._length() > 0 and not kernel.handles(pid, what)

    def read(self) -> str:
        """What was written since the file was cleared."""
        text = os.pread(self._file, self._length(), 0)
        return text.replace(b"\0", b"").decode("utf-8", "replace")

    def clear(self) -> None:
        os.lseek(self._file, 0, os.SEEK_SET)

    def _length(self) -> int:
        return min(SIZE, os.lseek(self._file, 0, os.SEEK_CUR))


def wait_for_stacks(files: Sequence[tuple[StackFile, int]], what: Ask, until: int) -> None:
    """Ask these children, by pid, for their stacks. Wait until all are written, or the time is up.

    until: on ``pool.clock``.
    """
    asked = [(file, pid) for file, pid in files if file.ask(pid, what)]
    while asked and clock.now() < until:
        time.sleep(LOOK)
        asked = [(file, pid) for file, pid in asked if not file.is_written(pid, what)]
