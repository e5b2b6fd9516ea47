"""The losses in SQLite. postgresql/losses.py explains each statement."""

from __future__ import annotations

from taskq.sql.in_both import LOSS_COLUMNS, LOSS_VALUES
from taskq.sql.sqlite.time import NOW, later

ADD = f"INSERT INTO taskq_loss (at, {LOSS_COLUMNS}) VALUES ({NOW}, {LOSS_VALUES})"

PRUNE = f"""
DELETE FROM taskq_loss WHERE id IN (
    SELECT id FROM taskq_loss WHERE at < {later("-%(ttl)s")} ORDER BY at LIMIT %(limit)s
)
"""
