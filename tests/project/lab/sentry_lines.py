"""Sentry without a network: what would be sent comes into a file, a line of JSON for each item."""

import functools
import json
import os

import sentry_sdk
from sentry_sdk.transport import Transport


class Lines(Transport):
    def capture_envelope(self, envelope):
        with open(os.environ["TASKQ_TEST_SENTRY"], "a") as file:
            for item in envelope.items:
                line = json.dumps({"type": item.type, **(item.payload.json or {})})
                file.write(f"{line}\n")


sentry_sdk.init = functools.partial(sentry_sdk.init, transport=Lines)
