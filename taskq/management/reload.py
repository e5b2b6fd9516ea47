"""``--reload``: the pool as a child process that is started again when the code changes."""

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

from pool import Child

CHANGED = 3  # what Django's autoreloader exits with when it sees a change

_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_OTHERS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU)
_HEARD = (*_STOPS, *_OTHERS, signal.SIGALRM)
#: Seconds after which the pool is told of a Ctrl-C, with a TERM. The terminal tells it too,
#: and had a TERM come first, the Ctrl-C would be the second one, which stops at once. Of
#: all others two are as good as one.
_CTRL_C = 0.5

log = logging.getLogger("taskq")


def is_inner() -> bool:
    """Whether this process is the pool, not the one that starts it again."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def watch(child: Child) -> int:
    """The role of the pool that leaves with CHANGED when the code changes."""
    child.title()
    # Django's loop knows nothing of the pool. There is nothing to finish here.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    if not child.stopping:
        autoreload.get_reloader().run_loop()
    return 0


class Outer:
    """Runs this same command again and again, each time the code has changed.

    Django's own loop will not do: a Ctrl-C makes it kill the pool before that can drain,
    a TERM leaves the pool behind, and an error in the code ends it.
    """

    def __init__(self) -> None:
        self._inner: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._watching = False

    def run(self) -> int:
        """Until a signal stops it, or the pool ends cleanly; the exit code."""
        for number in _HEARD:
            signal.signal(number, self._pass_on)
        code = CHANGED
        while code and not self._stopping:
            began = time.time()
            code = self._run_pool()
            # What came before the pool heeded signals has killed it.
            if code in [-number for number in _OTHERS]:
                code = CHANGED
            if code and code != CHANGED and not self._stopping:
                log.error("the pool ended with code %d; it starts again when code changes", code)
                self._wait_for_change(since=began)
        # As Python ends it puts our handlers away, and what comes then, the alarm for a Ctrl-C
        # above all, would change the exit code.
        for number in _HEARD:
            signal.signal(number, signal.SIG_IGN)
        if code in (CHANGED, *(-number for number in _STOPS)):
            return 0
        return code if code >= 0 else 128 - code

    def _run_pool(self) -> int:
        environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
        command = autoreload.get_child_arguments()
        self._inner = subprocess.Popen(command, env=environment, close_fds=False)
        if self._stopping:  # the signal came when there was nobody yet to pass it on to
            self._inner.terminate()
        return self._inner.wait()

    def _wait_for_change(self, since: float) -> None:
        reloader = autoreload.get_reloader()
        for app in apps.get_app_configs():
            reloader.watch_dir(app.path, "**/*.py")  # what is broken may be new
        if any(_modified(file) > since for file in reloader.watched_files()):
            return
        self._watching = True
        with contextlib.suppress(SystemExit):  # of a change, or of a signal
            if not self._stopping:
                reloader.run_loop()
        self._watching = False

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._stopping |= number in _STOPS
        if number == signal.SIGINT:
            signal.setitimer(signal.ITIMER_REAL, _CTRL_C)
        elif self._inner is not None:  # nothing happens when it is dead already
            self._inner.send_signal(signal.SIGTERM if number == signal.SIGALRM else number)
        if self._stopping and self._watching:
            sys.exit()


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
