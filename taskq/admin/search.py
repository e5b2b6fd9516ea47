"""What a search in a list asks for: a row by its key, or else a part of the name."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

HELP = _("An id, a UUID, or a part of the name")
#: Above all primary keys.
_TOO_LARGE = 2**63


def by_key(rows: QuerySet[Any], term: str) -> QuerySet[Any] | None:
    """The row with the key that was searched for, as a number, #number, or UUID; None
    where it was something else."""
    term = term.strip().removeprefix("#")
    try:
        key = uuid.UUID(term).int
    except ValueError:
        if not term.isdecimal() or len(term) >= 20:
            return None
        key = int(term)
    return rows.filter(pk=key) if key < _TOO_LARGE else rows.none()
