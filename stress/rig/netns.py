"""Network namespaces: each acts as another host, on a cable that can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess

from stress.rig.closing import Closing


class Unavailable(Exception):
    """No network namespace can be made here. The text says why."""


class Host(Closing):
    """A network namespace, joined to that of this process by a pair of virtual interfaces.

    number: 0 to 63. Each number of a process has a network of its own.
    ``gateway`` is the address of this process as seen from inside.

    Raises Unavailable where the machine or the rights of this process do not allow it.
    """

    def __init__(self, number: int) -> None:
        for command, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
            if shutil.which(command) is None:
                raise Unavailable(f"there is no {command} command (install {package})")
        # Interface names may have 15 characters, and a pid up to 7 digits.
        self.name = f"tq{os.getpid()}n{number}"
        self._ours, self._theirs = f"{self.name}a", f"{self.name}b"
        network = f"10.{213 + os.getpid() % 32}.{os.getpid() // 32 % 256}"
        self.gateway, self.address = (f"{network}.{4 * number + last}" for last in (1, 2))
        self._open = True
        try:
            _ip("netns", "add", self.name)
            _ip("link", "add", self._ours, "type", "veth", "peer", self._theirs)
            _ip("link", "set", self._theirs, "netns", self.name)
            _ip("addr", "add", f"{self.gateway}/30", "dev", self._ours)
            _ip("link", "set", self._ours, "up")
            inside = ("-n", self.name)
            _ip(*inside, "addr", "add", f"{self.address}/30", "dev", self._theirs)
            _ip(*inside, "link", "set", self._theirs, "up")
            _ip(*inside, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            self.close()
            said = error.stderr.strip().splitlines()
            raise Unavailable(
                f"a network namespace cannot be made: {said[-1] if said else error}"
            ) from error

    @property
    def prefix(self) -> list[str]:
        """The start of a command line: it enters the namespace, then runs what follows."""
        # "ip netns exec" would hide /sys/fs/cgroup too.
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def pull_cable(self) -> None:
        """From now on no packet passes, and neither end is told."""
        _ip("link", "set", self._ours, "down")

    def plug_in(self) -> None:
        """Undo :meth:`pull_cable`."""
        _ip("link", "set", self._ours, "up")

    def close(self) -> None:
        """Remove the namespace and its interfaces."""
        if self._open:
            self._open = False
            for words in (("link", "del", self._ours), ("netns", "del", self.name)):
                # It may not have been made.
                subprocess.run(["ip", *words], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
