"""The imports of Celery: what becomes of each, and the edit that changes it.

An edit replaces the name of the module and nothing else, so the rest of the file stays as it is.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
from collections.abc import Iterator

from taskq.celery_check.facts import modules
from taskq.celery_check.facts.fact import Fact, Verdict
from taskq.celery_check.finding import Edit, Finding
from taskq.celery_check.project import Module


def of_from(module: Module, node: ast.ImportFrom) -> Iterator[Finding]:
    """``from celery… import …``: a finding for what moves, and one for each name that does not."""
    source = node.module or ""
    moving: dict[str, list[str]] = {}
    for alias in node.names:
        name = f"{source}.{alias.name}"
        if alias.name == "*":
            fact = Fact(Verdict.REWRITE, "name what is imported: a star cannot be checked")
            yield Finding(module.path, node.lineno, f"from {source} import *", fact)
        elif (home := modules.home(name)) is not None:
            moving.setdefault(home, []).append(alias.name)
            if name in modules.NOTES:
                yield Finding(module.path, alias.lineno, name, modules.NOTES[name])
        else:
            yield Finding(module.path, alias.lineno, name, modules.fact_of(name))
    about = f"from {source}"
    says = "; ".join(f"from {home} import {', '.join(names)}" for home, names in moving.items())
    if sum(map(len, moving.values())) < len(node.names) or len(moving) > 1:
        if moving:
            fact = Fact(Verdict.REWRITE, f"take this line apart, then {says}")
            yield Finding(module.path, node.lineno, about, fact)
        return
    (home,) = moving
    edits = (_replace(module, node, source, home),)
    yield Finding(module.path, node.lineno, about, Fact(Verdict.MOVES, says), edits)


def of_import(module: Module, node: ast.Import) -> Iterator[Finding]:
    """``import celery…``: the names that it binds stay the same."""
    for alias in node.names:
        if not modules.matters(alias.name):
            continue
        about, new = f"import {alias.name}", modules.counterpart(alias.name)
        if new is None:
            yield Finding(module.path, node.lineno, about, modules.fact_of(alias.name))
            continue
        package, _, last = new.rpartition(".")
        if alias.asname is not None:
            lines = [f"import {new} as {alias.asname}"]
        elif "." not in alias.name:
            lines = [f"from {package} import {last}"]
        else:
            top = alias.name.partition(".")[0]
            lines = [f"import {new}", f"from taskq import {top}"]
        if len(node.names) > 1:
            says = f"one import a line, then {'; '.join(lines)}"
            yield Finding(module.path, node.lineno, about, Fact(Verdict.REWRITE, says))
            continue
        says = "; ".join(lines)
        edits = (_whole(module, node, lines),)
        yield Finding(module.path, node.lineno, about, Fact(Verdict.MOVES, says), edits)


def _replace(module: Module, node: ast.ImportFrom, old: str, new: str) -> Edit:
    """The edit of the module's name, which follows the word ``from``."""
    start, end = _span(module, node)
    pattern = rb"from\s+(" + re.escape(old.encode()) + rb")\b"
    found = re.match(pattern, module.source[start:end])
    assert found is not None, f"{module.path}:{node.lineno} is no import as it was read"
    return Edit(start + found.start(1), start + found.end(1), new.encode())


def _whole(module: Module, node: ast.Import, lines: list[str]) -> Edit:
    """The edit of a whole statement, which may become several."""
    start, end = _span(module, node)
    line = module.source.rfind(b"\n", 0, start) + 1
    indent = module.source[line:start]
    between = b"\n" + indent if not indent.strip() else b"; "
    return Edit(start, end, between.join(each.encode() for each in lines))


def _span(module: Module, node: ast.stmt) -> tuple[int, int]:
    """Where a statement begins and ends, in bytes of the file."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    return _at(module.source, *start), _at(module.source, *end)


def _at(source: bytes, line: int, column: int) -> int:
    """A place of the syntax tree, in bytes of the file: a column counts bytes of UTF-8."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    mark = len(codecs.BOM_UTF8) if source.startswith(codecs.BOM_UTF8) else 0
    ends = [found.end() for found in re.finditer(rb"\r\n|\r|\n", source)]
    start = [mark, *ends][line - 1]
    before = source[start:].decode(encoding).encode()[:column].decode()
    return start + len(before.encode(encoding.removesuffix("-sig")))
