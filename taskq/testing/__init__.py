"""For tests of code that sends tasks.

A test can run the tasks in its own process and transaction, let time pass for them, and look at the
tasks that were sent.

    with captured_tasks() as tasks:
        place_order(customer)
    assert_enqueued(send_receipt, args=[42])
    run_all()

docs/how-to/testing.md shows how. For pytest there are also the fixtures of ``taskq.pytest_plugin``.
"""

from taskq.testing.clock import advance
from taskq.testing.draining import Ran, Report, TooManyRuns, run_all
from taskq.testing.sent import Enqueued, assert_enqueued, captured_tasks
from taskq.testing.ticks import send_ticks

__all__ = [
    "Enqueued",
    "Ran",
    "Report",
    "TooManyRuns",
    "advance",
    "assert_enqueued",
    "captured_tasks",
    "run_all",
    "send_ticks",
]
