"""``--pidfile``: a file that has the pid of a pool's supervisor while the pool runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import CommandError


@contextlib.contextmanager
def held(name: str | None) -> Iterator[None]:
    """Have this process's pid in the file meanwhile. None: there is no file.

    A file that names no process that runs is replaced: its pool was killed.

    Raises CommandError when the file names a process that runs, or cannot be written.
    """
    if name is None:
        yield
        return
    path, own = Path(name), os.getpid()
    if (other := _pid_in(path)) not in (None, own) and _runs(other):
        raise CommandError(
            f"--pidfile is {name!r}, which names the process {other}, and that runs: stop it, give "
            "another file, or remove the file if that process is no pool"
        )
    try:
        # Under its name it is always whole: whoever reads it finds a pid.
        written = path.with_name(f".{path.name}.{own}")
        written.write_text(f"{own}\n")
        written.replace(path)
    except OSError as error:
        raise CommandError(f"--pidfile is {name!r}, which cannot be written: {error}") from error
    try:
        yield
    finally:
        if _pid_in(path) == own:
            path.unlink(missing_ok=True)


def _pid_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # there is none yet, or something else is in it
        return None


def _runs(pid: int | None) -> bool:
    if pid is None or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OverflowError:  # no pid is so large
        return False
    except PermissionError:  # it runs as another user
        return True
    return True
