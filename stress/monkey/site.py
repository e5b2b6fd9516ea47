"""The Django project of the user: how it is found, and what it allows."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stress.monkey.victims import Refused

_SETDEFAULT = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")


def set_up(directory: Path) -> None:
    """Load the project by DJANGO_SETTINGS_MODULE, or else by the settings in manage.py.

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
    """Raises Refused for a production site, unless --yes was given."""
    from django.conf import settings

    if not settings.DEBUG and not yes:
        raise Refused(
            f"DEBUG is off in {settings.SETTINGS_MODULE}, so this may be production: workers "
            "would be killed and frozen there. Add --yes if you want that"
        )


def pool_name(pid: int, lease: float) -> str:
    """The name of the pool in the rows of its workers.

    Raises Refused if the database has no such pool, or has longer leases than ``lease``.
    """
    import socket

    from django.db.models import Q
    from django.db.models.functions import Now

    from taskq.models import Worker

    name = f"{socket.gethostname()}:{pid}"
    # The second is the form of a pool that was named, by --hostname.
    known = Q(pool=name) | Q(pool__endswith=f"@{name}")
    rows = list(Worker.objects.filter(known).annotate(now=Now()))
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
    return rows[0].pool
