"""The supervisor: keeps a child in each seat of a pool, and ends the pool cleanly.

It is one process with one thread and no database. It waits in one place, for a signal (SIGCHLD is
one) or a short tick. Then it goes round: reap dead children, act on signals, kill children past
their deadlines, fork children for empty seats, note how much memory each has.
"""

from collections.abc import Sequence
from enum import Enum

from setproctitle import setproctitle

from pool import clock, death_log, groups, kernel, time_limits
from pool.child import Role
from pool.death import Cause
from pool.forker import Forker
from pool.log import log
from pool.rolling import Replacement
from pool.scoreboard import Scoreboard
from pool.seat import Seat
from pool.seats import Seating
from pool.signals import Signals
from pool.slot import State
from pool.systemd import Systemd

#: Seconds between two rounds when nothing happens. A deadline may be noticed so late.
TICK = 0.25
#: The same while no child works. A deadline of work that begins meanwhile may be noticed so late.
REST = 1.0
#: Seconds that support roles get to clean up after the other children have ended.
CLOSING_TIME = 10.0
#: After so many deaths during start-up the pool gives up, if no child has ever booted.
BOOT_TRIES = 6


class Phase(Enum):
    RUNNING = "running"
    DRAINING = "draining"  # running work is finished; only support roles are replaced
    CLOSING = "closing"  # no work is left; support roles clean up and end


class Supervisor:
    """Runs roles until it is told to stop.

    roles: the kinds of children to keep alive.
    scoreboard: has room for all children, and for workers that TTIN adds.
    drain_timeout: seconds that running work gets after TERM. Then it is killed.
    title: the name of the processes in ps.

    Raises ValueError when the scoreboard has too few slots.
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
        self._seats = Seating(scoreboard)
        self._signals = Signals()
        self._forker = Forker(scoreboard, title)
        self._replacement = Replacement()
        self._phase_ends = 0
        self._ever_booted = False
        self._boot_failures = 0
        self._sample_due = 0
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
                self._seats.add(role)

    def run(self) -> int:
        """Supervise until stopped. Returns the exit code."""
        self._forker.open()
        self._signals.open()
        setproctitle(f"{self.title}: supervisor")
        while True:
            self.reap()
            self.act_on_signals()
            self.enforce_deadlines()
            self.advance()
            self.fill()
            if self.phase is not Phase.RUNNING and not self._seats:
                self._signals.close()
                log.info("pool stopped", extra={"event": "pool.stopped"})
                return self.exit_code
            self.sample_memory()
            self.report()
            self.sleep()

    # The round

    def reap(self) -> None:
        """Reap all dead children. As process 1 this includes children of dead children."""
        while True:
            try:
                pid, status = kernel.reap(first=self._end_programs)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (seat := self._seats.of(pid)) is not None:
                self._record_death(seat, status)

    def act_on_signals(self) -> None:
        for name in self._signals.take():
            getattr(self, f"handle_{name.lower()}")()

    def enforce_deadlines(self) -> None:
        """Kill children past a hard deadline, and warn those past a soft one."""
        time_limits.enforce(list(self._seats.occupied()), TICK)

    def advance(self) -> None:
        """Go on with the replacement that HUP began, or with the phases of stopping."""
        if self.phase is Phase.RUNNING:
            self._replacement.advance()
            return
        at_work = any(not seat.role.support for seat in self._seats.occupied())
        if self.phase is Phase.DRAINING and not at_work:
            self.phase = Phase.CLOSING
            self._phase_ends = clock.now() + clock.nanoseconds(CLOSING_TIME)
            for seat in self._seats.occupied():
                seat.ask_to_stop()
            for seat in self._seats:
                seat.due = 0  # an empty seat gets a last child at once: there is no time to wait
        if clock.now() >= self._phase_ends:
            closing = self.phase is Phase.CLOSING
            occupied = self._seats.occupied()
            time_limits.stop([each for each in occupied if closing or not each.role.support], TICK)

    def fill(self) -> None:
        """Fork a child for each seat that is empty and due."""
        now = clock.now()
        for seat in list(self._seats):
            if seat.pid:
                continue
            if seat.leaving or not self._wanted(seat.role):
                self._seats.remove(seat)
            elif now >= seat.due:
                self._forker.fork(seat)
                if self.phase is Phase.CLOSING and seat.pid:
                    seat.ask_to_stop()

    def sample_memory(self) -> None:
        """Note how much memory each child has, at most once in a tick."""
        if (now := clock.now()) >= self._sample_due:
            self._sample_due = now + clock.nanoseconds(TICK)
            for seat in self._seats.occupied():
                seat.sample_memory(now)

    def report(self) -> None:
        """Say that the supervisor still goes round, and tell systemd that the pool is ready."""
        self.scoreboard.strength = self._seats.strength()
        if not self._ever_booted:
            self._ever_booted = any(
                seat.slot.state >= State.IDLE
                for seat in self._seats.occupied()
                if seat.role.scalable
            )
        if self._ever_booted:
            self._systemd.ready()
        now = clock.now()
        self.scoreboard.beat = now
        self._oom.forget_old(now / clock.SECOND)
        self._systemd.alive(now)

    def sleep(self) -> None:
        """Sleep until a signal comes, a seat or a message is due, or a tick is over."""
        now = clock.now()
        due = [*(seat.due for seat in self._seats if not seat.pid), *self._systemd.due]
        resting = self._seats.at_rest(now + clock.nanoseconds(REST))
        tick = REST if resting and self.phase is Phase.RUNNING else TICK
        self._signals.wait(min([tick, *(max(0, at - now) / clock.SECOND for at in due)]))

    # One method for each signal

    def handle_chld(self) -> None:
        """A child died: the next round reaps it."""

    def handle_term(self) -> None:
        """Stop cleanly: claim no more tasks, and finish running tasks within the drain time."""
        if self.phase is Phase.RUNNING:
            log.info("stopping: up to %g s for what runs", self.drain_timeout)
            self._systemd.notify("STOPPING=1")
            self.phase = Phase.DRAINING
            self._phase_ends = clock.now() + clock.nanoseconds(self.drain_timeout)
            for seat in self._seats.occupied():
                if not seat.role.support:
                    seat.ask_to_stop()

    def handle_int(self) -> None:
        """As TERM. A second INT (a second Ctrl-C) stops the pool now."""
        if self.phase is Phase.RUNNING:
            self.handle_term()
        else:
            self.handle_quit()

    def handle_quit(self) -> None:
        """Stop now: kill running work. Support roles still clean up."""
        self.handle_term()
        if self.phase is Phase.DRAINING:
            log.info("stopping now")
            self._phase_ends = clock.now()

    def handle_hup(self) -> None:
        """Replace the workers one by one. Each first finishes its task."""
        if self.phase is not Phase.RUNNING:
            return
        count = self._replacement.begin(self._seats.workers())
        log.info("replacing %d workers one by one", count)

    def handle_ttin(self) -> None:
        """Add a worker."""
        role = next((seat.role for seat in self._seats.workers()), None)
        if role is None or self.phase is not Phase.RUNNING:
            return
        if self._seats.add(role):
            log.info("one worker more: %d", self._seats.strength())
        else:
            log.warning("no room for another worker: %d is the most here", self._seats.strength())

    def handle_ttou(self) -> None:
        """Remove a worker, but never the last one."""
        if self.phase is not Phase.RUNNING:
            return
        if self._seats.strength() <= 1:
            log.warning("not removing the last worker; TERM stops the pool")
            return
        staying = [seat for seat in self._seats.workers() if not seat.leaving]
        # The last one; but rather one that goes at once than one that has work to finish.
        seat = ([each for each in staying if each.slot.state != State.BUSY] or staying)[-1]
        seat.leaving = True
        if seat.pid:
            seat.ask_to_stop()
        log.info("one worker less: %d", self._seats.strength())

    def handle_usr1(self) -> None:
        """Log the scoreboard."""
        for line in self.scoreboard.lines():
            log.info(line)

    # Children

    def _wanted(self, role: Role) -> bool:
        if self.phase is Phase.CLOSING and clock.now() >= self._phase_ends:
            return False
        return self.phase is Phase.RUNNING or role.support

    def _end_programs(self, pid: int) -> None:
        """End the programs that a dead child has started."""
        if self._seats.of(pid) is not None:
            groups.end(pid)

    def _record_death(self, seat: Seat, status: int) -> None:
        """Record and log a death, and decide when the seat gets another child."""
        death, box = seat.death(status, self._oom), seat.box()
        booting = seat.slot.state == State.BOOTING
        failed = booting and not seat.asked_to_stop
        wait = seat.vacate()
        self.scoreboard.record(death, box)
        self._seats.wake_support()
        if seat.role.scalable:
            self.scoreboard.count_end(death)
            self._ever_booted |= not booting
            self._boot_failures += failed
        if self.phase is Phase.CLOSING:
            # A child that ended without a kill has cleaned up and needs no successor.
            seat.leaving = death.cause not in (Cause.SIGNAL, Cause.OUT_OF_MEMORY)
        replaced = self._wanted(seat.role) and not seat.leaving
        death_log.tell(seat, death, failed=failed, replaced=replaced, wait=wait, stack=box.stack)
        if death.cause is Cause.EXIT and death.code == seat.role.stops_pool:
            self.exit_code = death.code
            self.handle_term()
        elif self.phase is Phase.RUNNING and self._gives_up():
            log.critical("no worker ever came up (%s); giving up", death)
            self.exit_code = 1
            self.handle_quit()

    def _gives_up(self) -> bool:
        return not self._ever_booted and self._boot_failures >= BOOT_TRIES
