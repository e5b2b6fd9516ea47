"""The verdict as a whole: ends of processes, what the JSON says."""

import gc
import json
import time

import pytest

from stress.checker import VIOLATIONS, FinalState, LeftOver, judge
from tests.stress.histories import OTHER, Story


def test_nothing_at_all_is_fine():
    verdict = judge([], FinalState())
    assert verdict.ok
    assert set(verdict.violations) == set(VIOLATIONS)


@pytest.mark.parametrize(("code", "expected", "fine"), [(0, [0], True), (1, [0], False)])
def test_a_pool_must_end_with_a_right_code(code, expected, fine):
    story = Story().note("pool-exit", 9, victim=100, code=code, expected=expected)
    assert story.verdict().broken() == ([] if fine else ["bad_exits"])


def test_one_of_several_codes_may_be_right():
    assert Story().note("pool-exit", 9, victim=100, code=-9, expected=[0, -9]).verdict().ok


def test_processes_that_outlived_their_pool_are_orphans():
    verdict = Story().verdict(left_over=(LeftOver(7, "taskq_pool: worker 1"),))
    assert verdict.violations["orphans"][0].text == (
        "process 7 outlived its pool: taskq_pool: worker 1"
    )


def test_a_deadlock_is_a_violation():
    assert Story().verdict(deadlocks=1).broken() == ["deadlocks"]


def test_the_json_has_what_the_command_promises():
    story = Story().sent("a", "b").start("a", 1).kill(2).run("a", 2.5, 3, OTHER)
    found = json.loads(json.dumps(story.verdict(fenced=4).as_json()))
    assert found["ok"] is False
    assert found["violations"] == {name: int(name == "lost") for name in VIOLATIONS}
    assert found["recovery_s"]["worker"] == {
        "median": 0.5,
        "p99": 0.5,
        "max": 0.5,
        "n": 1,
        "standstill": 0.5,
    }
    assert found["recovery_s"]["pool"] is None
    assert found["findings"] == {"lost": ["b was committed, and is nowhere"]}
    assert found["counts"]["fenced_finishes"] == 4
    assert found["counts"]["killed"] == 1


def test_many_findings_are_counted_and_the_first_spelled_out():
    found = Story().sent(*map(str, range(50))).verdict().as_json()
    assert found["violations"]["lost"] == 50
    assert len(found["findings"]["lost"]) == 20


def test_records_of_other_kinds_are_passed_over():
    assert Story().note("warned", 1, key="a").verdict().ok


def test_the_time_it_takes_grows_with_the_history_and_no_faster():
    """Eight times as long, eight times the work, where the square would be 64 times."""

    def work(length):
        story = Story()
        for number in range(length):
            story.sent(str(number)).run(str(number), number, number + 0.5)
        gc.disable()  # it walks over all that there is, of other tests too
        try:
            began = time.process_time()
            assert story.verdict().ok
            return time.process_time() - began
        finally:
            gc.enable()

    short, long = (min(work(length) for _ in range(3)) for length in (1_000, 8_000))
    assert long < 24 * short
