"""The tuner: its arithmetic is the keeper's, its advice follows from what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import xml.etree.ElementTree
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from pool import Scoreboard
from stress.rig.page import MISSING
from stress.rig.pools import wait_until
from stress.tune import formulae
from stress.tune.grid import Setting, grid
from stress.tune.plots import all_plots
from stress.tune.report import advice, page, skipped
from stress.tune.results import Cell, Cost, Results
from taskq import conf
from taskq.keeper.keeper import Keeper
from taskq.management import serve
from taskq.models import State, Task, Worker
from taskq.pool_context import PoolContext
from taskq.store import connecting
from taskq.task.queues import Queues
from tests.project.lab import tasks as lab

PAIRS = [(1.5, 0.5), (6.0, 2.0), (30.0, 10.0), (60.0, 1.0)]


@pytest.mark.parametrize(("lease", "heartbeat"), PAIRS)
def test_the_formulae_are_those_of_the_keeper(lease, heartbeat):
    settings = conf.overridden({"LEASE": lease, "HEARTBEAT": heartbeat})
    context = PoolContext(settings=settings, queues=Queues(), alias="default")
    scoreboard = Scoreboard(1)
    child = SimpleNamespace(scoreboard=scoreboard, slot=scoreboard.slots[0], name="keeper")
    keeper = Keeper(child, context)
    assert keeper.leases.margin / 1e9 == pytest.approx(formulae.margin(lease))
    role = serve._roles(context, 1, reload=False, listener=None)[0]
    assert role.patience == formulae.keeper_patience(lease, heartbeat)
    backoff = [keeper.session._backoff.next() for _ in range(20)]
    assert max(backoff) <= formulae.reconnect_wait(lease) < max(backoff) * 1.12


@pytest.mark.parametrize("lease", [1, 2, 5, 10, 30])
@pytest.mark.parametrize("heartbeat", [0.3, 0.5, 1, 3, 10])
def test_the_valid_pairs_are_those_that_a_pool_accepts(lease, heartbeat):
    accepted = not conf.problems({"LEASE": lease, "HEARTBEAT": heartbeat})
    assert formulae.is_valid(lease, heartbeat) == accepted


@pytest.mark.postgresql
def test_taking_back_from_a_dead_worker_takes_so_many_round_trips(far_away, monkeypatch):
    proxy, _ = far_away
    gone = Worker.objects.create(
        pool="gone:1", host="gone", pid=1, name="worker 1", lease_expires_at=timezone.now()
    )
    # It holds a task: that is the longest way.
    Task.objects.create(name="a", state=State.RUNNING, worker=gone)
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "HOST", proxy.host)
        patch.setitem(connection.settings_dict, "PORT", proxy.port)
        patch.setitem(connection.settings_dict, "OPTIONS", {})
        ours = connecting.connect("default", lease=30)
    proxy.forward(delay=1.5)  # so long that the statements themselves make no trip
    began = time.monotonic()
    ours.leases.retire(gone.pk, ran=None, charge=True, cause="a test")
    trips = (time.monotonic() - began) / 3.0
    ours.close()
    assert formulae.RETIRE <= trips < formulae.RETIRE + 0.9


@pytest.mark.postgresql
def test_an_outage_as_long_as_the_formula_says_stops_no_work(start_pool, far_away, runs):
    proxy, url = far_away
    lease, heartbeat = 18.0, 1.0
    pool = start_pool("-c", 1, "--lease", lease, "--heartbeat", heartbeat, DATABASE_URL=url)
    lab.nap.delay("a", 22)
    wait_until(lambda: runs("start", "a"), what="the task at work")
    proxy.refuse()
    ends = time.monotonic() + formulae.outage_outlived(lease, heartbeat)
    wait_until(lambda: "does not answer" in pool.log(), what="the outage noticed")
    wait_until(lambda: time.monotonic() > ends, what="the outage's end")
    proxy.forward()
    wait_until(lambda: runs("end", "a"), what="the task done")
    assert len(runs("start", "a")) == 1
    assert "died:" not in pool.log()


def test_the_grid_says_what_it_skips_and_how_long_it_takes():
    small = grid([2, 5], [0.5, 1], [0], longest=60, seconds=20)
    assert small.settings == [Setting(2, 0.5), Setting(5, 0.5), Setting(5, 1)]
    assert skipped(small).endswith(": 2/1")
    twice = grid([2, 5], [0.5, 1], [0, 0.05], longest=60, seconds=20)
    assert small.duration < twice.duration < 2 * small.duration
    short = grid([2, 5], [0.5, 1], [0], longest=2, seconds=20)
    assert short.measured == [Setting(2, 0.5)]
    with pytest.raises(ValueError, match="third"):
        grid([1], [5], [0], longest=60, seconds=20)


@pytest.fixture
def results():
    """As if measured: 10/3 loses healthy leases 200 ms away; 30 is only predicted."""
    cells = [
        Cell(Setting(5, 1), 0.0, [4.4, 5.9], [0.03], 0, 0, 90),
        Cell(Setting(10, 1), 0.0, [10.9, 9.2], [0.05], 0, 0, 90),
        Cell(Setting(10, 3), 0.0, [12.1, 7.2], [0.04], 0, 0, 90),
        Cell(Setting(5, 1), 0.2, [5.4, 6.5], [1.5], 0, 0, 90),
        Cell(Setting(10, 1), 0.2, [10.4, 9.5], [1.6], 0, 0, 90),
        Cell(Setting(10, 3), 0.2, [9.9, 8.2], [1.9], 4, 0, 90),
    ]
    settings = [Setting(5, 1), Setting(10, 1), Setting(10, 3), Setting(30, 10)]
    return Results(cells, [Cost(1, 9, 3.0, 800), Cost(10, 9, 1.2, 80)], settings, [0.0, 0.2], 2)


def test_the_longest_lease_with_the_slowest_heartbeat_that_fits_is_recommended(results):
    assert results.recommended(15, 0.0).setting == Setting(10, 3)
    assert results.recommended(12, 0.0).setting == Setting(10, 1)
    assert results.recommended(60, 0.0).setting == Setting(30, 10)
    assert not results.recommended(60, 0.0).measured
    assert results.recommended(5, 0.0) is None


def test_a_setting_that_loses_healthy_leases_is_never_recommended(results):
    assert results.recommended(20, 0.2).setting == Setting(10, 1)
    assert not results.prospects(0.2)[2].sound
    assert results.prospects(0.0)[2].sound


def test_the_worst_that_may_happen_counts_not_only_what_did(results):
    (five, *_) = results.prospects(0.0)
    assert five.recovery == pytest.approx(5 + 1 + 0.05)
    results.cells[0].host_recovery.append(9.0)
    assert results.prospects(0.0)[0].recovery == 9.0


def test_the_advice_names_the_setting_or_what_stands_in_the_way(results):
    near, far = advice(results, 15)
    assert "LEASE 10, HEARTBEAT 3" in near
    assert "200 ms away" in far
    assert "no setting tried" in advice(results, 2)[0]


class Page(HTMLParser):
    """Collects tags and text; notes what would be loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.text = [], [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.loads += [
            value
            for key, value in attributes
            if key in ("src", "href", "xlink:href") and not value.startswith("#")
        ]

    def handle_data(self, data):
        self.text += data


def test_the_report_is_one_file_with_four_plots_and_the_advice(results):
    plots = all_plots(results, 15)
    for plot in plots.values():
        xml.etree.ElementTree.fromstring(plot)
    parsed = Page()
    parsed.feed(page(results, plots, 15, "Measured <here>"))
    assert parsed.tags.count("svg") == len(plots) == 4
    assert "script" not in parsed.tags
    assert parsed.loads == []
    assert advice(results, 15)[0] in parsed.text
    assert "Measured <here>" in parsed.text
    assert "10/3" in parsed.text
    assert MISSING not in parsed.text


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_trial_measures_lost_hosts_and_killed_workers(tmp_path):
    command = [
        *(sys.executable, "-m", "stress", "tune", "--lease", "2,4", "--heartbeat", "0.6,1.3"),
        *("--latency", "0", "--longest", "2", "--seconds", "6", "--kill-every", "1"),
        *("--target", "6", "--skip-cost"),
        *("--json", tmp_path / "tune.json", "--html", tmp_path / "tune.html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "skipped" in said
    assert "2/1.3" in said
    found = json.loads((tmp_path / "tune.json").read_text())
    (cell,) = found["cells"]
    assert len(cell["host_recovery"]) == 3
    assert min(cell["host_recovery"]) > 2 - 0.6 - 0.1
    assert max(cell["host_recovery"]) < 2 + 0.6 + 1
    assert len(cell["worker_recovery"]) >= 2
    assert 0 < max(cell["worker_recovery"]) < 2
    assert found["recommended"]["0"]["setting"] == {"lease": 4.0, "heartbeat": 1.3}
    assert not found["recommended"]["0"]["measured"]
    assert "<svg" in (tmp_path / "tune.html").read_text()
