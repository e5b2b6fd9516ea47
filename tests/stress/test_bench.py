"""The bench: its judgment, its reports, its command, and one real measurement."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from stress import bench
from stress.bench import plots, report, server_log, targets
from stress.bench.catalog import SCENARIOS
from stress.bench.contestants import OURS, PEERS, PeerEnvironment
from stress.bench.figures import Spread
from stress.bench.results import Result
from stress.bench.scenarios.latency import IDLE_POOL

KEYS = {"scenario", "ours", "limit", "peers", "unit", "ratio_to_limit", "target", "met"}


def result(**values: Any) -> Result:
    return Result("drain-noop-c1", "a title", "tasks/s", "a loop", ("p99",), **values)


# Judgment


def test_the_ratio_to_the_limit_is_the_middle_of_the_rounds_own_ratios() -> None:
    found = result(ours=[50.0, 90.0, 10.0], limit=[100.0, 100.0, 10.0])
    assert found.ratio_to_limit() == Spread(0.9, 0.5, 1.0)


@pytest.mark.parametrize(("ours", "met"), [(80.0, True), (79.99, False)])
def test_a_target_is_met_or_not_and_nothing_is_rounded_up(ours: float, met: bool) -> None:
    verdict = targets.judge(result(ours=[ours], limit=[100.0]))
    assert (verdict.target, verdict.met) == ("≥ 0.8 of the limit", met)


@pytest.mark.parametrize(
    ("ours", "narrow"),
    [
        ([90.0, 91.0, 99.0], False),  # 0.91, which is 0.11 above the bound, within 0.09
        ([89.0, 91.0, 101.0], True),  # within 0.12
        ([69.0, 70.0, 78.0], False),
        ([70.0, 79.0, 81.0], True),
    ],
)
def test_a_spread_that_is_wider_than_its_margin_is_said(ours: list[float], narrow: bool) -> None:
    found = result(ours=ours, limit=[100.0] * 3)
    verdict = targets.judge(found)
    assert verdict.narrow is narrow
    printed = "\n".join(report.lines(found.as_json(verdict)))
    assert (report.NARROW in printed) is narrow


def test_what_a_round_shows_besides_is_judged_by_the_middle_of_the_rounds() -> None:
    found = Result(
        "latency-trickle-20", "", "", "", shows=("p99",), ours=[1.0] * 3, limit=[1.0] * 3
    )
    found.peers[IDLE_POOL] = [1.0, 1.0, 1.0]
    for value in (3.0, 80.0, 14.0):
        found.show({"p99": value})
    assert targets.judge(found).met is True
    assert found.as_json(targets.judge(found))["shown"] == {"p99": 14.0}


def test_what_must_never_happen_misses_its_target_in_any_round() -> None:
    key = "locked errors"
    found = Result("sqlite-drain-c4", "", "", "", shows=(key,), ours=[9.0] * 3, limit=[9.0] * 3)
    for value in (0, 1, 0):
        found.show({key: value})
    assert targets.judge(found).met is False


def test_a_target_that_names_a_peer_is_not_judged_without_it() -> None:
    found = Result("drain-noop-c8", "", "", "", ours=[90.0], limit=[100.0])
    assert targets.judge(found).met is None


def test_a_part_that_is_missed_is_enough() -> None:
    peers: dict[str, list[float | None]] = {"Huey": [80.0]}
    found = Result("drain-noop-c8", "", "", "", ours=[90.0], limit=[100.0], peers=peers)
    assert targets.judge(found).met is False


def test_what_we_do_not_have_misses_its_target() -> None:
    found = Result("enqueue-bulk", "", "", "", ours=[None], limit=[100.0])
    assert targets.judge(found).met is False


def test_every_target_belongs_to_a_scenario_and_names_peers_that_exist() -> None:
    assert set(targets.TARGETS) <= set(SCENARIOS)
    names = {peer.name for peer in PEERS}
    assert set(targets.DATABASE_PEERS) <= names
    for scenario in SCENARIOS.values():
        assert set(scenario.quick_peers or ()) <= names


# Report


def entry(**values: Any) -> dict[str, Any]:
    found = result(ours=[79.96, 60.0, 90.0], limit=[100.0, 100.0, 100.0], **values)
    found.show({"p99": 7, "done": 9})
    found.machine = {"fdatasync ms": 0.5}
    return json.loads(json.dumps(found.as_json(targets.judge(found))))  # type: ignore[no-any-return]


def test_the_json_form() -> None:
    found = entry(peers={"Huey": [40.0, None, None]})
    assert set(found) >= KEYS
    assert found["ours"] == 79.96
    assert found["ours_range"] == [60.0, 90.0]
    assert found["ratio_to_limit"] == pytest.approx(0.7996)
    assert found["peers"] == {"Huey": 40.0}
    assert found["met"] is False
    assert found["shown"] == {"p99": 7}


def test_a_figure_in_the_table_never_looks_better_than_it_is() -> None:
    assert report.number(0.79996) == "0.799"
    assert report.number(9.999) == "9.99"
    assert report.number(99.99) == "99.9"
    assert report.number(12345.9) == "12,345"
    assert report.number(None) == "-"


def test_the_table_is_put_between_the_marks_of_a_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.put_into(page, report.markdown([entry()], {"Python": "3"}))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "- Python: 3" in text
    assert "- `drain-noop-c1`: a loop (fdatasync ms 0.500)\n" in text
    assert "| no, narrowly |" in text
    assert "| `drain-noop-c1`: a title | 79.9 tasks/s [60.0..90.0]; p99 7.00 |" in text


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(report.NoPlace, match="lacks the lines"):
        report.put_into(page, "table")
    assert page.read_text() == "nothing"


def test_plots_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    one = {"ours": 10.0, "limit": 20.0, "peers": {"Huey": 5.0}, "detail": {}}
    entries: list[dict[str, Any]] = [
        {**one, "scenario": "drain-noop-c1"},
        {**one, "scenario": "drain-noop-c8"},
        {**one, "scenario": "latency-idle", "detail": {"taskq": {"ms": [1.0, 2.0, 400.0]}}},
    ]
    names = {path.name for path in plots.write(entries, tmp_path)}
    assert names == {"bench-throughput.svg", "bench-latency.svg"}
    assert "Huey" in (tmp_path / "bench-throughput.svg").read_text()


# The server's log


def test_statements_are_read_from_the_servers_log() -> None:
    text = (
        "100.5 7 stage LOG:  duration: 0.5 ms  statement: BEGIN\n"
        "100.6 8 other LOG:  duration: 9.0 ms  statement: SELECT 1\n"
        "100.7 7 stage LOG:  duration: 0.1 ms  bind <unnamed>: \n\tUPDATE taskq_task\n"
        "100.8 7 stage LOG:  duration: 2.5 ms  execute <unnamed>: \n"
        "\tUPDATE taskq_task\n\tSET x = 1\n"
        "100.8 7 stage DETAIL:  Parameters: $1 = '1'\n"
        "100.9 7 stage LOG:  duration: 1.0 ms  statement: COMMIT\n"
    )
    found = server_log.parse(text, "stage")
    assert [(each.pid, each.milliseconds) for each in found] == [(7, 0.5), (7, 2.5), (7, 1.0)]
    assert found[1].text == "UPDATE taskq_task\n\tSET x = 1"
    assert server_log.transactions(found) == [found]


# The command


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return parser.parse_args(words)


def test_list_names_each_scenario_and_its_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(parse("--list")) == 0
    printed = capsys.readouterr().out
    assert all(f"{name}: " in printed for name in SCENARIOS)
    assert "≥ 0.8 of the limit" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scenario", "speed"], "no scenario is called 'speed'; there are enqueue-single"),
        (["--peer", "Kafka"], "no peer is called 'kafka'; there are django-taskq"),
    ],
)
def test_wrong_names_are_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(parse(*words)) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("given", ["0", "-1", "x"])
def test_rounds_must_be_a_number(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--rounds", given)
    assert "give one from 1" in capsys.readouterr().err


def test_a_peer_that_is_not_installed_or_has_no_server_is_said(tmp_path: Path) -> None:
    environment = PeerEnvironment(tmp_path)  # none there: this Python, which has no peers
    environment.__dict__["versions"] = {"celery": "1", "django_taskq": "2"}
    chosen, skipped = environment.choose(["Celery", "django-taskq", "Huey"], redis=False)
    assert [peer.name for peer in chosen] == ["django-taskq"]
    reasons = {each.name: each.reason for each in skipped}
    assert "redis-server" in reasons["Celery"]
    assert "make bench" in reasons["Huey"]


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_real_quick_measurement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pool and raw loops really drain a table, by the command."""
    file, page = tmp_path / "bench.json", tmp_path / "page.md"
    page.write_text(f"{report.BEGIN}\n{report.END}\n")
    words = ["--scenario", "drain-5ms-c2", "--scenario", "enqueue-single", "--quick"]
    words += ["--rounds", "1", "--no-peers", "--json", str(file), "--markdown", str(page)]
    code = bench.main(parse(*words))
    drain, enqueue = json.loads(file.read_text())
    assert 100 < drain["ours"] <= drain["limit"] == 400
    assert min(enqueue["ours"], enqueue["limit"]) > 0  # one round: which is less is chance
    assert enqueue["ratio_to_limit"] == pytest.approx(enqueue["ours"] / enqueue["limit"])
    assert all(value > 0 for each in (drain, enqueue) for value in each["machine"].values())
    assert code == int(enqueue["met"] is False)
    printed = capsys.readouterr().out
    assert f"{enqueue['scenario']}: {enqueue['title']}" in printed
    assert "synchronous_commit" in page.read_text()


def test_our_own_name_is_no_peers() -> None:
    assert OURS.name not in {peer.name for peer in PEERS}
