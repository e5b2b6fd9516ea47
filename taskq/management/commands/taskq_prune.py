"""``manage.py taskq_prune``: remove by hand what was kept for long enough."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from taskq import conf
from taskq.management import arguments
from taskq.management.queue_command import QueueCommand
from taskq.store import connecting
from taskq.store.tasks import TaskStore
from taskq.task import registry
from taskq.task.keep_finished import Lifetimes

#: Rows that one statement removes.
BATCH = 1000
#: Options that replace a key of TASKQ.
_SETTINGS = {"result_ttl": float, "failed_ttl": float, "idempotency_ttl": float, "loss_ttl": float}


class Command(QueueCommand):
    help = (
        "Remove results, failed tasks, idempotency keys and losses of workers that are old enough, "
        "workflows that ended as long ago as results, and finished tasks whose time is over. Pools "
        "do this too, by the TASKQ settings RESULT_TTL, FAILED_TTL, IDEMPOTENCY_TTL and LOSS_TTL, "
        "and by keep_finished. On PostgreSQL it also makes and drops the partitions of finished "
        "tasks, if its role may. The exit code is 0, or 1 when an option was wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        settings = arguments.defaults()
        for name, what, default in [
            ("--result-ttl", "results, and workflows that have ended,", settings.result_ttl),
            ("--failed-ttl", "failed and cancelled tasks", settings.failed_ttl),
            ("--idempotency-ttl", "idempotency keys", settings.idempotency_ttl),
            ("--loss-ttl", "losses of workers", settings.loss_ttl),
        ]:
            kept = "kept forever" if default is None else f"{default:g}"
            parser.add_argument(
                name,
                metavar="SECONDS",
                help=f"remove {what} that are older; 0 removes all of them (default: {kept})",
            )
        arguments.add_database(parser)

    def handle(self, **options: Any) -> None:
        # 0 removes all rows here. As a setting it is refused, because no result could ever be read.
        every = {name: 0.0 for name in _SETTINGS if _is_zero(options[name])}
        others = {name: options[name] for name in _SETTINGS if name not in every}
        settings = arguments.settings(others, _SETTINGS, wanted="a number of seconds")
        ttls = {name: every.get(name, getattr(settings, name)) for name in _SETTINGS}
        alias = arguments.database_alias(options["database"])
        db = connecting.connect(alias, lease=settings.lease, direct=settings.direct)
        loss_ttl = ttls.pop("loss_ttl")
        removed = [0, 0, 0, 0, 0, 0]
        try:
            while True:
                some = (
                    db.pruning.prune_results(ttls["result_ttl"], BATCH),
                    db.pruning.prune_failed(ttls["failed_ttl"], BATCH),
                    db.pruning.prune_keys(ttls["idempotency_ttl"], BATCH),
                    db.pruning.prune_finished(BATCH),
                    db.losses.prune(loss_ttl, BATCH),
                    db.workflows.prune(ttls["result_ttl"], BATCH),
                )
                removed = [before + more for before, more in zip(removed, some, strict=True)]
                if max(some) < BATCH:
                    break
            results, failed, keys, finished, losses, workflows = removed
            self.stdout.write(
                f"{results} results, {failed} failed tasks, {keys} idempotency keys, "
                f"{finished} finished tasks, {losses} losses and {workflows} workflows removed"
            )
            self._tend(db)
        finally:
            db.close()

    def _tend(self, db: TaskStore) -> None:
        """Make and drop partitions of finished tasks, and say what came of it."""
        lifetimes = Lifetimes(conf.settings().kept_queues)
        every = lifetimes.every(definition.options for definition in registry.definitions())
        made = dropped = 0
        while True:
            tended = db.partitions.tend(every)
            made, dropped = made + len(tended.made), dropped + len(tended.dropped)
            if not tended.more:
                break
        if made or dropped:
            self.stdout.write(f"{made} days of finished tasks made ahead, {dropped} days dropped")
        if tended.busy:
            self.stderr.write(f"some days are left for the next time: {tended.busy}")
        if tended.lacking:
            role, owner = tended.lacking
            self.stderr.write(
                f"{role} may not make or drop days of finished tasks: run this as {owner}, or "
                f"GRANT {owner} TO {role}"
            )


def _is_zero(given: object) -> bool:
    try:
        return given is not None and float(str(given)) == 0
    except ValueError:
        return False
