"""The supervisor's log: when a handler blocks or raises, lines are lost and the pool goes on.

Standard error may be a pipe that nobody reads, or a terminal that was stopped. A supervisor that
waits for it would reap no child and enforce no deadline meanwhile.
"""

from __future__ import annotations

import logging
from typing import Any

from pool import clock
from pool.blocking_call import Stuck, patience

#: Seconds that writing a line may take. Less than a tick, so that deadlines hold.
PATIENCE = 0.1
#: Seconds in which no line is written, after a line that took too long.
PAUSE = 5.0


class SupervisorLog(logging.LoggerAdapter[logging.Logger]):
    """Drops a log line rather than wait for it. Logs later how many lines were lost."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger)
        self._silent_until = 0
        self._lost = 0
        self._raised = False

    def log(self, level: int, msg: object, *args: object, **how: Any) -> None:
        if not self.isEnabledFor(level):
            return
        silent = clock.now() < self._silent_until or (self._lost and not self._tell_losses())
        if silent or not self._write(level, msg, *args, **how):
            self._lost += 1

    def _tell_losses(self) -> bool:
        text = "%d lines of this log were lost: nobody took them within %g s"
        told = self._write(logging.ERROR, text, self._lost, PATIENCE)
        if told:
            self._lost = 0
        return told

    def _write(self, level: int, msg: object, *args: object, **how: Any) -> bool:
        """Write a line. Returns whether the handlers were done in time."""
        try:
            with patience(PATIENCE):
                # The caller is two frames up, for a formatter that shows it.
                self.logger.log(level, msg, *args, stacklevel=3, **how)
        except Stuck:
            self._silent_until = clock.now() + clock.nanoseconds(PAUSE)
            return False
        except Exception as error:
            if not self._raised:  # logged once; the handlers before the broken one write it
                self._raised = True
                self._write(logging.ERROR, "a handler of this log raised %r", error)
        return True


log = SupervisorLog(logging.getLogger("pool"))
