"""The plans of the statements about figures and recent runs."""

import datetime

import psycopg
import pytest

from taskq.sql import statistics
from tests.taskq.sql.plans import explain, indexes, scans_whole_table

pytestmark = pytest.mark.postgresql

NOON = datetime.datetime(2026, 3, 4, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def raw(raw):
    """20,000 minutes of one name, and none of them of the hour before noon."""
    cursor = psycopg.Cursor(raw)
    cursor.execute(
        "INSERT INTO taskq_rollup (step, at, name, queue) SELECT 60, "
        "'2026-03-04 12:00+00'::timestamptz + n * interval '1 minute', 'ping', 'default' "
        "FROM generate_series(1, 20000) AS n"
    )
    cursor.execute("ANALYZE taskq_rollup")
    yield raw
    cursor.execute("TRUNCATE taskq_rollup")


def test_an_hour_is_summed_up_from_its_own_minutes(raw):
    nodes, pages = explain(raw, statistics.HOUR, {"at": NOON, "until": NOON + HOUR})
    assert indexes(nodes) == {"taskq_rollup_once"}
    assert not scans_whole_table(nodes, "taskq_rollup")
    assert pages < 400


def test_pruning_reads_what_is_old_and_no_more(raw):
    values = {"step": 60, "before": NOON + HOUR, "limit": 1000}
    nodes, pages = explain(raw, statistics.PRUNE, values)
    assert "taskq_rollup_once" in indexes(nodes)
    assert pages < 600
