"""The checker is worth something: what is taken out is seen, and only then."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stress.prove import PROOFS
from stress.prove.court import Trial, report

pytestmark = pytest.mark.postgresql  # of its own, whatever else is under test


def stress(*words, **environment):
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=550,
    )


def test_the_fast_proofs_are_caught_and_clean():
    ended = stress("-m", "stress", "prove", "--fast")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 protections" in ended.stdout
    assert "each missing protection is noticed, and all is clean with it" in ended.stdout
    for violation in ("poison_unquarantined", "lost", "ghosts"):
        assert violation in ended.stdout


def test_the_documentation_has_a_row_for_each_proof() -> None:
    page = Path("docs/explanation/prove.md").read_text()
    rows = re.findall(r"^\| .* \| .* \| `(\w+)` \|$", page, re.MULTILINE)
    assert sorted(rows) == sorted(proof.violation for proof in PROOFS.values())


TAKEN_OUT = """
import os, sys, django
django.setup()
from stress.prove.sabotage import SABOTAGES
for name in sys.argv[1:]:
    if (pid := os.fork()) == 0:
        SABOTAGES[name]()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, name
"""


def test_every_protection_is_still_where_it_is_taken_out():
    ended = stress("-c", TAKEN_OUT, *PROOFS, DJANGO_SETTINGS_MODULE="stress.prove.settings")
    assert ended.returncode == 0, ended.stderr


def test_a_protection_that_is_not_where_it_was_fails_loudly():
    out = {"DJANGO_SETTINGS_MODULE": "stress.prove.settings", "STRESS_SABOTAGE": "key-share"}
    again = "from stress.prove.sabotage import no_key_share; no_key_share()"
    ended = stress("-c", f"import django; django.setup()\n{again}", **out)
    assert "Misfit: CLAIM has no 'FOR KEY SHARE' any more" in ended.stderr


PROOF = PROOFS["run-then-finish"]


def trial(*, removed, **violations):
    found = {
        "ok": not any(violations.values()),
        "violations": {"lost": 0, "overlaps": 0, **violations},
        "findings": {name: ["so it was"] for name in violations},
    }
    return Trial(PROOF, removed, 1.0, found)


def test_it_must_be_seen_as_what_it_is_and_be_clean_with_the_protection(capsys):
    clean = trial(removed=False)
    assert report([trial(removed=True, lost=1), clean]) == 0
    assert report([trial(removed=True, overlaps=1), clean]) == 1
    assert "NOT as lost" in capsys.readouterr().out
    assert report([trial(removed=True), clean]) == 1
    assert report([trial(removed=True, lost=1), trial(removed=False, overlaps=1)]) == 1
    assert "with its protection" in capsys.readouterr().out


def test_a_trial_without_a_verdict_proves_nothing(capsys):
    broken = Trial(PROOF, True, 1.0, None, "Traceback: it broke")
    assert report([broken, trial(removed=False)]) == 1
    assert "it broke" in capsys.readouterr().out
