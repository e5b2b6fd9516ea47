"""The supervisor: keeps the seats of a pool occupied, and ends it cleanly.

One process, one thread, no database. It waits in one place, for signals
(SIGCHLD among them) or a short tick, and then goes round: reap the dead, act on
signals, kill what is past its deadlines, fill empty seats.
"""

import contextlib
import logging
import os
import select
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum
from types import FrameType
from typing import NoReturn

from setproctitle import setproctitle

from pool import clock, kernel
from pool.child import EXIT_CRASHED, Child, flush_output
from pool.deaths import Cause, Death
from pool.log import log
from pool.roles import Role
from pool.scoreboard import Scoreboard, State
from pool.seats import Seat
from pool.systemd import Systemd

#: Seconds between two rounds when nothing happens: how late a deadline may be noticed.
TICK = 0.25
#: Seconds that support roles get to clean up once the others are gone.
CLOSING_TIME = 10.0
#: Deaths before the end of start-up, with no child ever up, after which the pool gives up.
BOOT_TRIES = 6

SIGNALS = ("CHLD", "TERM", "INT", "QUIT", "HUP", "TTIN", "TTOU", "USR1")
#: How many of a signal may wait to be acted on, where that is not one: a flood must cost
#: neither memory nor the time for anything else.
COUNTED = {"TTIN": 100, "TTOU": 100}


class Phase(Enum):
    RUNNING = "running"
    DRAINING = "draining"  # work is being finished; only support roles are replaced
    CLOSING = "closing"  # no work is left; support roles end, unless killed before they could


class Supervisor:
    """Runs roles until it is told to stop.

    roles: what to keep alive.
    scoreboard: with room for all of them, and for workers that TTIN adds.
    drain_timeout: seconds that work in progress gets after TERM before it is killed.
    title: how the processes are called in ps.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        scoreboard: Scoreboard,
        *,
        drain_timeout: float,
        title: str = "pool",
    ) -> None:
        self.scoreboard = scoreboard
        self.drain_timeout = drain_timeout
        self.title = title
        self.phase = Phase.RUNNING
        self.exit_code = 0
        self._seats: list[Seat] = []
        self._signals: deque[str] = deque()
        self._to_replace: deque[tuple[Seat, int]] = deque()
        self._phase_ends = 0
        self._ever_booted = False
        self._boot_failures = 0
        self._ready_said = False
        self._watchdog_due = 0
        self._oom = kernel.OomCounter()
        self._systemd = Systemd()
        asked, room = sum(role.count for role in roles), len(scoreboard.slots)
        if asked > room:
            raise ValueError(
                f"the roles ask for {asked} children and the scoreboard has room for {room}: "
                "give it a larger capacity"
            )
        for role in roles:
            for _ in range(role.count):
                self._add_seat(role)

    def run(self) -> int:
        """Supervise until stopped; the exit code."""
        self._open()
        while True:
            self.reap()
            self.act_on_signals()
            self.murder()
            self.advance()
            self.fill()
            if self.phase is not Phase.RUNNING and not self._seats:
                self._go_deaf()
                log.info("pool stopped", extra={"event": "pool.stopped"})
                return self.exit_code
            self.report()
            self.sleep()

    # The round

    def reap(self) -> None:
        """Collect every dead child, also those inherited from dead children (PID 1)."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for seat in self._occupied():
                if seat.pid == pid:
                    self._bury(seat, status)
                    break

    def act_on_signals(self) -> None:
        for _ in range(len(self._signals)):  # those that come meanwhile: the next round
            name = self._signals.popleft()
            getattr(self, f"handle_{name.lower()}")()

    def murder(self) -> None:
        """Kill children past a deadline; warn those past a soft one."""
        now = clock.now()
        for seat in self._occupied():
            if seat.verdict is not None:
                continue
            # Read before the deadlines: should they be the next run's, they are not due.
            slot, run = seat.slot, seat.run
            if slot.task_id and 0 < slot.hard_deadline <= now:
                seat.condemn_for(run, Cause.TIME_LIMIT)
            elif slot.ending and slot.ending_hard <= now:
                seat.condemn_for(run, Cause.ENDED)
            elif slot.lease_overdue(now):
                seat.condemn(Cause.LEASE_LOST)
            elif seat.out_of_patience(now):
                seat.condemn(Cause.UNRESPONSIVE)
            elif slot.task_id and (deadline := slot.soft_passed(now)):
                seat.warn(run, deadline)

    def advance(self) -> None:
        """Move on to the next replacement of HUP, or the next phase of stopping."""
        if self.phase is Phase.RUNNING:
            self._advance_replacement()
            return
        if self.phase is Phase.DRAINING and not any(not s.role.support for s in self._occupied()):
            self.phase = Phase.CLOSING
            self._phase_ends = clock.now() + clock.nanoseconds(CLOSING_TIME)
            for seat in self._occupied():
                seat.ask_to_stop()
            for seat in self._seats:
                seat.due = 0  # an empty one gets a last chance, and no time to wait for it
        if clock.now() >= self._phase_ends:
            for seat in self._occupied():
                if seat.verdict is None and (self.phase is Phase.CLOSING or not seat.role.support):
                    seat.condemn(Cause.STOPPED)

    def fill(self) -> None:
        """Fork a child for each seat that is empty and due."""
        now = clock.now()
        for seat in list(self._seats):
            if seat.pid:
                continue
            if seat.leaving or not self._wanted(seat.role):
                self._seats.remove(seat)
            elif now >= seat.due:
                self._fork(seat)
                if self.phase is Phase.CLOSING and seat.pid:
                    seat.ask_to_stop()

    def report(self) -> None:
        """Tell systemd that we are up, and still alive."""
        if not self._ever_booted:
            self._ever_booted = any(
                seat.slot.state >= State.IDLE for seat in self._occupied() if seat.role.scalable
            )
        if self._ever_booted and not self._ready_said:
            self._ready_said = True
            self._systemd.notify("READY=1")
        now = clock.now()
        self._oom.forget_old(now / clock.SECOND)
        if self._systemd.watchdog_interval and now >= self._watchdog_due:
            self._watchdog_due = now + clock.nanoseconds(self._systemd.watchdog_interval)
            self._systemd.notify("WATCHDOG=1")

    def sleep(self) -> None:
        """Until a signal, the next seat that is due, or a tick."""
        now = clock.now()
        due = [seat.due - now for seat in self._seats if not seat.pid]
        timeout = min([TICK, *(max(0, wait) / clock.SECOND for wait in due)])
        with contextlib.suppress(BlockingIOError):
            if self._wakeup.poll(timeout * 1000):
                while os.read(self._wakeup_reader, 512):
                    pass

    # Signals, a method each

    def handle_chld(self) -> None:
        """A child died: the next round reaps it."""

    def handle_term(self) -> None:
        """Stop cleanly: claim nothing more, finish what runs within the drain time."""
        if self.phase is Phase.RUNNING:
            log.info("stopping: up to %g s for what runs", self.drain_timeout)
            self._systemd.notify("STOPPING=1")
            self.phase = Phase.DRAINING
            self._phase_ends = clock.now() + clock.nanoseconds(self.drain_timeout)
            for seat in self._occupied():
                if not seat.role.support:
                    seat.ask_to_stop()

    def handle_int(self) -> None:
        """As TERM; the second one (a second Ctrl-C) stops now."""
        if self.phase is Phase.RUNNING:
            self.handle_term()
        else:
            self.handle_quit()

    def handle_quit(self) -> None:
        """Stop now: kill what runs; support roles still clean up after it."""
        self.handle_term()
        if self.phase is Phase.DRAINING:
            log.info("stopping now")
            self._phase_ends = clock.now()

    def handle_hup(self) -> None:
        """Replace the workers one by one, each as soon as it is between tasks."""
        if self.phase is not Phase.RUNNING:
            return
        workers = [seat for seat in self._seats if seat.role.scalable]
        self._to_replace = deque((seat, seat.slot.generation) for seat in workers)
        log.info("replacing %d workers one by one", len(self._to_replace))

    def handle_ttin(self) -> None:
        """One worker more."""
        role = next((seat.role for seat in self._seats if seat.role.scalable), None)
        if role is None or self.phase is not Phase.RUNNING:
            return
        if self._add_seat(role):
            log.info("one worker more: %d", self._strength())
        else:
            log.warning("no room for another worker: %d is the most here", self._strength())

    def handle_ttou(self) -> None:
        """One worker less, but never the last."""
        if self.phase is not Phase.RUNNING:
            return
        if self._strength() <= 1:
            log.warning("not removing the last worker; TERM stops the pool")
            return
        seat = [seat for seat in self._seats if seat.role.scalable and not seat.leaving][-1]
        seat.leaving = True
        if seat.pid:
            seat.ask_to_stop()
        log.info("one worker less: %d", self._strength())

    def handle_usr1(self) -> None:
        """Log the scoreboard."""
        for line in self.scoreboard.lines():
            log.info(line)

    # Seats and children

    def _open(self) -> None:
        flush_output()  # or each child would say it again
        self._wakeup_reader, wakeup_writer = os.pipe()
        self._wakeup = select.poll()
        self._wakeup.register(self._wakeup_reader, select.POLLIN)
        os.set_blocking(self._wakeup_reader, False)
        os.set_blocking(wakeup_writer, False)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        # The children hold the reading end; only we hold the writing end, so
        # that it closes with us, however we die.
        self._lifeline_reader, self._lifeline_writer = os.pipe()
        for name in SIGNALS:
            signal.signal(getattr(signal, f"SIG{name}"), self._note_signal)
        setproctitle(f"{self.title}: supervisor")

    def _go_deaf(self) -> None:
        """It is over, and said to be clean. Python puts handlers back to their defaults as
        it ends: a signal that comes then would be what this process died of."""
        for name in SIGNALS:
            signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name.removeprefix("SIG")
        if self._signals.count(name) < COUNTED.get(name, 1):
            self._signals.append(name)

    def _occupied(self) -> Iterator[Seat]:
        return (seat for seat in self._seats if seat.pid)

    def _strength(self) -> int:
        return sum(seat.role.scalable and not seat.leaving for seat in self._seats)

    def _wanted(self, role: Role) -> bool:
        if self.phase is Phase.CLOSING and clock.now() >= self._phase_ends:
            return False
        return self.phase is Phase.RUNNING or role.support

    def _add_seat(self, role: Role) -> bool:
        taken = {seat.slot.index for seat in self._seats}
        free = [slot for slot in self.scoreboard.slots if slot.index not in taken]
        if not free:
            return False
        numbers = {seat.number for seat in self._seats if seat.role is role}
        number = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
        self._seats.append(Seat(role, number, free[0]))
        return True

    def _fork(self, seat: Seat) -> None:
        seat.prepare()
        # Blocked, so that none of ours is handled in the child before its own
        # handlers stand.
        handled = {getattr(signal, f"SIG{name}") for name in SIGNALS}
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
                self.scoreboard,
                supervisor_pid,
                self.title,
                first_try=seat.backoff.failures == 0,
            )
            child.live(self._lifeline_reader, unblock)
        finally:  # whatever went wrong, this must not become a second supervisor
            os._exit(EXIT_CRASHED)

    def _bury(self, seat: Seat, status: int) -> None:
        """Record a death, make it known, and decide when the seat is filled again."""
        death = seat.death(status, self._oom)
        booting = seat.slot.state == State.BOOTING
        failed = booting and not seat.asked_to_stop
        wait = seat.vacate()
        self.scoreboard.record(death)
        self._wake_support()
        if seat.role.scalable:
            self._ever_booted |= not booting
            self._boot_failures += failed
        if self.phase is Phase.CLOSING:
            # Unless somebody killed it, it has done what it could.
            seat.leaving = death.cause not in (Cause.SIGNAL, Cause.OUT_OF_MEMORY)
        self._say(seat, death, failed, wait)
        if death.cause is Cause.EXIT and death.code == seat.role.stops_pool:
            self.exit_code = death.code
            self.handle_term()
        elif self.phase is Phase.RUNNING and self._gives_up():
            log.critical("no worker ever came up (%s); giving up", death)
            self.exit_code = 1
            self.handle_quit()

    def _gives_up(self) -> bool:
        return not self._ever_booted and self._boot_failures >= BOOT_TRIES

    def _say(self, seat: Seat, death: Death, failed: bool, wait: float) -> None:
        extra = {"event": "child.died", "pid": death.pid, "cause": str(death)}
        doing = f" while running {seat.slot.label} #{death.task_id}" if death.task_id else ""
        if death.clean and not failed:
            log.debug("%s (pid %d) left", seat.name, death.pid, extra=extra)
        elif not self._wanted(seat.role) or seat.leaving:
            log.warning("%s (pid %d) died: %s%s", seat.name, death.pid, death, doing, extra=extra)
        elif failed and seat.backoff.failures > 1:
            # Why it dies was said the first time.
            level = logging.WARNING if wait >= 1 else logging.DEBUG
            log.log(
                level, "%s keeps dying at start; next try in %.1f s", seat.name, wait, extra=extra
            )
        else:
            then = f"again in {wait:.1f} s" if wait else "restarting"
            text = "%s (pid %d) died: %s%s; %s"
            log.warning(text, seat.name, death.pid, death, doing, then, extra=extra)

    def _advance_replacement(self) -> None:
        while self._to_replace:
            seat, generation = self._to_replace[0]
            slot = seat.slot
            if seat.leaving or (slot.generation > generation and slot.state >= State.IDLE):
                self._to_replace.popleft()
                continue
            if slot.generation == generation and seat.pid and not seat.asked_to_stop:
                seat.ask_to_stop()
            return

    def _wake_support(self) -> None:
        for seat in self._occupied():
            if seat.role.support:
                seat.slot.wake()
