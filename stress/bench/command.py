"""The command: choose, measure, judge, report."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from stress.bench import QUICK_ROUNDS, ROUNDS, machine, redis, report, rounds, yardstick
from stress.bench.arena import Arena
from stress.bench.catalog import SCENARIOS
from stress.bench.contestants import OURS, PeerEnvironment
from stress.bench.scenario import Scenario
from stress.bench.targets import TARGETS, judge, peers_of
from stress.rig.postgres import EmbeddedPostgres


def run(options: argparse.Namespace) -> int:
    """The exit code: 1 when a target was missed or a measurement failed, 2 for a wrong name."""
    console = Console()
    if options.list:
        for scenario in SCENARIOS.values():
            target = "; ".join(each.text for each in TARGETS.get(scenario.name, ()))
            console.print(f"{scenario.name}: {scenario.title} ({scenario.unit}). {target}")
        return 0
    try:
        chosen = _chosen(options.scenario)
        environment = PeerEnvironment()
        wanted = [] if options.no_peers else options.peer
        peers, skipped = environment.choose(wanted, redis=redis.available())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for each in skipped:
        console.print(f"skipped: {each.name}: {each.reason}")
    entries: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="taskq-bench-") as home, EmbeddedPostgres() as server:
        facts = machine.describe(server, environment.versions)
        arena = Arena(Path(home), server, environment, quick=options.quick)
        for scenario in chosen:
            console.print(f"{scenario.name}: {scenario.title}")
            began = time.monotonic()
            standard = yardstick.measure(arena)
            console.print(f"  {report.measured(standard)}", highlight=False)
            result = rounds.run(
                scenario,
                arena,
                rounds=options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
                peers=peers,
                steady=options.peer or peers_of(scenario.name),
                say=lambda line: console.print(line, highlight=False, markup=False),
            )
            result.skipped += skipped
            result.machine = standard
            entries.append(result.as_json(judge(result)))
            arena.forget()
            console.print(f"  took {time.monotonic() - began:.0f} s")
            _keep(options, entries, facts)
    if options.json:
        from stress.bench import plots  # loads matplotlib, which takes a while

        for path in plots.write(entries, options.json.parent):
            console.print(f"plot: {path}")
    for entry in entries:
        console.print("\n".join(["", *report.lines(entry)]), highlight=False, markup=False)
    return int(any(entry["met"] is False or _missing(entry) for entry in entries))


def _missing(entry: dict[str, Any]) -> bool:
    """Whether we, or what we are measured by, could not be measured."""
    return bool({OURS.name, rounds.LIMIT} & set(entry["skipped"]))


def _chosen(names: list[str] | None) -> list[Scenario]:
    if unknown := [name for name in names or () if name not in SCENARIOS]:
        raise ValueError(f"no scenario is called {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    return [SCENARIOS[name] for name in names or SCENARIOS]


def _keep(
    options: argparse.Namespace, entries: list[dict[str, Any]], facts: dict[str, str]
) -> None:
    """Write what there is so far: a long run may be cut short."""
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        report.put_into(options.markdown, report.markdown(entries, facts))
