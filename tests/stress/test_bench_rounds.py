"""The bench's rounds: the order of the measurements, and who is left out of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from stress.bench import rounds, targets
from stress.bench.arena import Arena
from stress.bench.contestants import PEERS, Contestant, Skipped
from stress.bench.queue import Unsupported
from stress.bench.results import Result
from stress.bench.scenario import Reading, Scenario
from stress.bench.stage import Broken


class Steps(Scenario):
    """A scenario whose values are counted up, in place of measuring."""

    name, title, unit = "steps", "steps", "steps"

    def __init__(self) -> None:
        self.order: list[str] = []

    def ours(self, arena: Arena) -> Reading:
        self.order.append("ours")
        return Reading(2.0 * len(self.order), {"seen": len(self.order)})

    def limit(self, arena: Arena) -> Reading:
        self.order.append("limit")
        return Reading(4.0)

    def peer(self, arena: Arena, peer: Contestant) -> Reading:
        self.order.append(peer.name)
        if peer.name == "Huey":
            raise Broken("no such module")
        if peer.name == "Celery":
            raise Unsupported("it cannot")
        return Reading(1.0)


class NoArena(Arena):
    def __init__(self, *, quick: bool) -> None:
        self.quick = quick


def run(scenario: Scenario, *, quick: bool = False, steady: Sequence[str] = ()) -> Result:
    return rounds.run(
        scenario,
        NoArena(quick=quick),
        rounds=3,
        peers=PEERS,
        steady=steady,
        say=lambda line: None,
    )


def test_everybody_is_measured_in_each_round_in_an_order_that_turns() -> None:
    scenario = Steps()
    found = run(scenario, steady=[peer.name for peer in PEERS])
    assert len(found.ours) == len(found.limit) == 3
    assert found.peers["Dramatiq"] == [1.0, 1.0, 1.0]
    everybody = len(PEERS) + 2
    first_round, second_round = scenario.order[:everybody], scenario.order[everybody:]
    assert first_round[0] == "ours"
    assert second_round[0] == "limit"
    assert found.detail["taskq"]["seen"] > 1


@pytest.mark.parametrize(("quick", "of_dramatiq"), [(False, 3), (True, 1)])
def test_a_peer_is_measured_once_unless_the_target_names_it(quick: bool, of_dramatiq: int) -> None:
    found = run(Steps(), quick=quick, steady=["Dramatiq"])
    assert None not in found.ours
    assert None not in found.limit
    assert found.peers.pop("Dramatiq").count(1.0) == of_dramatiq
    assert all(len([each for each in values if each]) == 1 for values in found.peers.values())


def test_what_a_scenario_puts_beside_itself_is_measured_in_each_round() -> None:
    class Beside(Steps):
        def beside(self, arena: Arena) -> dict[str, Callable[[], Reading]]:
            return {"another door": lambda: Reading(3.0)}

    found = run(Beside(), quick=True)
    assert found.peers["another door"] == [3.0, 3.0, 3.0]
    assert [each for each in found.peers["Dramatiq"] if each] == [1.0]


def test_the_peers_of_a_target_are_those_that_its_conditions_name() -> None:
    assert targets.peers_of("enqueue-single") == {*targets.DATABASE_PEERS, "Huey"}
    assert targets.peers_of("latency-idle") == {"Celery"}
    assert targets.peers_of("drain-noop-c2") == set()


def test_a_peer_that_fails_or_cannot_is_left_out_and_that_is_said() -> None:
    found = run(Steps())
    reasons = {each.name: each.reason for each in found.skipped}
    assert reasons == {"Huey": "failed: no such module", "Celery": "it cannot"}
    assert not {"Huey", "Celery"} & set(found.peers)


def test_our_own_failure_misses_the_target_and_the_run_goes_on() -> None:
    class Failing(Steps):
        def ours(self, arena: Arena) -> Reading:
            raise Broken("the pool did not start")

    found = run(Failing(), quick=True)
    assert found.skipped[0] == Skipped("taskq", "failed: the pool did not start")
    assert found.ours == [None, None, None]
    assert found.limit == [4.0, 4.0, 4.0]
