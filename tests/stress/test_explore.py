"""Every order of statements: nothing is wrong in any, and what is taken out is found."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from stress.__main__ import main
from stress.explore.schedule import Drawn, InTurn

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def explore() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run the command as a user does, on an empty database of the server that is there."""
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as session:
        session.execute("CREATE DATABASE explore")
    url = urlsplit(server)._replace(path="/explore").geturl()

    def run(*options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stress", "explore", "--database-url", url]
        return subprocess.run(
            [*command, *map(str, options)], capture_output=True, text=True, timeout=550
        )

    yield run
    with psycopg.connect(server, autocommit=True) as session:
        session.execute("DROP DATABASE explore WITH (FORCE)")


@pytest.mark.parametrize("seed", [1, 2])
def test_hundreds_of_orders_are_right(explore, seed):
    """``make explore`` tries 100,000. In parts, as a busy machine takes minutes for all of them."""
    ended = explore("--orders", 250, "--seed", seed)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "250 orders in" in ended.stdout


@pytest.mark.parametrize(
    ("protection", "actors", "found"),
    [
        ("finish-fence", "retire,finish", "a run of the running task has ended twice"),
        ("worker-lock", "claim,retire", "the waiting task is an orphan"),
        ("key-share", "claim,retire", "the waiting task is an orphan"),
        (
            "join-lock",
            "join,claim-elsewhere",
            "has started, although a call that joined it",
        ),
        ("cancel-mark", "cancel,retire", "was cancelled, but waits to be run"),
        ("living-leases", "reclaim", "a lease was reclaimed that had not run out"),
        ("second-release", "end-part,end-other-part", "the step still waits, although its parts"),
        ("unique-run", "give-back,claim,send-alone", "two tasks with one key"),
    ],
)
def test_what_is_taken_out_is_found_by_some_order(explore, protection, actors, found):
    ended = explore("--actors", actors, "--without", protection)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert found in ended.stdout


def test_with_all_protections_all_orders_of_the_same_are_right(explore):
    for actors in ("claim,retire", "join,claim-elsewhere", "end-part,end-other-part"):
        ended = explore("--actors", actors)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_case_that_a_report_names_goes_the_same_way_again(explore):
    """As a script with a step in each line, who had to wait, and what was wrong then."""
    reports = (
        explore("--orders", 400, "--seed", seed, "--without", "finish-fence").stdout
        for seed in range(1, 20)
    )
    # Of several that wait for one lock the server chooses.
    first = next(report for report in reports if report.count("must wait") < 2)
    seed, case = re.findall(r"^seed (\d+), case (\d+): ", first)[0]
    assert re.search(r"^ +\d+\. finish'? +tasks\.FINISH", first, re.MULTILINE)
    again = explore("--seed", seed, "--case", case, "--without", "finish-fence").stdout
    assert again.splitlines()[:-1] == first.splitlines()[:-1]


def test_all_orders_are_each_order_once():
    schedule, orders = InTurn(), []
    while True:
        left, order = {"a": 3, "b": 2}, ""
        while ready := [name for name, steps in left.items() if steps]:
            chosen = ready[schedule.choose(len(ready)) if len(ready) > 1 else 0]
            left[chosen] -= 1
            order += chosen
        orders.append(order)
        if not schedule.more():
            break
    assert sorted(orders) == sorted({"".join(each) for each in itertools.permutations("aaabb")})


def test_a_seed_draws_the_same_again_and_another_seed_does_not():
    def draws(seed):
        schedule = Drawn(seed)
        return [schedule.choose(4) for _ in range(20)]

    assert draws("1/7") == draws("1/7") != draws("1/8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--orders", "0"], "--orders is 0: give a number above 0"),
        (["--without", "fence"], "--without fence: known are finish-fence, "),
    ],
)
def test_options_that_make_no_order_are_refused(capsys, options, said):
    assert main(["explore", *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("actors", "said"),
    [
        ("claim,nap", "--actors nap: known are claim, claim-elsewhere, finish, "),
        ("claim,claim,claim,claim,claim", "--actors has 5: give 4 at most"),
    ],
)
def test_actors_that_nobody_can_play_are_refused(explore, actors, said):
    ended = explore("--actors", actors)
    assert ended.returncode == 2
    assert said in ended.stderr
