"""System checks: they report wrong settings before anything runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.core.checks import ERROR, CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.urls import get_resolver

from taskq import celery_alias, conf, own_packages
from taskq.sql import VENDORS
from taskq.task import carried_context, discovery, registry

#: Commands of ``manage.py`` that run without tasks.
_NEED_NO_TASKS = (["migrate"], ["makemigrations"], ["runserver"])


@register(Tags.compatibility)
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found = conf.problems(getattr(django_settings, "TASKQ", {}))
    messages: list[CheckMessage] = [Error(str(problem), id="taskq.E001") for problem in found]
    listen = getattr(django_settings, "TASKQ", {}).get("LISTEN") if not found else None
    if isinstance(listen, str) and listen not in django_settings.DATABASES:
        hint = f"Name one of {', '.join(django_settings.DATABASES)}, or use True or False."
        messages.append(
            Error(f"TASKQ['LISTEN'] is {listen!r}: no such database.", hint=hint, id="taskq.E002")
        )
    return messages


@register(Tags.compatibility)
def check_schedules(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    from taskq.schedules import entries

    if conf.problems(getattr(django_settings, "TASKQ", {})) or discovery.broken():
        return []  # E001 or E010 reports the cause
    return [
        Error(f"{problem}.", id="taskq.E020")
        if problem.serious
        else Warning(
            f"{problem}.", hint="Import shared_task from taskq.celery there.", id="taskq.W020"
        )
        for problem in entries.problems()
    ]


class Unimportable(Error):
    """An error of ``check``, and of each command that needs the tasks. ``migrate`` and
    ``runserver`` show it and go on, because they may be needed to repair the module."""

    def is_serious(self, level: int = ERROR) -> bool:
        return sys.argv[1:2] not in _NEED_NO_TASKS and super().is_serious(level)


@register(Tags.compatibility)
def check_imports(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return [
        Unimportable(
            f"{each}.",
            hint=f"manage.py shell -c 'import {each.module}' shows the whole traceback. No pool "
            "starts without its tasks.",
            id="taskq.E010",
        )
        for each in discovery.broken()
    ]


@register(Tags.compatibility)
def check_contexts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Without this check, each call that sends a task would raise the error."""
    given = getattr(django_settings, "TASKQ", {})
    if conf.problems(given):
        return []  # E001 reports the cause
    messages: list[CheckMessage] = []
    for path in sorted(set(given.get("CONTEXT", {}).values())):
        try:
            carried_context.context(path)
        except ImproperlyConfigured as error:
            messages.append(Unimportable(f"{error}.", id="taskq.E012"))
    return messages


@register(Tags.compatibility)
def check_tasks_are_found(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Tasks outside of these modules are usually in views, which are imported with the URLs."""
    with contextlib.suppress(Exception):  # Django's own checks report what is wrong with the URLs
        get_resolver().url_patterns  # noqa: B018  which imports them
    modules: dict[str, list[str]] = {}
    for definition in registry.late():
        modules.setdefault(definition.function.__module__, []).append(definition.name)
    return [
        Warning(
            f"{module} defines {', '.join(sorted(names))}, and a pool need not import it.",
            hint=f"Move its tasks to the tasks.py of an app, or set "
            f"TASKQ['IMPORTS'] = [{module!r}].",
            id="taskq.W010",
        )
        for module, names in sorted(modules.items())
    ]


@register(Tags.compatibility)
def check_celery_alias(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """An app that imports celery in a ``try`` goes on without its tasks. Others stop the start."""
    if not celery_alias.is_wanted():
        return []
    return [
        Error(
            f"{path} imports celery, and comes before 'taskq' in INSTALLED_APPS: it was not found.",
            hint="Put 'taskq' before that app: TASKQ['CELERY_ALIAS'] works from there on.",
            id="taskq.E014",
        )
        for path in celery_alias.too_early([*apps.get_app_configs()])
    ]


@register(Tags.compatibility)
def check_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    from taskq.models import Task

    alias = router.db_for_write(Task)
    vendor = connections[alias].vendor
    if vendor in VENDORS:
        return []
    return [
        Error(
            f"DATABASES[{alias!r}] is {vendor}, which taskq does not support.",
            hint="Keep the tasks in PostgreSQL, or in SQLite for development: point a database "
            "router's db_for_write at such a database for the app 'taskq'.",
            id="taskq.E003",
        )
    ]


@register(Tags.database)
def check_encoding(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Arguments, results and errors of tasks can be any text, which only UTF-8 holds. The check
    asks the database, so it runs only with ``migrate`` and ``check --database``."""
    from taskq.models import Task

    alias = router.db_for_write(Task)
    if alias not in (databases or ()) or connections[alias].vendor != "postgresql":
        return []
    with connections[alias].cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        (encoding,) = cursor.fetchone()
    if encoding == "UTF8":
        return []
    return [
        Error(
            f"DATABASES[{alias!r}] is encoded in {encoding}, which cannot hold every text.",
            hint="Keep the tasks in a database with the encoding UTF8.",
            id="taskq.E011",
        )
    ]


@register(Tags.compatibility)
def check_time_zone_support(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    if django_settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is False: due times would be ambiguous when clocks change.",
            hint="Set USE_TZ = True, Django's default.",
            id="taskq.E004",
        )
    ]


@register(Tags.compatibility)
def check_stress_not_hidden(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """For the package ``stress``. A hidden ``pool`` stops the app earlier: taskq.own_packages."""
    found = own_packages.hiding("stress", known_by="demo.py")
    if found is None:
        return []
    return [
        Warning(
            f"The module 'stress' at {found} hides the package 'stress' of taskq "
            f"({own_packages.home('stress')}).",
            hint="Rename that module to use python -m stress here, or silence this check: sites "
            "and pools do without that package.",
            id="taskq.W011",
        )
    ]


@register(Tags.compatibility)
def check_autocommit(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Without it, the end of an atomic block commits nothing. What an atomic task writes would be
    rolled back, and its row would stay as of a run in progress."""
    from taskq.models import Task

    alias = router.db_for_write(Task)
    if connections[alias].settings_dict.get("AUTOCOMMIT", True):
        return []
    return [
        Error(
            f"DATABASES[{alias!r}]['AUTOCOMMIT'] is False: what a task writes is not committed.",
            hint="Leave AUTOCOMMIT out, and put what belongs together into transaction.atomic().",
            id="taskq.E015",
        )
    ]


@register(Tags.compatibility)
def check_sqlite_transactions(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A deferred SQLite transaction that reads and then writes fails at once when another process
    wrote in between, whatever its timeout is. With a pool beside the site this happens often."""
    from taskq.models import Task

    alias = router.db_for_write(Task)
    connection = connections[alias]
    if connection.vendor != "sqlite":
        return []
    mode = connection.settings_dict.get("OPTIONS", {}).get("transaction_mode")
    if mode in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        Warning(
            f"DATABASES[{alias!r}] uses SQLite's deferred transactions, which fail with "
            "'database is locked' when a worker writes at the same time.",
            hint=f"Set DATABASES[{alias!r}]['OPTIONS'] = {{'transaction_mode': 'IMMEDIATE'}}.",
            id="taskq.W001",
        )
    ]
