"""A child and the programs that it starts: one process group, which ends with the child."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from pool import clock, kernel

#: Seconds that programs get to be gone after SIGKILL: one may hang in the kernel.
GONE = 1.0
#: Seconds after which nobody asks for the exit code of a dead program any more.
UNASKED = 5.0


def lead() -> None:
    """Have this process lead a group of its own.

    A Ctrl-C of the terminal goes to the group in the foreground, and so to the supervisor alone.
    """
    os.setpgid(0, 0)


def end(leader: int) -> None:
    """SIGKILL to a child's group. Call it before the child is reaped: until then no other
    process can have its number."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class Programs:
    """The programs below this process, which adopts those that lose their parent.

    What runs already when this is made is kept: it belongs to the process and not to a run. The
    same holds for what the threads start that there are already.
    """

    def __init__(self) -> None:
        kernel.adopt_orphans()
        self._kept = set(kernel.children())
        self._threads = kernel.threads() - {str(os.getpid())}
        self._dead_since: dict[int, int] = {}

    def left(self) -> set[int]:
        """What a run has left in our group.

        A program that leads a session of its own (``start_new_session=True``) is no longer in
        it, and lives on.
        """
        if not _has_children():
            return set()
        self._reap_unasked()
        return {pid for pid in self._others() if _group(pid) == os.getpid()}

    def end(self) -> None:
        """End them, and reap them."""
        until = clock.now() + clock.nanoseconds(GONE)
        # Again and again: the children of one that is killed become ours.
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
        """Reap the dead outside of our group. Whoever started one may still want its exit code,
        so they wait for a while."""
        now = clock.now()
        dead = {pid: self._dead_since.get(pid, now) for pid in self._others() if not _is_alive(pid)}
        for pid, since in dead.items():
            if now - since > clock.nanoseconds(UNASKED):
                _reap(pid)
        self._dead_since = dead


def _has_children() -> bool:
    """Whether there are any, dead or alive: asked often, and so by the cheapest way."""
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
    """Whether this one is gone by now."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # a thread has waited for it
        return True
