"""What becomes of the ``celery`` commands in unit files, containers and scripts."""

from __future__ import annotations

from taskq.celery_check.facts.fact import Fact, idle, rewrite

_STATUS = "manage.py taskq_status"

COMMANDS: dict[str, Fact] = {
    **rewrite("worker", "manage.py taskq_pool, with the same -c, -Q, -X, -l, -n, --autoscale"),
    **idle("beat", "nothing to start: every pool sends the ticks, each once"),
    **rewrite("multi", "a pool for each, by systemd or in containers"),
    **rewrite("flower events", "manage.py taskq_top, the dashboard, the admin"),
    **rewrite("status", _STATUS),
    **rewrite("inspect", f"{_STATUS}, taskq_top, taskq_run --list"),
    **rewrite("control", "taskq_cancel, taskq_pause, taskq_resume; signals of the system"),
    **rewrite("purge", "Task.objects.pending().discard() in manage.py shell"),
    **rewrite("call", "manage.py taskq_run NAME"),
    **rewrite("result", "AsyncResult(id) in manage.py shell, or the admin"),
    **rewrite("list", "manage.py taskq_run --list"),
    **rewrite("report", "manage.py check, manage.py diffsettings"),
    **rewrite("shell", "manage.py shell"),
    **idle("migrate amqp graph logtool upgrade", "there is no broker"),
}
