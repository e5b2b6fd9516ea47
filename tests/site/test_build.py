"""The site of docs/ builds without a warning, is complete, and needs no other host."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from .conftest import ROOT, build


def pages_of(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for each in nav.values():
            yield from pages_of(each)
    else:
        assert isinstance(nav, list)
        for each in nav:
            yield from pages_of(each)


def test_the_nav_has_each_page_once():
    project = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    docs = ROOT / "docs"
    pages = sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))
    assert sorted(pages_of(project["nav"])) == pages


def test_a_dead_link_fails_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text("# Page\n\nA [link](nowhere.md) to no page.\n")
    settings = '[project]\nsite_name = "x"\ndocs_dir = "docs"\nsite_dir = "build/site"\n'
    (tmp_path / "zensical.toml").write_text(settings)
    built = build(tmp_path)
    assert built.returncode != 0
    assert "page does not exist" in built.stdout + built.stderr


class Loads(HTMLParser):
    """The addresses that a browser fetches by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [given[name] or "" for name in ("src", "srcset", "data") if name in given]
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(given.get("href") or "")


def test_a_page_loads_nothing_from_another_host(site: Path):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        assert any(each.endswith(".css") for each in loads.found), page.name
        assert not [each for each in loads.found if re.match(r"(https?:)?//", each)], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", sheet.read_text()), sheet.name


def test_the_search_has_the_words_of_the_pages(site: Path):
    words = (site / "search.json").read_text()
    for each in ("MAX_LOSSES", "PgBouncer", "taskq_prune"):
        assert each in words
