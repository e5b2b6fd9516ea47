"""``python -m tests.fork_server DESCRIPTOR``: a process that has imported Django, and forks.

To import what a pool needs takes 0.2 s of CPU, and the tests start hundreds of pools. This process
imports it once, and each that it forks goes on as ``python -m MODULE`` would. Nothing of taskq and
of the settings is imported here, as that reads the environment of its process. ``pool`` does not.

A request is one message on a socket: JSON, and the descriptor for stdout and stderr. The answer
is the new process's pid. The server ends when the other side has closed the socket.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import sys
import time
from typing import Any

import setproctitle

import pool

#: What a pool imports of others. Django's models need the settings, so they are not among it.
MODULES = """
    asyncio concurrent.futures cronsim dj_database_url django.contrib.admin
    django.contrib.admin.views.main django.contrib.auth.hashers django.contrib.auth.management
    django.contrib.auth.password_validation django.contrib.messages.middleware
    django.contrib.sessions.backends.base django.contrib.sites.shortcuts
    django.contrib.staticfiles.finders django.contrib.syndication.views
    django.core.cache.backends.locmem django.core.management.commands.makemigrations
    django.core.management.commands.migrate django.core.serializers.json
    django.db.backends.postgresql.base django.db.backends.sqlite3.base django.db.migrations
    django.db.models django.views.debug django.views.defaults django.views.generic
    django.views.i18n logging.config logging.handlers multiprocessing.reduction psycopg
    statistics
""".split()

#: Bytes of the longest request: an environment may have some thousands.
LONGEST = 1 << 18


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork for each request. Returns only in the new processes: what was asked for.

    Raises SystemExit when there are no more requests.
    """
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(connection, LONGEST, 1)
        except KeyboardInterrupt:
            sys.exit()  # pressed in the terminal: the tests end, too
        if not message:
            sys.exit()
        request: dict[str, Any] = json.loads(message)
        if (between := os.fork()) == 0:
            if os.fork():
                os._exit(0)  # so that the new process becomes a child of the one that asks
            become(request, descriptors[0], connection)
            return request
        os.waitpid(between, 0)
        os.close(descriptors[0])


def become(request: dict[str, Any], output: int, connection: socket.socket) -> None:
    """Have what an exec gives: the parent, session, title, files and environment."""
    while os.getppid() != request["parent"]:
        time.sleep(0.0001)
    os.setsid()
    # Before the answer: a title is looked for at once.
    setproctitle.setproctitle(" ".join([sys.executable, "-m", *request["words"]]))
    connection.sendall(str(os.getpid()).encode())
    for number in (1, 2):
        os.dup2(output, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["words"]


if __name__ == "__main__":
    # To find the place of the command line, it needs the environment as it was at the start.
    setproctitle.getproctitle()
    for name in (*MODULES, *(each.name for each in pkgutil.iter_modules(pool.__path__, "pool."))):
        importlib.import_module(name)
    gc.freeze()
    wanted = serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module(wanted["words"][0], run_name="__main__", alter_sys=True)
