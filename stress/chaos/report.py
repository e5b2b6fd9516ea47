"""The report of a run, as JSON and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from stress.chaos.options import Options
from stress.checker import Verdict


@dataclass
class Report:
    """The result of a run.

    faults: how often each was injected. skipped: each fault that was left out, and why.
    oom: how memory was limited. events: what the pools logged. errors: of the harness.
    """

    options: Options
    verdict: Verdict
    faults: Counter[str] = field(default_factory=Counter)
    skipped: Mapping[str, str] = field(default_factory=dict)
    oom: str = ""
    events: Mapping[str, int] = field(default_factory=dict)
    errors: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        return self.verdict.ok and not self.errors

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.options.seed,
            "options": asdict(self.options),
            "faults": dict(sorted(self.faults.items())),
            "skipped": dict(self.skipped),
            "oom": self.oom,
            "events": dict(self.events),
            "errors": list(self.errors),
            **self.verdict.as_json(),
            "ok": self.ok,
        }

    def run_again(self) -> dict[str, str]:
        """What was run again, as rows: what it is -> how many, a line for each cause."""
        again = self.verdict.run_again
        rows = {"tasks done": str(again.done)}
        for what, counts in (("had ended", again.ended), ("was cut off", again.cut)):
            rows[f"{what}, and run again"] = "\n".join(
                f"{runs} ({again.per_10_000(runs):.1f} in 10,000 done): {cause}"
                for cause, runs in counts.items()
            )
        return rows

    def show(self, console: Console) -> None:
        """Print the report, violations last."""
        table = Table(title="chaos", show_header=False)
        counts = self.verdict.counts
        table.add_row("tasks committed", str(counts.get("committed", 0)))
        table.add_row("of these, steps that wait", str(counts.get("steps", 0)))
        table.add_row("kept when done", str(counts.get("kept_tasks", 0)))
        table.add_row("tasks rolled back", str(counts.get("rolled_back", 0)))
        table.add_row("runs", str(counts.get("runs", 0)))
        table.add_row("faults", ", ".join(f"{name} {n}" for name, n in self.faults.items()))
        table.add_row("out of memory by", self.oom)
        table.add_row("logged", ", ".join(f"{name} {n}" for name, n in self.events.items()))
        for what, count in self.run_again().items():
            table.add_row(what, count)
        for name, each in self.verdict.recovery_s.items():
            if each is not None:
                text = f"median {each.median:.3f} s, p99 {each.p99:.3f} s, max {each.max:.3f} s"
                text += f" (n = {each.n}); no older task started for up to {each.standstill:.3f} s"
                table.add_row(f"recovery, {name}", text)
        for name, found in self.verdict.violations.items():
            table.add_row(name, str(len(found)), style="red" if found else "green")
        console.print(table)
        for name, reason in self.skipped.items():
            console.print(f"without {name}: {reason}", highlight=False)
        for name, found in self.verdict.violations.items():
            for finding in found[:10]:
                console.print(f"{name}: {finding.text}", style="red", highlight=False, markup=False)
        for error in self.errors:
            console.print(f"the harness: {error}", style="red", highlight=False, markup=False)
        console.print("ok" if self.ok else "NOT ok", style="green" if self.ok else "red")
