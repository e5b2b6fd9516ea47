"""Reports as HTML: each is one file that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.template import Context, Engine
from django.utils.safestring import SafeString, mark_safe

import stress

#: Stands on a page, with its name, for each variable that a template was not given.
MISSING = "no value for"


@dataclass(frozen=True)
class Table:
    """A table of a page.

    head: the titles of the columns. rows: their cells, which are escaped.
    best: the first cell of the row to mark.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: str = ""


def render(template: str, content: Mapping[str, object]) -> str:
    """The page of a template below ``stress/``, such as ``chaos/report.html``.

    content: the variables of the template. Strings are escaped, but for what
    :func:`figure` returns.
    """
    return str(_engine().get_template(template).render(Context(content)))


def figure(svg: str) -> SafeString:
    """A figure that we drew ourselves, for a page."""
    return mark_safe(svg)


@cache
def _engine() -> Engine:
    return Engine(dirs=[str(Path(stress.__file__).parent)], string_if_invalid=f"{MISSING} %s")
