"""Stored tracebacks as people read them: the frames of the site's own code, and the others folded.

They are text of another process, maybe on another host, so the paths in it decide what is whose.
"""

from __future__ import annotations

import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from taskq import own_packages

_FRAME = re.compile(r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d+),? in (?P<function>.+)$', re.M)
#: The folders of installed packages, and of Python's own modules.
_LIBRARY = re.compile(
    r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib(?:64)?[/\\]python3[^/\\]*[/\\]|^<"
)
#: taskq itself, where it is not installed but imported from its repository.
_TASKQ = tuple(f"{own_packages.home(name).parent}/" for name in ("taskq", "pool"))
#: The folders of a path that are shown where it is of another host.
_SHOWN = 3


@dataclass(frozen=True)
class Part:
    """A part of a traceback.

    Attributes:
        text: Its lines.
        folded: How many frames of libraries it is; 0 for what is to be shown: a frame of the site's
            own code, or the lines between frames.
    """

    text: str
    folded: int = 0


def is_library(file: str) -> bool:
    """Whether a file is of an installed package, of Python, or of taskq."""
    return bool(_LIBRARY.search(file)) or file.startswith(_TASKQ)


def parts(traceback: str) -> list[Part]:
    """A traceback in parts, of which those of libraries may be folded."""
    found: list[Part] = []
    shown: list[str] = []
    folded: list[str] = []
    frames = 0

    def close() -> None:
        nonlocal frames
        if shown:
            found.append(Part("\n".join(shown)))
        if folded:
            found.append(Part("\n".join(folded), frames))
        shown.clear()
        folded.clear()
        frames = 0

    in_library = False
    for line in traceback.strip("\n").split("\n"):
        frame = _FRAME.match(line)
        if frame is not None:
            library = is_library(frame["file"])
        else:
            # The code of a frame stands below it.
            library = in_library and line.startswith(("    ", "  ["))
        if library != in_library:
            close()
            in_library = library
        frames += library and frame is not None
        (folded if library else shown).append(line)
    close()
    return found


def place(traceback: str) -> str:
    """Where the error was: file and function of the last frame of the site's own code. Of the last
    frame at all where there is no such frame; empty where there is none."""
    last, end = "", len(traceback)
    # From the end: of thousands of tracebacks, most have it in their last frame.
    while (begin := traceback.rfind('  File "', 0, end)) >= 0:
        frame = _FRAME.match(traceback, begin)
        if frame is not None:
            found = f"{_short(frame['file'])}:{frame['function']}"
            if not is_library(frame["file"]):
                return found
            last = last or found
        end = begin
    return last


@functools.cache
def _short(file: str) -> str:
    """The path within the folder from which Python imports it."""
    for folder in sorted(map(str, sys.path), key=len, reverse=True):
        if folder and file.startswith(folder.rstrip("/") + "/"):
            return file[len(folder.rstrip("/")) + 1 :]
    parts = Path(file).parts
    return "/".join(parts[-_SHOWN:]) if len(parts) > _SHOWN else file
