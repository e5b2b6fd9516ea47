"""The pages of docs/, as their tests read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of this language, in their order. page: relative to docs/."""
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def block(page: str, language: str, has: str = "") -> str:
    """The one block of this language with this text in it."""
    (found,) = [each for each in blocks(page, language) if has in each]
    return found


def shell_lines(page: str, section: str = "") -> list[str]:
    """The commands that a page shows, indented by four spaces; one that goes on is one."""
    text = (DOCS / page).read_text()
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^    (\S.*(?:\\\n.*)*)$", text, re.MULTILINE)
    return [re.sub(r"\\\n\s*", "", each) for each in found]
