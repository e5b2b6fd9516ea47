"""A headless Chromium, where there is one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)


def command(profile: Path, *options: str) -> list[str]:
    """Start it with a profile of its own. It needs its sandbox off when root starts it."""
    own = ["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    if os.geteuid() == 0:
        own.append("--no-sandbox")
    return [str(BROWSER), *own, f"--user-data-dir={profile}", *options]
