"""The code of the page on tracing, with spans as lines of JSON in a file."""

import os
import types

from tests.docs.pages import block


def begin():
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    page = types.ModuleType("shop.tracing")
    exec(
        compile(block("how-to/tracing.md", "python", "def set_up("), "tracing.md", "exec"),
        vars(page),
    )
    page.make_exporter = lambda: ConsoleSpanExporter(
        out=open(os.environ["TASKQ_TEST_TRACES"], "a"),  # noqa: SIM115  as long as the process
        formatter=lambda span: span.to_json(indent=None) + "\n",
    )
    global receivers
    receivers = page  # Django holds the receivers weakly
