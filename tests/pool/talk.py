"""What the children of a sample pool say to the test, and hear from it."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from pool import clock

#: The command line of tests.pool.sample.
options = argparse.Namespace()


def told(what: str) -> bool:
    return (options.directory / what).exists()


def note(what: str, **details: Any) -> None:
    line = {"what": what, "at": clock.now(), "pid": os.getpid(), **details}
    # One write of an unbuffered file: lines of many processes do not mix.
    with (options.directory / "notes.jsonl").open("ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")
