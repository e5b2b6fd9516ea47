"""A child of the supervisor: its role, the object that the role's callable gets, and how the
child ends."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from setproctitle import setproctitle

from pool import clock, groups, kernel
from pool.blocking_call import Stuck, patience
from pool.scoreboard import Scoreboard
from pool.slot import Slot, State

log = logging.getLogger("pool")

#: Seconds to write what the buffers of log and output still hold. They may be full pipes.
LAST_LINES = 2.0

EXIT_CRASHED = os.EX_SOFTWARE if hasattr(os, "EX_SOFTWARE") else 70

#: Signals that a terminal, or an operator, sends to all processes of a pool. Only the supervisor
#: acts on them. If a child acted on them too, the pool would act twice.
_SUPERVISORS = ("SIGINT", "SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU")


class Child:
    """One child process of the pool.

    Assign a callable to ``on_soft_limit``. It is called in the main thread (by SIGUSR1) when the
    soft deadline on the scoreboard has passed.
    """

    def __init__(
        self,
        role: Role,
        number: int,
        slot: Slot,
        scoreboard: Scoreboard,
        supervisor_pid: int,
        title: str,
        first_try: bool,
    ) -> None:
        self.role = role
        self.number = number
        self.slot = slot
        self.scoreboard = scoreboard
        self.pid = os.getpid()
        self.supervisor_pid = supervisor_pid
        self.on_soft_limit: Callable[[], None] | None = None
        self._title = title
        self._first_try = first_try
        self._termed = False
        self._shown: str | None = None
        self._handlers: dict[int, Any] = {
            **{int(getattr(signal, name)): signal.SIG_IGN for name in _SUPERVISORS},
            int(signal.SIGCHLD): signal.SIG_DFL,
            int(signal.SIGTERM): self._handle_term,
            int(signal.SIGUSR1): self._handle_usr1,
        }
        # Python ignores these two. By default they end a process.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            if (handler := signal.getsignal(number)) is not None:
                self._handlers[int(number)] = handler

    @property
    def stopping(self) -> bool:
        """Whether the child was asked to end cleanly.

        The supervisor sends SIGTERM and writes it on the scoreboard too, because a task may
        have ignored the signal.
        """
        return self._termed or self.slot.asked == self.slot.generation

    @property
    def name(self) -> str:
        return f"{self.role.name} {self.number}" if self.role.scalable else self.role.name

    def title(self, detail: str = "") -> None:
        """Show in ps and top what this process does. Costs nothing when the detail is the same."""
        if detail == self._shown:
            return
        self._shown = detail
        setproctitle(f"{self._title}: {self.name}" + (f" [{detail}]" if detail else ""))

    def beat(self) -> None:
        """Say that this child still goes round its loop.

        The supervisor kills a child that does not say so within the seconds of the role's
        ``patience``.
        """
        self.slot.beat = clock.now()

    def booted(self, state: State = State.IDLE) -> None:
        """Say that start-up is over and this child is ready to work.

        state: ASIDE for a role that takes no part in the work, and so needs no lease.
        """
        self.slot.state = state

    def worked(self) -> None:
        """Say that this child did something useful.

        If it dies later, its death is not part of a crash loop: it is replaced at once.
        """
        self.slot.worked = self.slot.generation

    def wait(self, timeout: float, *descriptors: int) -> list[int]:
        """Sleep until the child is woken or a descriptor is readable.

        timeout: seconds. Returns the readable descriptors. Where the child was woken, that of its
        slot is among them. Empty when neither happened in that time.
        """
        wake = self.slot.wake_fd()
        poll = select.poll()  # select() takes no descriptor above 1,023
        for descriptor in (wake, *descriptors):
            poll.register(descriptor, select.POLLIN)
        readable = [descriptor for descriptor, _ in poll.poll(max(0.0, timeout) * 1000)]
        if wake in readable:
            self.slot.clear_wakes()
        return readable

    def install_signals(self) -> None:
        """(Re)install the child's signal handlers, even if Python believes that they are installed.

        C code may install its own handler, and Python does not notice that.
        """
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _release_forks(self) -> None:
        """Give a process that a task forks the default signal handlers.

        Such a process is no child of the pool, and SIGTERM must end it. The signal is blocked
        until the process no longer has the pool's handlers.
        """

        def release() -> None:
            for number, handler in self._handlers.items():
                if callable(handler):
                    signal.signal(number, signal.SIG_DFL)
            self.slot.stack_file.forget()
            let_go()

        def let_go() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

        os.register_at_fork(
            before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
            after_in_parent=let_go,
            after_in_child=release,
        )

    def _handle_term(self, number: int, frame: FrameType | None) -> None:
        self._termed = True
        self.slot.wake()

    def _handle_usr1(self, number: int, frame: FrameType | None) -> None:
        if self.on_soft_limit is not None:
            self.on_soft_limit()

    def _end_with(self, lifeline: int) -> None:
        """End this process when the supervisor, the only writer of the pipe, is gone.

        A support role also ends the programs that the other children have started. The kernel
        kills those children at once, so they cannot do it themselves.
        """
        while os.read(lifeline, 1):
            pass
        if self.role.support:
            for slot in self.scoreboard.living():
                if slot.pid != self.pid:
                    groups.end(slot.pid)
        groups.end(self.pid)
        os.kill(self.pid, signal.SIGKILL)  # also if it has left its group

    def live(self, lifeline: int, unblock: set[signal.Signals]) -> None:
        """Run the role to its end and leave the process. Never returns.

        It leaves by ``os._exit``, which runs no exit handlers: the supervisor registered them,
        and they are for the supervisor's own end.
        """
        code = EXIT_CRASHED
        try:
            groups.lead()
            signal.set_wakeup_fd(-1)
            self.install_signals()
            self.slot.stack_file.start()
            self._release_forks()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, unblock)
            if self.role.support:
                kernel.wake_with_parent()
            if self.role.support or not kernel.die_with_parent(self.supervisor_pid):
                threading.Thread(target=self._end_with, args=(lifeline,), daemon=True).start()
            if self.role.oom_victim:
                kernel.prefer_as_oom_victim()
            self.title()
            _by_lines(sys.stdout)
            code = self.role.run(self) or 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        except BaseException:
            # One line for a child that crashes again and again, not one for each try.
            level = logging.ERROR if self._first_try else logging.DEBUG
            log.log(level, "%s (pid %d) crashed", self.name, self.pid, exc_info=True)
        finally:
            try:
                with contextlib.suppress(Stuck), patience(LAST_LINES):
                    with contextlib.suppress(Exception):
                        logging.shutdown()
                    flush_output()
            finally:  # also when a signal handler that a task left behind raises
                os._exit(code)


def _by_lines(stream: object) -> None:
    """Write each line that is printed at once, so that a kill cannot lose it.

    Without a terminal, Python would keep the text until there are 8 KiB.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(line_buffering=True)


def flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # it is closed, or nobody reads it
            stream.flush()


@dataclass(frozen=True, kw_only=True)
class Role:
    """A kind of child.

    name: shown in titles and log lines.
    run: called in the child. Its return value is the exit code (None is 0).
    count: the number of children. TTIN and TTOU change it for a ``scalable`` role.
    scalable: the role does the pool's work. Its children are stopped first.
    support: the role outlives the scalable ones, so that it can clean up after them.
    patience: seconds without a beat after which the child counts as stuck and is killed.
        None (the default) for a role that does not beat.
    boot_patience: seconds from the fork until the child must have booted. After that it is
        killed. The default is two minutes, because a start may take one when the machine swaps.
    oom_victim: when memory runs out, the kernel should kill this child and not the supervisor.
    stops_pool: an exit with this code stops the pool. The pool then exits with the same code.
    """

    name: str
    run: Callable[[Child], int | None]
    count: int = 1
    scalable: bool = False
    support: bool = False
    patience: float | None = None
    boot_patience: float = 120.0
    oom_victim: bool = False
    stops_pool: int | None = None
