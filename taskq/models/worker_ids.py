"""The ids of workers: random, so that none is ever given twice.

A sequence goes back with its database, when a standby that lags is promoted or a backup is
restored under running pools. Two workers would then hold one lease, and each could finish
and retire what the other holds.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.db import models
from django.db.models import Func

#: Bits of an id: it fits a bigint, and a word of the scoreboard.
BITS = 62


def new_id() -> int:
    """An id that no worker ever had. Never 0, which is no lease."""
    return 1 + secrets.randbelow(2**BITS - 1)


class RandomId(Func):
    """The same in SQL, for rows that a person writes."""

    arity = 0
    output_field = models.BigIntegerField()
    # The text of a bit string: of its 128 bits a cast takes the first, 58 of which are random.
    template = "('x' || replace(gen_random_uuid()::text, '-', ''))::bit(62)::bigint"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        template = f"(random() & {2**BITS - 1})"
        return self.as_sql(compiler, connection, template=template, **context)
