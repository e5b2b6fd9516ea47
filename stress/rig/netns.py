"""Network namespaces: another "host" on this machine, on a cable that can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess

from stress.rig.closing import Closing


class Unavailable(Exception):
    """No network namespace can be made here; the text says why."""


class Host(Closing):
    """A network namespace joined to ours by a pair of virtual interfaces.

    number: 0 to 63, so that several of one process have networks of their own.
    ``gateway`` is our address as seen from inside.

    Raises Unavailable where the machine or our rights do not allow it.
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
        """A command that enters the namespace and then becomes the one given to it."""
        # Not "ip netns exec", which hides /sys/fs/cgroup as well.
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def pull_cable(self) -> None:
        """From now on no packet comes through, and nobody is told."""
        _ip("link", "set", self._ours, "down")

    def plug_in(self) -> None:
        """The end of :meth:`pull_cable`."""
        _ip("link", "set", self._ours, "up")

    def close(self) -> None:
        """Remove it, cable and all."""
        if self._open:
            self._open = False
            for words in (("link", "del", self._ours), ("netns", "del", self.name)):
                # It may not have been made.
                subprocess.run(["ip", *words], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
