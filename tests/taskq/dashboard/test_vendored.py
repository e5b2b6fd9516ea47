"""The files of others are those that they released, with their licenses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import taskq
from tests import site

#: What a site serves, and what only the tests use.
FOLDERS = (
    Path(taskq.__file__).parent / "static/taskq/dashboard/vendor",
    Path(site.__file__).parent / "vendor",
)


def versions(folder):
    return json.loads((folder / "versions.json").read_text())


@pytest.mark.parametrize(
    ("file", "known"),
    [(folder / name, known) for folder in FOLDERS for name, known in versions(folder).items()],
    ids=lambda value: getattr(value, "name", ""),
)
def test_file_is_the_released_one(file, known):
    assert hashlib.sha256(file.read_bytes()).hexdigest() == known["sha256"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_file_has_a_version_and_a_license(folder):
    files = {path.name for path in folder.iterdir()} - {"versions.json"}
    licenses = {name for name in files if name.endswith(".LICENSE.txt")}
    assert files - licenses == set(versions(folder))
    assert {name.partition(".")[0] for name in files - licenses} == {
        name.partition(".")[0] for name in licenses
    }
