"""Chaos itself: a short run of it is clean, and its command speaks to the reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stress.__main__ import main
from stress.chaos.faults import FAULTS
from stress.checker import VIOLATIONS
from stress.rig.page import MISSING

SHORT = ["--seconds", "12", "--seed", "7", "--pools", "2", "-c", "2", "--lease", "6"]


def chaos(tmp_path: Path, *options: str) -> dict[str, Any]:
    """Run it as a user does; its report."""
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    command = [sys.executable, "-m", "stress", "chaos", *SHORT, *options]
    finished = subprocess.run(
        [*command, "--json", str(report), "--html", str(page)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        env={key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"},
    )
    assert finished.returncode == 0, finished.stdout
    assert "<svg" in page.read_text()
    assert MISSING not in page.read_text()
    return dict(json.loads(report.read_text()))


@pytest.mark.postgresql
def test_a_short_run_that_kills_workers_and_keepers_is_clean(tmp_path: Path) -> None:
    report = chaos(tmp_path, "--faults", "worker-kill,keeper-kill")
    assert report["ok"] is True
    assert report["seed"] == 7
    assert set(report["faults"]) == {"worker-kill", "keeper-kill"}
    assert report["violations"] == dict.fromkeys(VIOLATIONS, 0)
    assert report["counts"]["committed"] > 0
    assert report["counts"]["killed"] >= 1
    assert report["counts"]["kept_tasks"] > 0
    assert set(report["recovery_s"]["worker"]) == {"median", "p99", "max", "n", "standstill"}
    assert report["run_again"]["ended"] == {"only its worker died": 0}


@pytest.mark.sqlite
def test_a_short_run_on_sqlite_is_clean(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/chaos.sqlite3"
    report = chaos(
        tmp_path, "--faults", "worker-kill,keeper-kill,enqueuer-kill", "--database-url", url
    )
    assert report["ok"] is True
    assert report["counts"]["committed"] > 0
    assert report["counts"]["kept_tasks"] > 0


def test_an_unknown_fault_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["chaos", "--faults", "wurker-kill"]) == 2
    said = capsys.readouterr().err
    assert "--faults wurker-kill: known are all, worker-kill," in said
    assert all(name in said for name in FAULTS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seconds", "0"], "--seconds is 0: give a number above 0"),
        (["--heartbeat", "2"], "--heartbeat is 2: give at most a third of --lease (4)"),
        (["--database-url", "chaos.db"], "--database-url is 'chaos.db': give a URL"),
    ],
)
def test_options_that_make_no_run_are_refused(
    capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["chaos", *options]) == 2
    assert said in capsys.readouterr().err


def test_list_explains_each_fault_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)
    assert all(FAULTS[line.split()[0]].right in line for line in lines)
