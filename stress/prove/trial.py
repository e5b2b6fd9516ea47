"""``python -m stress.prove.trial PROOF [removed]``: one scenario in a process of its own, with
the protection or without it. Prints the verdict as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import django

from stress.prove.proofs import PROOFS


def main(name: str, removed: bool) -> None:
    """Run the scenario on DATABASE_URL. The logs go beside the file TASKQ_HISTORY."""
    proof = PROOFS[name]
    django.setup()
    from stress.prove import scenarios
    from stress.prove.bench import Bench

    home = Path(os.environ["TASKQ_HISTORY"]).parent
    with Bench(home, sabotage=name if removed else "") as bench:
        getattr(scenarios, proof.scenario)(bench)
        verdict = bench.verdict()
    print(json.dumps(verdict.as_json()))


if __name__ == "__main__":
    main(sys.argv[1], "removed" in sys.argv[2:])
