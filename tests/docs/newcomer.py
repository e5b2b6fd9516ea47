"""Somebody who has nothing but a shell, and does what a page says."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from stress.rig.pools import kill_each, wait_until
from tests.docs.pages import ROOT, shell_lines


class Newcomer:
    """Works in a directory, with this environment's Python and taskq.

    Its processes end with :meth:`leave`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "XDG_RUNTIME_DIR": str(directory),
        }
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)
        self._left: list[Terminal] = []

    def run(self, command: str, *, code: int = 0) -> str:
        """What a command prints. It must end with this exit code."""
        answer = subprocess.run(
            ["sh", "-c", command],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert answer.returncode == code, f"{command}\n{answer.stdout}"
        return answer.stdout

    def go_to(self, directory: str) -> None:
        self.directory /= directory

    def save(self, file: str, text: str) -> None:
        """Write a new file, or add to one that is there, as the pages say."""
        with (self.directory / file).open("a") as opened:
            opened.write(f"\n{text}")

    def start(self, command: str) -> Terminal:
        """A command that goes on, in a terminal of its own."""
        terminal = Terminal(self.directory / f"terminal{len(self._left)}.log")
        with terminal.file.open("wb") as output:
            terminal.process = subprocess.Popen(
                shlex.split(command),
                cwd=self.directory,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._left.append(terminal)
        return terminal

    def owns(self, pid: int) -> bool:
        """Whether a process was started here: others run pools on this machine, too."""
        below = [each.process.pid for each in self._left]
        return any(parent.pid in below for parent in psutil.Process(pid).parents())

    def leave(self) -> None:
        for terminal in self._left:
            process = terminal.process
            if process.poll() is None:
                below = psutil.Process(process.pid).children(recursive=True)
                process.kill()
                kill_each(below)
                process.wait()
            # Shown by pytest when the test failed.
            print(f"--- {terminal.file.name}\n{terminal.text()}")


class Commands:
    """Those of a page, in their order: none may be left out."""

    def __init__(self, page: str) -> None:
        self._left = shell_lines(page)

    def next(self, start: str) -> str:
        command = self._left.pop(0)
        assert command.startswith(start), command
        return command

    def is_done(self) -> bool:
        return not self._left


class Terminal:
    """What a command prints that goes on."""

    process: subprocess.Popen[bytes]

    def __init__(self, file: Path) -> None:
        self.file = file

    def text(self) -> str:
        return self.file.read_text()

    def wait_for(self, pattern: str) -> None:
        """Until a text that matches is printed. The command must not end before."""

        def said() -> bool:
            found = re.search(pattern, self.text()) is not None
            assert found or self.process.poll() is None, self.text()
            return found

        wait_until(said, what=f"{pattern!r} in {self.file}")

    def press_ctrl_c(self) -> None:
        """As often as it takes until the command ends."""
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                continue
