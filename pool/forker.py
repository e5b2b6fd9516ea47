"""The fork: how a child comes into a seat."""

import os
import signal
from typing import NoReturn

from pool import signals
from pool.child import EXIT_CRASHED, Child, flush_output
from pool.log import log
from pool.scoreboard import Scoreboard
from pool.seat import Seat


class Forker:
    """Forks children that end with this process, however it ends.

    title: how the processes are called in ps.
    """

    def __init__(self, scoreboard: Scoreboard, title: str) -> None:
        self._scoreboard = scoreboard
        self._title = title

    def open(self) -> None:
        """Get ready, in the process that is to be the parent."""
        flush_output()  # or each child would say it again
        # The children hold the reading end; only we hold the writing end, so
        # that it closes with us, however we die.
        self._lifeline_reader, self._lifeline_writer = os.pipe()

    def fork(self, seat: Seat) -> None:
        """Fill a seat, or say why not; then the seat is due again later."""
        seat.prepare()
        # Blocked, so that none of ours is handled in the child before its own
        # handlers stand.
        handled = signals.numbers()
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        # Taken before the fork: afterwards the child may already have another parent.
        supervisor_pid = os.getpid()
        try:
            pid = os.fork()
            if pid == 0:
                self._live(seat, supervisor_pid, handled)
            seat.occupy(pid)
            log.debug("%s started, pid %d", seat.name, pid, extra={"event": "child.started"})
        except OSError as error:  # no memory, or too many processes: heals by itself
            wait = seat.refuse()
            log.error("cannot fork %s: %s; next try in %.1f s", seat.name, error, wait)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)

    def _live(self, seat: Seat, supervisor_pid: int, unblock: set[signal.Signals]) -> NoReturn:
        """In the child: from here on to its end."""
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
        finally:  # whatever went wrong, this must not become a second supervisor
            os._exit(EXIT_CRASHED)
