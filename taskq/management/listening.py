"""The socket of a pool's metrics and probes, opened before the first fork."""

from __future__ import annotations

import importlib.util
import socket

from django.core.management.base import CommandError

from taskq.conf import Settings

#: Connections that wait while the process that serves them is replaced.
BACKLOG = 64


def listen(settings: Settings) -> socket.socket | None:
    """Listen on METRICS_PORT; None where there is no such port.

    The supervisor keeps the socket open. So a port that is in use is an error of the start, and
    a process that serves it can die and be replaced later.

    Raises CommandError when the address cannot be had, or prometheus-client is not installed.
    """
    host, port = settings.metrics_host, settings.metrics_port
    if port is None:
        return None
    if importlib.util.find_spec("prometheus_client") is None:
        raise CommandError(
            "TASKQ['METRICS_PORT'] and --metrics-port need prometheus-client, which is not "
            "installed: pip install 'taskq-pool[metrics]'"
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        return _listening(family, address)
    except OSError as error:
        raise CommandError(
            f"cannot serve metrics on {host} port {port}: {error.strerror or error}: give an "
            "address and a port that are free (--metrics-host, --metrics-port)"
        ) from error


def url(listener: socket.socket) -> str:
    """Where the metrics are."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"


def _listening(family: int, address: object) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A pool that has just stopped leaves connections behind, which are no reason to refuse.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)  # type: ignore[arg-type]
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
