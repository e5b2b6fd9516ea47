"""The checker of plain words: what it finds, and where."""

from __future__ import annotations

import pytest

from tests import old_words


@pytest.fixture
def found(tmp_path):
    """Search a page of these lines; the words that are found, by line."""

    def search(*lines: str) -> list[tuple[int, str]]:
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs/page.md").write_text("\n".join(lines))
        hits = old_words.search(tmp_path, old_words.read())
        return [(each.line, each.word) for each in hits]

    return search


@pytest.mark.parametrize(
    "line",
    [
        "a worker who runs it",
        "The keepers, who renew it",
        "an option of ours",
        "Of ours there are two",
        "the rest is seen to by the keeper",
        "it has them wait",
        "the retirer buries it",
        "disowned",
        "renounces",
    ],
)
def test_an_old_word_is_found(found, line):
    assert [number for number, _ in found("", line, "")] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "a person who runs it",
        "it is seen today",
        "hours",
        "the worker, which runs it",
        "reburied_by",
    ],
)
def test_a_plain_line_is_left_alone(found, line):
    assert found(line) == []
