"""The files of others are those that they released, with their licenses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import taskq

VENDOR = Path(taskq.__file__).parent / "static/taskq/dashboard/vendor"
VERSIONS = json.loads((VENDOR / "versions.json").read_text())


@pytest.mark.parametrize("name", VERSIONS)
def test_file_is_the_released_one(name):
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == VERSIONS[name]["sha256"]


def test_each_file_has_a_version_and_a_license():
    files = {path.name for path in VENDOR.iterdir()} - {"versions.json"}
    licenses = {name for name in files if name.endswith(".LICENSE.txt")}
    assert files - licenses == set(VERSIONS)
    assert {name.partition(".")[0] for name in VERSIONS} == {
        name.partition(".")[0] for name in licenses
    }
