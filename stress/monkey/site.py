"""The user's own Django project: found as manage.py finds it, and asked what it allows."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stress.monkey.victims import Refused

_SETDEFAULT = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")


def set_up(directory: Path) -> None:
    """Load the project by DJANGO_SETTINGS_MODULE, else by what manage.py there sets.

    Raises Refused when neither names a settings module.
    """
    import django

    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        manage = directory / "manage.py"
        found = _SETDEFAULT.search(manage.read_text()) if manage.is_file() else None
        if found is None:
            raise Refused(
                f"no settings: DJANGO_SETTINGS_MODULE is not set and {manage} names none; "
                "run this where manage.py is, or set the variable"
            )
        os.environ["DJANGO_SETTINGS_MODULE"] = found[1]
    django.setup()


def check_allowed(yes: bool) -> None:
    """Raises Refused for a production site, unless that was meant."""
    from django.conf import settings

    if not settings.DEBUG and not yes:
        raise Refused(
            f"DEBUG is off in {settings.SETTINGS_MODULE}, so this may be production: workers "
            "would be killed and frozen there; add --yes if that is what you want"
        )


def pool_name(pid: int, lease: float) -> str:
    """What the rows of this pool's workers call it.

    Raises Refused when the project's database knows no such pool, or knows leases
    longer than the one that we reckon with.
    """
    import socket

    from django.db.models.functions import Now

    from taskq.models import Worker

    name = f"{socket.gethostname()}:{pid}"
    rows = list(Worker.objects.filter(pool=name).annotate(now=Now()))
    if not rows:
        others = ", ".join(sorted(set(Worker.objects.values_list("pool", flat=True)))) or "none"
        raise Refused(
            f"this project's database has no worker of pool {name} (it has: {others}): "
            "run with the settings that the pool runs with, on its host"
        )
    left = max((row.lease_expires_at - row.now).total_seconds() for row in rows)
    if left > lease + 0.5:
        raise Refused(
            f"the pool's leases last longer ({left:.1f} s left) than the {lease:g} s that the "
            "settings say: give --lease and --heartbeat as the pool was started with"
        )
    return name
