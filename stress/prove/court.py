"""Runs all trials, some at a time, and prints a table of their results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stress.prove.proofs import Proof
from stress.rig.postgres import EmbeddedPostgres

#: Seconds after which a trial is stopped.
PATIENCE = 300
TEMPLATE = "prove_template"


@dataclass(frozen=True)
class Trial:
    """The result of a trial.

    removed: whether the protection was taken out. found: the verdict as JSON, None if the
    trial failed. log: of its processes."""

    proof: Proof
    removed: bool
    seconds: float
    found: dict[str, Any] | None
    log: str = ""

    @property
    def as_it_should(self) -> bool:
        if self.found is None:
            return False
        if self.removed:
            return bool(self.found["violations"][self.proof.violation])
        return bool(self.found["ok"])


def prove(proofs: Sequence[Proof], *, jobs: int) -> int:
    """Try each with its protection and without. Returns the exit code."""
    print(f"{len(proofs)} protections, each in and out, {jobs} trials at a time …", flush=True)
    began = time.monotonic()
    with EmbeddedPostgres() as server, tempfile.TemporaryDirectory(prefix="taskq-prove-") as home:
        _make_template(server)
        asked = [(proof, removed) for proof in proofs for removed in (True, False)]
        with ThreadPoolExecutor(jobs) as clerks:
            trials = list(clerks.map(lambda each: _try(server, Path(home), *each), asked))
    code = report(trials)
    print(f"in {time.monotonic() - began:.0f} s")
    return code


def report(trials: Sequence[Trial]) -> int:
    """Print the results of pairs of trials, without a protection and with it. Returns the
    exit code."""
    console = Console()
    console.print(_table(trials))
    wrong = [trial for trial in trials if not trial.as_it_should]
    for trial in wrong:
        console.print(_protest(trial), markup=False, highlight=False)
    console.print(
        f"{len(wrong)} trials went wrong"
        if wrong
        else "each missing protection is noticed, and all is clean with it"
    )
    return int(bool(wrong))


def _try(server: EmbeddedPostgres, home: Path, proof: Proof, removed: bool) -> Trial:
    name = f"{proof.name}-{'out' if removed else 'in'}"
    place = home / name
    place.mkdir()
    environment = {
        **os.environ,
        "DATABASE_URL": server.create_database(f"prove_{name}", template=TEMPLATE),
        "DJANGO_SETTINGS_MODULE": "stress.prove.settings",
        "TASKQ_HISTORY": str(place / "history.jsonl"),
    }
    command = [sys.executable, "-m", "stress.prove.trial", proof.name]
    began = time.monotonic()
    try:
        ended = subprocess.run(
            [*command, *(["removed"] if removed else [])],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        output, code = ended.stderr, ended.returncode
        found = json.loads(ended.stdout.splitlines()[-1]) if code == 0 else None
    except subprocess.TimeoutExpired:
        output, found = f"not over within {PATIENCE} s", None
    logs = [f"--- {log.name}\n{log.read_text()}" for log in sorted(place.glob("*.log"))]
    return Trial(proof, removed, time.monotonic() - began, found, "\n".join([output, *logs]))


def _make_template(server: EmbeddedPostgres) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": server.create_database(TEMPLATE),
        "DJANGO_SETTINGS_MODULE": "stress.prove.settings",
    }
    command = [sys.executable, "-m", "stress.project.manage", "migrate", "-v0"]
    subprocess.run(command, env=environment, check=True)


def _table(trials: Sequence[Trial]) -> Table:
    table = Table("protection", "taken out", "seen as", "for instance", "with it", "s")
    for out, in_ in zip(trials[::2], trials[1::2], strict=True):
        table.add_row(
            out.proof.name,
            out.proof.removed,
            _violations(out) if out.as_it_should else f"NOT as {out.proof.violation}",
            _instance(out),
            "clean" if in_.as_it_should else _violations(in_),
            f"{out.seconds:.0f} + {in_.seconds:.0f}",
        )
    return table


def _violations(trial: Trial) -> str:
    if trial.found is None:
        return "no verdict"
    names = [f"{name} {count}" for name, count in trial.found["violations"].items() if count]
    return ", ".join(names) or "nothing"


def _instance(trial: Trial) -> str:
    findings = (trial.found or {}).get("findings", {}).get(trial.proof.violation, [""])
    return str(findings[0])


def _protest(trial: Trial) -> str:
    how = "without its protection" if trial.removed else "with its protection"
    return f"=== {trial.proof.name} {how}: {json.dumps(trial.found, indent=2)}\n{trial.log}"
