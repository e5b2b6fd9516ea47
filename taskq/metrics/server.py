"""The process of a pool that answers over HTTP: metrics and probes.

It has no connection to the database, and no task can hang it. If it dies, the supervisor replaces
it, and nothing else is touched.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pool import Child, State, clock
from taskq.metrics.pool import PoolCollector
from taskq.metrics.probes import Probes
from taskq.pool_context import PoolContext

log = logging.getLogger("taskq")

#: Seconds that a client may take for a request and its answer.
CLIENT_TIME = 10.0
#: Clients at the same time. One more closes the connection of the oldest.
MOST_CLIENTS = 32
#: Seconds between two rounds without a client.
ROUND = 1.0

#: An answer: status, content type, body.
Answer = tuple[HTTPStatus, str, bytes]


def run(child: Child, context: PoolContext, listener: socket.socket) -> None:
    """Serve until told to stop.

    listener: a listening socket that does not block.
    """
    child.title()
    server = _Server(listener, _pages(child, context))
    child.booted(State.ASIDE)
    while not child.stopping:
        child.beat()
        server.close_overdue()
        if child.wait(ROUND, listener.fileno()):
            server.handle_request()


def _pages(child: Child, context: PoolContext) -> dict[str, Callable[[str], Answer]]:
    """What each path answers. Each function gets the Accept header."""
    registry = CollectorRegistry()
    registry.register(PoolCollector(child.scoreboard))
    probes = Probes(child.scoreboard, context, child.supervisor_pid)

    def metrics(accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return HTTPStatus.OK, content_type, encode(registry)

    def probe(ask: Callable[[], dict[str, Any]]) -> Callable[[str], Answer]:
        def answer(accept: str) -> Answer:
            said = ask()
            status = HTTPStatus.OK if said["ok"] else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json", json.dumps(said).encode() + b"\n"

        return answer

    return {"/metrics": metrics, "/live": probe(probes.live), "/ready": probe(probes.ready)}


class _Server(ThreadingHTTPServer):
    """A thread for each client, for as long as a client may take."""

    daemon_threads = True
    #: ``handle_request`` waits for nobody: the caller does.
    timeout = 0

    def __init__(self, listener: socket.socket, pages: dict[str, Callable[[str], Answer]]) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.pages = pages
        #: The open connections, and until when each may take.
        self._until: dict[socket.socket, int] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._until) >= MOST_CLIENTS:
            oldest = next(iter(list(self._until)), None)
            if oldest is not None and self._until.pop(oldest, 0):
                _hang_up(oldest)
        self._until[request] = clock.now() + clock.nanoseconds(CLIENT_TIME)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._until.pop(request, None)

    def close_overdue(self) -> None:
        """Hang up on clients that take too long, however little they send at a time."""
        now = clock.now()
        for request, until in list(self._until.items()):
            if until < now:
                _hang_up(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        gone = isinstance(sys.exception(), OSError)  # the client, or it had its time
        level = logging.DEBUG if gone else logging.ERROR
        log.log(level, "a client of the metrics was not served", exc_info=True)


def _hang_up(request: socket.socket) -> None:
    """Wake the thread of this client: it gets an error or the end, and closes the socket."""
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_TIME

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        page = self.server.pages.get(path)
        if page is None:
            known = ", ".join(self.server.pages)
            self._send(HTTPStatus.NOT_FOUND, "text/plain", f"there are {known}\n".encode())
            return
        self._send(*page(self.headers.get("Accept", "")))

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "taskq"

    def log_message(self, format: str, *args: Any) -> None:
        """A line for each scrape would say nothing."""
