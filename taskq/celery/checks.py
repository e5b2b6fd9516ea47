"""System checks of Celery's settings, options and signals: what is wrong, and what means nothing
here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from taskq.celery import apps, setting_names, signals, unknown_options

#: A check names as many tasks.
_NAMED = 5


@register(Tags.compatibility)
def check_settings_of_celery(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    named: dict[str, None] = {}
    for app in apps.every():
        messages += [Error(f"{app}: {each}.", id="taskq.E021") for each in app.problems()]
        means_nothing = setting_names.means_nothing
        named |= {name: None for key, name in app.conf.named().items() if means_nothing(key)}
    if named and not _celery_is_there():
        messages.append(
            Warning(
                f"These settings of Celery mean nothing here: {', '.join(sorted(named))}.",
                hint="Remove them, or silence this check. docs/how-to/migrating/celery.md says of "
                "each what there is instead.",
                id="taskq.W022",
            )
        )
    return messages


def _celery_is_there() -> bool:
    """Whether the site uses Celery too, as in a move that takes a while: then they are Celery's.
    With CELERY_ALIAS the module of this name is taskq's."""
    found = sys.modules.get("celery")
    return found is not None and found.__name__ == "celery"


@register(Tags.compatibility)
def check_options_of_celery(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for option, tasks in unknown_options.found().items():
        meant = unknown_options.meant(option)
        mend = (
            f"Did you mean {meant}?"
            if meant is not None
            else "Remove it; or, if your code reads it, give it to a class of tasks (base=)."
        )
        more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
        messages.append(
            Warning(
                f"{option} is no option of a task: it changes nothing, and is an attribute of "
                f"{', '.join(tasks[:_NAMED])}{more}.",
                hint=mend,
                id="taskq.W024",
            )
        )
    return messages


@register(Tags.compatibility)
def check_signals_of_celery(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    return [
        Warning(
            f"The signal {signal.name} of taskq.celery has a receiver, and it is never sent.",
            hint=f"Use {instead} in its place.",
            id="taskq.W023",
        )
        for signal, instead in signals.NEVER.items()
        if signal.receivers
    ]
