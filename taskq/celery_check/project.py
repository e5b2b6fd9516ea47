"""The files of a project: which are read, and by what name Python imports them."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: Directories that hold no code of the project.
_SKIPPED = frozenset(
    "node_modules __pycache__ site-packages build dist venv env .venv .tox .nox .git".split()
)
#: Files with commands, by their ending or their whole name.
_TEXT_ENDINGS = (".sh", ".yml", ".yaml", ".service", ".conf", ".ini", ".cfg", ".toml", ".json")
_TEXT_NAMES = ("Procfile", "Dockerfile", "Makefile", "justfile", "Containerfile")
#: Bytes of the largest file that is read for commands. Longer ones are data.
_LARGEST_TEXT = 200_000


#: What a module that uses Celery has somewhere in it. Others need not be parsed.
_MENTIONED = re.compile(
    rb"celery|kombu|billiard|amqp|gevent|eventlet|redbeat|delay|apply_async|on_commit|task|BROKER_",
    re.IGNORECASE,
)


class Module(NamedTuple):
    """A file of Python.

    path: below the root. name: dotted, from the root down.
    """

    path: str
    name: str
    source: bytes
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package in which its relative imports begin."""
        is_package = self.path.endswith("__init__.py")
        return self.name if is_package else self.name.rpartition(".")[0]


class Unreadable(NamedTuple):
    """A file that is not Python, whatever its name says."""

    path: str
    error: str


def modules(root: Path) -> Iterator[Module | Unreadable]:
    """The modules below the root, or the one module that it is."""
    for path in _files(root):
        if path.suffix != ".py":
            continue
        below = _below(path, root)
        try:
            source = path.read_bytes()
            tree = ast.parse(source if _MENTIONED.search(source) else b"", below)
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            yield Unreadable(below, f"{type(error).__name__}: {error}")
            continue
        name = below.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        yield Module(below, name, source, tree)


def texts(root: Path) -> Iterator[tuple[str, str]]:
    """The path and the text of files that may start Celery: units, containers, scripts."""
    for path in _files(root):
        named = path.suffix in _TEXT_ENDINGS or path.name.startswith(_TEXT_NAMES)
        shell = not path.suffix and os.access(path, os.X_OK)
        if (named or shell) and path.stat().st_size <= _LARGEST_TEXT:
            yield _below(path, root), path.read_text(errors="replace")


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for directory, names, files in os.walk(root):
        here = Path(directory)
        names[:] = sorted(
            each
            for each in names
            if each not in _SKIPPED and not (here / each / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if (path := here / name).is_file():  # a link may lead nowhere
                yield path


def _below(path: Path, root: Path) -> str:
    return path.name if root.is_file() else path.relative_to(root).as_posix()
