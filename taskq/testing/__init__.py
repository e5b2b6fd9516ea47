"""For tests of code that sends tasks: run them in the test's own process and transaction,
let time pass for them, and see what was sent.

    with captured_tasks() as tasks:
        place_order(customer)
    assert_enqueued(send_receipt, args=[42])
    run_all()

docs/how-to/testing.md shows how. With pytest the fixtures of ``taskq.pytest_plugin`` are there too.
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
