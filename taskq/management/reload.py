"""``--reload``: runs the pool as a child process, and restarts it when the code changes."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from django.apps import apps
from django.utils import autoreload

from pool import Child, State

CHANGED = 3  # the exit code of Django's autoreloader after a change

_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_OTHERS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU)
_HEARD = (*_STOPS, *_OTHERS, signal.SIGALRM)
#: Seconds from a Ctrl-C until the pool gets a TERM. The terminal sends the Ctrl-C to the pool too.
#: If the TERM came first, the Ctrl-C would count as the second signal, which stops at once. A
#: second signal of another kind does no harm.
_CTRL_C = 0.5

log = logging.getLogger("taskq")


def is_inner() -> bool:
    """Whether this process is the pool, and not the outer process that restarts it."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def watch(child: Child) -> int:
    """Run the role that exits with CHANGED when the code changes."""
    child.title()
    # Django's loop does not know ``child.stopping``. There is nothing to finish here.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    child.booted(State.ASIDE)
    if not child.stopping:
        autoreload.get_reloader().run_loop()
    return 0


class Outer:
    """Runs this same command again each time the code has changed.

    Django's own loop does not fit. At a Ctrl-C it kills the pool before the pool can drain. At a
    TERM it leaves the pool behind. At an error in the code it ends.
    """

    def __init__(self) -> None:
        self._inner: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._watching = False

    def run(self) -> int:
        """Run until a signal stops it or the pool ends cleanly. Returns the exit code."""
        for number in _HEARD:
            signal.signal(number, self._pass_on)
        code = CHANGED
        while code and not self._stopping:
            began = time.time()
            code = self._run_pool()
            # A signal that comes before the pool handles signals kills it.
            if code in [-number for number in _OTHERS]:
                code = CHANGED
            if code and code != CHANGED and not self._stopping:
                log.error("the pool ended with code %d; it starts again when code changes", code)
                self._wait_for_change(since=began)
        # Python restores the default handlers when it ends. A signal after that would change the
        # exit code. The alarm for a Ctrl-C is the likely one.
        for number in _HEARD:
            signal.signal(number, signal.SIG_IGN)
        if code in (CHANGED, *(-number for number in _STOPS)):
            return 0
        return code if code >= 0 else 128 - code

    def _run_pool(self) -> int:
        environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
        command = autoreload.get_child_arguments()
        self._inner = subprocess.Popen(command, env=environment, close_fds=False)
        if self._stopping:  # the signal came before there was a pool to pass it on to
            self._inner.terminate()
        return self._inner.wait()

    def _wait_for_change(self, since: float) -> None:
        reloader = autoreload.get_reloader()
        for app in apps.get_app_configs():
            reloader.watch_dir(app.path, "**/*.py")  # the broken file may be new
        if any(_modified(file) > since for file in reloader.watched_files()):
            return
        self._watching = True
        with contextlib.suppress(SystemExit):  # raised by a change or a signal
            if not self._stopping:
                reloader.run_loop()
        self._watching = False

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._stopping |= number in _STOPS
        if number == signal.SIGINT:
            signal.setitimer(signal.ITIMER_REAL, _CTRL_C)
        elif self._inner is not None:  # does nothing when the pool is dead already
            self._inner.send_signal(signal.SIGTERM if number == signal.SIGALRM else number)
        if self._stopping and self._watching:
            sys.exit()


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
