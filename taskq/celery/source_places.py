"""Where in the site's code something is, for messages."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

_OURS = str(Path(__file__).resolve().parents[1])


def caller() -> str:
    """The file and line that called into taskq, as ``shop/tasks.py, line 12``."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return shown(frame.f_code.co_filename, frame.f_lineno)


def shown(filename: str, line: int) -> str:
    """A place as a text, relative to the working directory where it is below that."""
    path = Path(filename)
    # It may be elsewhere, or there is no working directory any more.
    with contextlib.suppress(ValueError, OSError):
        path = path.relative_to(Path.cwd())
    return f"{path}, line {line}"
