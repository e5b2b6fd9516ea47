"""Results as a table: for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
VERDICTS = {True: "met", False: "NOT MET", None: "not judged"}
NARROW = ", but its spread is wider than its margin"
HEADINGS = ("scenario", "taskq", "limit", "of the limit", "peers (ours, times)", "target", "met")


class NoPlace(ValueError):
    """The Markdown file has no pair of lines between which the table belongs."""


def lines(entry: dict[str, Any]) -> list[str]:
    """A scenario for the terminal: figures with their range over the rounds, the target."""
    ours, limit, ratio, peers, target, _ = _cells(entry)
    said = [f"{entry['scenario']}: {entry['title']}", f"  taskq   {ours}"]
    if entry["limit"] is not None:
        said += [f"  limit   {limit}: {entry['limit_is']}", f"  ratio   {ratio}"]
    if entry["peers"]:
        said.append(f"  peers   {peers}")
    if entry["target"]:
        narrow = NARROW if entry["narrow"] else ""
        said.append(f"  target  {target}: {VERDICTS[entry['met']]}{narrow}")
    return [*said, f"  machine {measured(entry['machine'])}"]


def markdown(entries: Sequence[dict[str, Any]], machine: dict[str, str]) -> str:
    """The machine, the table, what each limit is, and the yardsticks of each row."""
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
    lines += [
        _line([f"`{entry['scenario']}`: {entry['title']}", *_cells(entry)]) for entry in entries
    ]
    lines += ["", "The limits, and the machine before each row:", ""]
    lines += [
        f"- `{entry['scenario']}`: {entry['limit_is'] or 'no limit'} ({measured(entry['machine'])})"
        for entry in entries
    ]
    return "\n".join(lines) + "\n"


def put_into(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a file.

    Raises NoPlace.
    """
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlace(f"{path} lacks the lines {BEGIN} and {END}: put them where the table goes")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def measured(yardsticks: Mapping[str, float]) -> str:
    """The yardsticks in words."""
    return "; ".join(f"{name} {number(value)}" for name, value in yardsticks.items()) or "-"


def number(value: float | None) -> str:
    """Three figures, never rounded to look better than the value: 0.7996 is no 0.8."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{int(value):,}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    scale = 10**digits
    return f"{int(value * scale) / scale:.{digits}f}"


def _cells(entry: dict[str, Any]) -> list[str]:
    peers = [
        f"{name} {number(value)} ({number(entry['ratio_to_peers'][name])})"
        for name, value in entry["peers"].items()
    ]
    met = {True: "yes", False: "no", None: "-" if not entry["target"] else "not judged"}
    more = "".join(f"; {key} {number(value)}" for key, value in entry["shown"].items())
    reason = entry["skipped"].get("taskq")
    return [
        reason or f"{number(entry['ours'])} {entry['unit']}{_range(entry['ours_range'])}{more}",
        number(entry["limit"]) + _range(entry["limit_range"]),
        number(entry["ratio_to_limit"]) + _range(entry["ratio_range"]),
        "; ".join(peers) or "-",
        entry["target"] or "-",
        met[entry["met"]] + (", narrowly" if entry["narrow"] else ""),
    ]


def _range(limits: list[float] | None) -> str:
    return f" [{number(limits[0])}..{number(limits[1])}]" if limits else ""


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
