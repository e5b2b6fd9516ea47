"""A child of the supervisor: what it is asked to be (its role), what its role's callable is given,
and how it ends."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
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
from pool.scoreboard import Scoreboard, Slot, State

log = logging.getLogger("pool")

#: Seconds to write what is left in the buffers of log and output, which may be full pipes.
LAST_LINES = 2.0

EXIT_CRASHED = os.EX_SOFTWARE if hasattr(os, "EX_SOFTWARE") else 70

#: Signals of a terminal, or of an operator to all processes of a pool. The supervisor alone
#: answers them; a child that did as well would act twice.
_SUPERVISORS = ("SIGINT", "SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU")


class Child:
    """One child process of the pool.

    Assign ``on_soft_limit`` to be called, in the main thread, when the soft
    deadline on the scoreboard has passed (SIGUSR1).
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
            **{int(getattr(signal, name)): _signal.SIG_IGN for name in _SUPERVISORS},
            int(signal.SIGCHLD): _signal.SIG_DFL,
            int(signal.SIGTERM): self._handle_term,
            int(signal.SIGUSR1): self._handle_usr1,
        }
        # Python ignores these, and any other process dies of them.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            if (handler := _signal.getsignal(number)) is not None:
                self._handlers[int(number)] = handler

    @property
    def stopping(self) -> bool:
        """Whether a clean end is asked for: by SIGTERM, and by the supervisor on the
        scoreboard too, as a task may have had SIGTERM ignored when it came."""
        return self._termed or self.slot.asked == self.slot.generation

    @property
    def name(self) -> str:
        return f"{self.role.name} {self.number}" if self.role.scalable else self.role.name

    def title(self, detail: str = "") -> None:
        """Show what this process does to ps and top. What is shown already costs nothing."""
        if detail == self._shown:
            return
        self._shown = detail
        setproctitle(f"{self._title}: {self.name}" + (f" [{detail}]" if detail else ""))

    def beat(self) -> None:
        """Say that this child goes round its loop. Without it for longer than the
        role's patience, the supervisor kills it."""
        self.slot.beat = clock.now()

    def booted(self) -> None:
        """Say that start-up is over and this child can do its work."""
        self.slot.state = State.IDLE

    def worked(self) -> None:
        """Say that this child did something useful: should it die now, that is no
        crash loop, and it is replaced at once."""
        self.slot.worked = self.slot.generation

    def wait(self, timeout: float, *descriptors: int) -> bool:
        """Sleep until woken or a descriptor is readable; False when that took longer than
        timeout seconds."""
        wake = self.slot.wake_fd()
        poll = select.poll()  # select() knows no descriptor above 1,023
        for descriptor in (wake, *descriptors):
            poll.register(descriptor, select.POLLIN)
        readable = [descriptor for descriptor, _ in poll.poll(max(0.0, timeout) * 1000)]
        if wake in readable:
            self.slot.clear_wakes()
        return bool(readable)

    def install_signals(self) -> None:
        """(Re)install our signal handlers, whatever Python's table says: C code that puts its own
        in their place does not change that."""
        # The bare functions: those of ``signal`` make enums of what they take and return.
        for number, handler in self._handlers.items():
            _signal.signal(number, handler)

    def _release_forks(self) -> None:
        """What runs here may fork: that process is no child of the pool, and who started it ends
        it by SIGTERM. Until it has no handler of ours any more, the signal waits."""

        def release() -> None:
            for number, handler in self._handlers.items():
                if callable(handler):
                    signal.signal(number, signal.SIG_DFL)
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

        A support role ends what the others have started, too: they die by the kernel, at once,
        and can end nothing any more.
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

        Leaves by ``os._exit``: exit handlers belong to the process that
        registered them, and that is the supervisor.
        """
        code = EXIT_CRASHED
        try:
            groups.lead()
            signal.set_wakeup_fd(-1)
            self.install_signals()
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
            # Said once for a child that crashes again and again, not at every try.
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
    """What is printed is out with the end of its line, and so before a kill. Python would keep it
    until there are 8 KiB where nobody sits at a terminal."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(line_buffering=True)


def flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or nobody reads it any more
            stream.flush()


@dataclass(frozen=True, kw_only=True)
class Role:
    """A kind of child.

    name: shown in titles and log lines.
    run: called in the child; its return value is the exit code (None is 0).
    count: how many of them; TTIN and TTOU change it where ``scalable``.
    scalable: this is the role that does the pool's work. It is stopped first.
    support: outlives the scalable roles, so that it can clean up after them.
    patience: seconds without a beat after which the child counts as stuck and is
        killed; None for a role that does not beat.
    boot_patience: seconds from the fork until it must have booted, or it is killed as well. By
        default two minutes: on a machine that swaps, a start may take one.
    oom_victim: the kernel should pick it rather than the supervisor.
    stops_pool: an exit with this code stops the pool, which then exits with it too.
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
