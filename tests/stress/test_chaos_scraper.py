"""What chaos reads of a pool's log and of its metrics."""

from stress.chaos.scraper import read, url_in

LOG = """\
2026-01-01 INFO taskq pool vm:12
  queues    all
  metrics   http://127.0.0.1:4001/metrics
2026-01-01 INFO taskq pool vm:123
  metrics   http://10.1.2.3:4002/metrics
  tasks     1: a
2026-01-01 INFO taskq pool vm:1234
"""


def test_a_pool_is_found_by_the_pid_of_its_supervisor():
    assert url_in(LOG, 12) == "http://127.0.0.1:4001/metrics"
    assert url_in(LOG, 123) == "http://10.1.2.3:4002/metrics"
    assert url_in(LOG, 1234) is None
    assert url_in(LOG, 1) is None


def test_runs_are_added_up_over_names_and_queues():
    text = """\
# TYPE taskq_runs_total counter
taskq_runs_total{name="a",queue="q",end="done"} 2.0
taskq_runs_total{name="b",queue="q",end="done"} 3.0
taskq_runs_total{name="b",queue="q",end="lost"} 1.0
# TYPE taskq_workers gauge
taskq_workers{state="idle"} 4.0
taskq_workers{state="busy"} 1.0
taskq_workers{state="booting"} 2.0
"""
    assert read(text) == ({"done": 5, "lost": 1}, 3.0)
