"""A child and the programs that it starts are one process group, which ends with the child."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from pool import clock, kernel

#: Seconds that programs get to end after SIGKILL. A program may hang in the kernel.
GONE = 1.0
#: Seconds after which a task is no longer expected to ask for a dead program's exit code.
UNASKED = 5.0


def lead() -> None:
    """Make this process the leader of a new process group.

    Ctrl-C goes to the group in the foreground. So only the supervisor gets it.
    """
    os.setpgid(0, 0)


def end(leader: int) -> None:
    """Send SIGKILL to a child's group.

    Call it before the child is reaped: until then no other process can get the same pid.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class Programs:
    """The programs below this process, including those that have lost their parent.

    Programs that already run when this object is made are kept: they belong to the process and not
    to a run. Programs that the existing threads start later are kept for the same reason.
    """

    def __init__(self) -> None:
        kernel.adopt_orphans()
        self._kept = set(kernel.children())
        self._threads = kernel.threads() - {str(os.getpid())}
        self._dead_since: dict[int, int] = {}

    def left(self) -> set[int]:
        """The pids of programs that a run has left in this process's group.

        A program with its own session (``start_new_session=True``) is not in the group and lives
        on.
        """
        if not _has_children():
            return set()
        self._reap_unasked()
        return {pid for pid in self._others() if _group(pid) == os.getpid()}

    def end(self) -> None:
        """Kill these programs and reap them.

        Raises TimeoutError when some of them still run after ``GONE`` seconds.
        """
        until = clock.now() + clock.nanoseconds(GONE)
        # In a loop: when a program is killed, this process adopts its children.
        while left := self.left():
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if not any([_reap(pid) for pid in left]):
                if clock.now() > until:
                    raise TimeoutError(f"{sorted(left)} do not end")
                time.sleep(0.001)

    def _others(self) -> list[int]:
        return [pid for pid in kernel.children(self._threads) if pid not in self._kept]

    def _reap_unasked(self) -> None:
        """Reap dead programs after ``UNASKED`` seconds.

        Before that, the code that started a program may still want its exit code.
        """
        now = clock.now()
        dead = {pid: self._dead_since.get(pid, now) for pid in self._others() if not _is_alive(pid)}
        for pid, since in dead.items():
            if now - since > clock.nanoseconds(UNASKED):
                _reap(pid)
        self._dead_since = dead


def _has_children() -> bool:
    """Whether there are any, dead or alive. One system call, because it is asked often."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _is_alive(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _reap(pid: int) -> bool:
    """Reap this program if it is dead. Returns whether it is gone."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # a thread has waited for it
        return True
