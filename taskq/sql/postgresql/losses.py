"""The losses in PostgreSQL: a row for each worker that died."""

from __future__ import annotations

from taskq.sql.in_both import LOSS_COLUMNS, LOSS_VALUES

# Locks nothing but its new row.
ADD = f"""
INSERT INTO taskq_loss (at, {LOSS_COLUMNS}) VALUES (clock_timestamp(), {LOSS_VALUES})
"""

# The oldest first, by taskq_loss_at, then by primary key. Rows that another session prunes are
# locked, and are skipped.
PRUNE = """
DELETE FROM taskq_loss WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_loss
    WHERE at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
