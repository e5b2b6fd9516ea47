"""Forking a child for a seat."""

import os
import signal
from typing import NoReturn

from pool import signals
from pool.child import EXIT_CRASHED, Child, flush_output
from pool.log import log
from pool.scoreboard import Scoreboard
from pool.seat import Seat


class Forker:
    """Forks children that end when this process ends, in whatever way it ends.

    title: the name of the processes in ps.
    """

    def __init__(self, scoreboard: Scoreboard, title: str) -> None:
        self._scoreboard = scoreboard
        self._title = title

    def open(self) -> None:
        """Get ready. Call it in the process that will be the parent."""
        flush_output()  # otherwise each child would write the same text again
        # The children hold the reading end. Only this process holds the writing end, so the
        # pipe closes when this process dies, in whatever way.
        self._lifeline_reader, self._lifeline_writer = os.pipe()

    def fork(self, seat: Seat) -> None:
        """Fork a child for a seat. If that fails, log why: the seat is due again later."""
        seat.prepare()
        # Blocked until the child has its own handlers: those of the supervisor must not run in
        # the child.
        handled = signals.numbers()
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        # Taken before the fork: afterwards the child may already have another parent.
        supervisor_pid = os.getpid()
        try:
            pid = os.fork()
            if pid == 0:
                self._live(seat, supervisor_pid, handled)
            seat.occupy(pid)
            fields = {"child": seat.name, "child_pid": pid}
            extra = {"event": "child.started", "fields": fields}
            log.debug("%s started, pid %d", seat.name, pid, extra=extra)
        except OSError as error:  # no memory or too many processes: this may pass
            wait = seat.refuse()
            log.error("cannot fork %s: %s; next try in %.1f s", seat.name, error, wait)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)

    def _live(self, seat: Seat, supervisor_pid: int, unblock: set[signal.Signals]) -> NoReturn:
        """Run the child to its end. Called in the child."""
        try:
            os.close(self._lifeline_writer)
            seat.slot.pid = os.getpid()
            child = Child(
                seat.role,
                seat.number,
                seat.slot,
                self._scoreboard,
                supervisor_pid,
                self._title,
                first_try=seat.backoff.failures == 0,
            )
            child.live(self._lifeline_reader, unblock)
        finally:  # after an error, this process must not become a second supervisor
            os._exit(EXIT_CRASHED)
