"""Calls to the kernel. On other systems than Linux each function works or does nothing."""

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

LINUX = sys.platform == "linux"

_PR_SET_PDEATHSIG = 1
_PR_GET_PDEATHSIG = 2
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024 if hasattr(os, "sysconf") else 4


_libc = ctypes.CDLL(None)


def _prctl(option: int, argument: Any) -> bool:
    """Returns whether the kernel knows this option and did it."""
    return LINUX and _libc.prctl(option, argument, 0, 0, 0) == 0


def die_with_parent(parent: int) -> bool:
    """Ask for SIGKILL when the parent dies. Exit if the parent is dead already.

    The kernel ignores the request when the parent died before it. So the parent's pid is compared
    afterwards. Returns False where the kernel cannot do this. Then the lifeline pipe of
    ``pool.child`` ends the process.
    """
    armed = _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(os.EX_UNAVAILABLE)
    return armed


def wake_with_parent() -> None:
    """Ask for SIGCONT when the parent dies. Otherwise a stopped process would not notice it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


def parent_death_signal() -> int:
    """The signal that this process gets when its parent dies; 0 for none."""
    number = ctypes.c_int()
    _prctl(_PR_GET_PDEATHSIG, ctypes.byref(number))
    return number.value


def adopt_orphans() -> None:
    """Become the parent of each descendant whose own parent dies, in place of process 1."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def threads() -> set[str]:
    """The ids of this process's threads, also those of C code. On Linux only."""
    return set(_entries("/proc/self/task"))


def children(apart_from: Collection[str] = ()) -> list[int]:
    """The pids of this process's children, dead ones too. None where the kernel does not list them.

    apart_from: threads whose children are left out. Children of a thread that has ended, and
        orphans, count as children of the main thread.
    """
    found: list[int] = []
    for thread in threads().difference(apart_from):
        with contextlib.suppress(OSError):  # the thread has ended
            found += map(int, Path(f"/proc/self/task/{thread}/children").read_bytes().split())
    return found


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def reap(first: Callable[[int], object]) -> tuple[int, int]:
    """Reap a dead child. Returns its pid and its wait status, or two zeros.

    first: called with the pid before the child is reaped: until then no other process can get the
        same pid. (Where the kernel has no ``waitid``, it is called right after.)

    Raises ChildProcessError when there are no children.
    """
    if not hasattr(os, "waitid"):
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            first(pid)
        return pid, status
    dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if dead is None:
        return 0, 0
    first(dead.si_pid)
    return os.waitpid(dead.si_pid, 0)


def prefer_as_oom_victim(points: int = 300) -> None:
    """Raise this process's OOM score, so that the kernel does not choose the supervisor."""
    with contextlib.suppress(OSError, ValueError):  # no /proc, or a sandbox that forbids it
        path = Path("/proc/self/oom_score_adj")
        path.write_text(str(min(1000, int(path.read_text()) + points)))


#: A process that has more than this part of its limit of open files counts as one that leaks.
FULL = 3 / 4


def allow_descriptors(count: int) -> int:
    """Raise this process's limit of open files to ``count``, as far as the system permits.

    Returns how many it may have now, at most ``count``.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return count
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # the system has another limit too
        return soft
    return most


def is_running(pid: int) -> bool:
    """Whether the kernel would still give this process the CPU.

    False for a process that is dead or stopped (SIGSTOP): a frozen worker does no work, so its
    lease must not be renewed. A process held by a debugger counts as running. Without /proc the
    result is whether the pid exists.
    """
    try:
        # Bytes: the process name in it may have any encoding, and may be cut within a character.
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists() and _exists(pid)
    except ProcessLookupError:
        return False
    return stat.rpartition(b") ")[2][:1] not in b"TZX"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _signal_sets(pid: int) -> dict[str, int]:
    """The sets of signals of a process's main thread, as bits; none without /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().decode("ascii", "replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    pairs = (line.partition(":") for line in lines if line.startswith(("Sig", "Shd")))
    return {name: int(bits, 16) for name, _, bits in pairs if "/" not in bits}


def awaits(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal and could run it now."""
    if not LINUX:
        return True
    caught = _signal_sets(pid).get("SigCgt", 0)
    return bool(caught >> (number - 1) & 1) and is_running(pid)


def handles(pid: int, number: int) -> bool:
    """Whether a signal that a process got is not yet handled to its end.

    Its handler must block it meanwhile, as it does by default.
    """
    sets = _signal_sets(pid)
    return any(sets.get(each, 0) >> (number - 1) & 1 for each in ("SigPnd", "ShdPnd", "SigBlk"))


def has_open(pid: int, descriptor: int) -> bool:
    """Whether a descriptor is the same file in another process as in this one."""
    if not LINUX:
        return True
    try:
        theirs = os.stat(f"/proc/{pid}/fd/{descriptor}")
    except OSError:  # it is closed there, or the process is dead, or has become another user's
        return False
    return os.path.samestat(theirs, os.fstat(descriptor))


def memory_file(name: str, size: int) -> int:
    """The descriptor of a file that has no name on the disk. On Linux it cannot grow."""
    try:
        file = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError):  # another system, or one that forbids it
        with tempfile.TemporaryFile() as temporary:
            return os.dup(temporary.fileno())
    os.ftruncate(file, size)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


def resident_kib(pid: int | None = None) -> int:
    """Resident memory of a process in KiB; by default of this one.

    On systems without /proc it is this process's peak, and 0 for another process or a dead one.
    """
    try:
        statm = Path(f"/proc/{pid or 'self'}/statm").read_bytes()
        return int(statm.split()[1]) * _PAGE_KIB
    except (FileNotFoundError, ProcessLookupError):
        if pid is not None:
            return 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak


class OomCounter:
    """Counts the processes of this memory cgroup (v1 or v2) that the kernel killed."""

    #: Seconds after which a kill without the death of a child is dropped. The kernel then killed
    #: another process of the cgroup, for example a program that a task ran.
    keeps = 5.0

    def __init__(self, proc: Path = Path("/proc"), mounts: Path = Path("/sys/fs/cgroup")) -> None:
        self._file = _oom_file(proc, mounts)
        self._seen = 0
        self._seen = self._looked = self._read()
        self._look_due = 0.0

    def advanced(self) -> bool:
        """Whether there is an OOM kill that was not reported here yet. Reports one of them."""
        if self._read() > self._seen:
            self._seen += 1
            return True
        return False

    def forget_old(self, now: float) -> None:
        """Drop kills that were not reported within one to two times ``keeps``.

        now: in seconds.
        """
        if now >= self._look_due:
            self._seen = max(self._seen, self._looked)
            self._looked = self._read()
            self._look_due = now + self.keeps

    def _read(self) -> int:
        if self._file is None:
            return 0
        try:
            lines = self._file.read_text().splitlines()
        except OSError:  # the cgroup is gone, or this process may not read it
            return self._seen
        counts = dict(line.split() for line in lines if len(line.split()) == 2)
        return int(counts.get("oom_kill", 0))


def _oom_file(proc: Path, mounts: Path) -> Path | None:
    """The file that counts the OOM kills of this process's memory cgroup, if there is one."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            candidates = [mounts / path.lstrip("/") / "memory.events", mounts / "memory.events"]
        elif "memory" in controllers.split(","):
            v1 = mounts / "memory"
            candidates = [v1 / path.lstrip("/") / "memory.oom_control", v1 / "memory.oom_control"]
        else:
            continue
        for candidate in candidates:
            if os.access(candidate, os.R_OK):
                return candidate
    return None
