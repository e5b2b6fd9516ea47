from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(home: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of this folder as ``make docs`` does."""
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=home, capture_output=True, text=True)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    home = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", home)
    shutil.copytree(ROOT / "docs", home / "docs")
    (home / "taskq").symlink_to(ROOT / "taskq")  # for its docstrings
    built = build(home)
    assert built.returncode == 0, built.stdout + built.stderr
    return home / "build/site"
