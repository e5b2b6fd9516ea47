"""sd_notify: tell systemd the state of the pool, if the unit asks for it (Type=notify)."""

import os
import socket

from pool import clock
from pool.log import log


class Systemd:
    """The notification socket of a service. Outside of systemd it does nothing."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        wanted = os.environ.get("WATCHDOG_USEC", "")
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        #: Seconds between watchdog messages, 0 when systemd expects none.
        self.watchdog_interval = int(wanted) / 2e6 if wanted.isdigit() and ours else 0.0
        self._due = 0
        self._ready = False

    @property
    def due(self) -> list[int]:
        """When the next watchdog message is to be sent, by ``pool.clock``; none where none is."""
        return [self._due] if self.watchdog_interval else []

    def ready(self) -> None:
        """Say that the pool is ready, once."""
        if not self._ready:
            self._ready = True
            self.notify("READY=1")

    def alive(self, now: int) -> None:
        """Say that the supervisor goes round, when a watchdog message is due."""
        if self.watchdog_interval and now >= self._due:
            self._due = now + clock.nanoseconds(self.watchdog_interval)
            self.notify("WATCHDOG=1")

    def notify(self, *lines: str) -> None:
        """Send state lines such as ``READY=1``. If one is lost, systemd's own time-outs act."""
        if not self._address:
            return
        # A leading @ names an abstract socket, which the kernel spells with a NUL.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)  # a full socket must not block the supervisor
                channel.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("cannot reach systemd: %s", error)
