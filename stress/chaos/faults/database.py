"""Faults of the database: down, frozen, full, or held by a long transaction."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pool import clock
from stress.chaos.faults.base import Lane, SceneFault, Server
from stress.chaos.faults.processes import OVERSLEEP
from stress.chaos.needs import Need
from stress.chaos.options import Options
from stress.rig.tmpfs import mount_tmpfs, unmount

if TYPE_CHECKING:
    from stress.chaos.scene import Scene


class CutConnections(SceneFault):
    name = "cut-connections"
    row = 11
    text = "pg_terminate_backend on all connections of the pools, a few times"
    right = "they reconnect; a running task fails only if it used its own connection"
    lane = Lane.DATABASE
    effect = "cut"
    weight = 3
    server = Server.POSTGRESQL

    def inject(self, scene: Scene, rng: random.Random) -> None:
        for _ in range(rng.randint(1, 3)):
            scene.database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend' AND application_name <> 'chaos'"
            )
            scene.pause(rng.uniform(0.0, 0.2))


class DatabaseRestart(SceneFault):
    name = "database-restart"
    row = 12
    text = "the server is shut down at once, and started some moments later"
    right = "all pools recover; tasks under leases that ran out meanwhile are taken over once"
    lane = Lane.DATABASE
    effect = "cut"
    server = Server.EMBEDDED

    def seconds(self, options: Options) -> float:
        return options.lease / 2 + 1.5

    def inject(self, scene: Scene, rng: random.Random) -> None:
        scene.database.server.crash()
        try:
            # Mostly shorter than the lease, sometimes longer.
            scene.pause(rng.choice([0.0, 0.25, 0.5, 1.2]) * scene.options.lease)
        finally:
            scene.database.start_again()


class DatabaseFreeze(SceneFault):
    name = "database-freeze"
    row = 13
    text = "SIGSTOP to the whole server for longer than the lease, then SIGCONT"
    right = "the pools stop their work before the leases end; each task starts again once"
    lane = Lane.DATABASE
    effect = "cut"
    server = Server.EMBEDDED

    def seconds(self, options: Options) -> float:
        return options.lease + OVERSLEEP

    def inject(self, scene: Scene, rng: random.Random) -> None:
        frozen = scene.database.server.processes()
        try:
            for process in frozen:
                with suppress(psutil.NoSuchProcess):  # a session that has ended
                    process.suspend()
            scene.pause(scene.options.lease + OVERSLEEP)
        finally:
            for process in frozen:
                with suppress(psutil.NoSuchProcess):
                    process.resume()


class LossyFailover(SceneFault):
    name = "lossy-failover"
    row = 26
    text = "a copy of the server, some seconds old, takes its place, like a standby that lagged"
    right = "no two pools share a lease; late finishes touch no row; overlaps end on reconnect"
    lane = Lane.DATABASE
    effect = "cut"
    server = Server.EMBEDDED

    def seconds(self, options: Options) -> float:
        return options.lease / 2 + 3.0

    def inject(self, scene: Scene, rng: random.Random) -> None:
        server = scene.database.server
        with tempfile.TemporaryDirectory(prefix="taskq-copy-") as home:
            place, copied = Path(home) / "data", clock.now()
            server.copy_to(place)
            scene.pause(rng.uniform(0.1, 1.0) * scene.options.lease)
            lost = clock.now()
            try:
                server.go_back_to(place)
            finally:
                scene.database.start_again()
        scene.history.record("failover", copied=copied, lost=lost)


class DiskFull(SceneFault):
    name = "disk-full"
    row = 21
    text = "the small file system of the database is filled for a while"
    right = "the pools log errors, and recover when there is space"
    lane = Lane.DATABASE
    effect = "cut"
    needs = frozenset({Need.TMPFS})
    server = Server.EMBEDDED

    def seconds(self, options: Options) -> float:
        return 5.0

    def missing(self) -> str | None:
        return _cannot_mount()

    def inject(self, scene: Scene, rng: random.Random) -> None:
        ballast = scene.database.server.home / "ballast"
        try:
            with ballast.open("wb") as file:
                _fill(file.fileno())
            scene.pause(4.0)
        finally:
            ballast.unlink()
            # Without space for its WAL the server stops, and cannot restart by itself.
            scene.database.start_again()


class LongTransaction(SceneFault):
    name = "long-transaction"
    row = 20
    text = "another transaction has read the tables and stays open"
    right = "throughput holds"
    lane = Lane.DATABASE

    def seconds(self, options: Options) -> float:
        return 8.0

    def inject(self, scene: Scene, rng: random.Random) -> None:
        with scene.database.long_transaction():
            scene.pause(8.0)


def _fill(descriptor: int) -> None:
    """Write until no space is left."""
    piece = b"\0" * 2**20
    while piece:
        try:
            os.write(descriptor, piece)
        except OSError:
            piece = piece[: len(piece) // 2]  # smaller pieces, down to the last byte


def _cannot_mount() -> str | None:
    with tempfile.TemporaryDirectory(prefix="taskq-mount-") as place:
        try:
            mount_tmpfs(Path(place), 1)
        except subprocess.CalledProcessError as error:
            return f"no file system can be mounted here: {error.stderr.strip()}"
        except FileNotFoundError:
            return "there is no mount command"
        unmount(Path(place))
    return None


FAULTS = [
    CutConnections,
    DatabaseRestart,
    DatabaseFreeze,
    DiskFull,
    LongTransaction,
    LossyFailover,
]
