"""Small things that Celery's users import from there."""

from __future__ import annotations

import uuid as _uuid


def uuid() -> str:
    """A random id, as text: for ``task_id=``."""
    return str(_uuid.uuid4())


gen_unique_id = uuid

__all__ = ["gen_unique_id", "uuid"]
