"""The ids of workers. They are random, so that no id is given twice.

A sequence goes back when its database does: when a standby that lags is promoted, or a backup is
restored under running pools. Two workers could then share one lease. Each could finish and retire
what the other holds.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.db import models
from django.db.models import Func

#: Bits of an id, so that it fits a bigint and a word of the scoreboard.
BITS = 62


def new_id() -> int:
    """An id that no worker ever had. It is never 0, because 0 means no lease."""
    return 1 + secrets.randbelow(2**BITS - 1)


class RandomId(Func):
    """The same in SQL, for rows that people write."""

    arity = 0
    output_field = models.BigIntegerField()
    # A cast takes the first 62 of the bit string's 128 bits. 58 of them are random.
    template = "('x' || replace(gen_random_uuid()::text, '-', ''))::bit(62)::bigint"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        template = f"(random() & {2**BITS - 1})"
        return self.as_sql(compiler, connection, template=template, **context)
