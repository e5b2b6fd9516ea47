"""Workflows: each rule of the checker from both sides."""

from __future__ import annotations

import pytest

from stress.checker import TaskRow
from tests.stress.histories import OTHER, WORKER, Story


def place(*parts, on="done", value=True):
    return {"on": on, "parts": list(parts), "value": value}


class Flow(Story):
    def step(self, key, *places, at=0.0, kind="plain"):
        more = {"places": list(places)} if places else {}
        self.note("intent", at, key=key, task=kind, **more)
        return self.note("commit", at + 0.001, key=key)

    def raised(self, key, at):
        return self.note("raised", at, WORKER, key=key, error="ValueError")

    def pair(self):
        """A part that is done, and a step that waits for it."""
        return self.step("a").step("b", place("a")).run("a", 1, 2)

    def errback(self, kind="plain"):
        """A part, and a step that waits for its failure."""
        return self.step("a", kind=kind).step("e", place("a", on="failed", value=False))


def blocked(key, *waits_for):
    return TaskRow(key, "BLOCKED", waits_for=waits_for)


def failed(key):
    return TaskRow(key, "FAILED", error="ValueError: on purpose")


def test_a_step_that_runs_after_its_part_is_right():
    assert Flow().pair().run("b", 2.1, 3, OTHER, got=["a"]).verdict().ok


def test_a_step_that_starts_before_its_part_has_ended_is_early():
    story = Flow().pair().run("b", 1.9, 3, OTHER, got=["a"])
    (found,) = story.verdict().violations["early_releases"]
    assert found.text == "b started, and a had not ended before"


def test_the_end_of_a_run_that_another_had_overtaken_releases_nothing():
    flow = Flow().step("a").step("b", place("a")).start("a", 1).start("a", 2, OTHER)
    flow.end("a", 2.5).run("b", 2.6, 2.7, got=["a"]).end("a", 3, OTHER)
    assert "early_releases" in flow.verdict().broken()


def test_one_part_of_a_place_is_enough():
    flow = Flow().step("a", kind="grumpy").step("x", place("a", on="failed", value=False))
    flow.step("b", place("a", "x")).start("a", 1).raised("a", 2)
    flow.run("x", 3, 4).run("b", 5, 6, got=["x"])
    assert flow.verdict(failed("a")).ok


def test_a_step_that_is_gone_is_lost():
    assert Flow().pair().verdict().broken() == ["lost"]


def test_a_step_that_waits_for_what_is_done_stands_still():
    (found,) = Flow().pair().verdict(blocked("b")).violations["standstills"]
    assert found.text == "b was left to wait for nothing"
    (found,) = Flow().pair().verdict(blocked("b", "a")).violations["standstills"]
    assert found.text == "b was left to wait for a"


def test_a_step_may_wait_for_one_that_failed_also_behind_others():
    flow = Flow().step("a", kind="grumpy").step("b", place("a")).step("c", place("b"))
    flow.start("a", 1).raised("a", 2)
    assert flow.verdict(failed("a"), blocked("b", "a"), blocked("c", "b")).ok


def test_a_step_that_runs_again_for_no_reason_was_released_twice():
    flow = Flow().pair().run("b", 2.1, 3, got=["a"]).run("b", 9, 10, OTHER, got=["a"])
    assert "double_releases" in flow.verdict().broken()


def test_a_step_that_starts_while_it_runs_was_released_twice():
    flow = Flow().pair().start("b", 2.1, got=["a"]).start("b", 2.5, OTHER, got=["a"])
    flow.end("b", 3).end("b", 3.5, OTHER)
    (found,) = flow.verdict().violations["double_releases"]
    assert "b was released again" in found.text


def test_a_step_may_run_again_after_a_death():
    flow = Flow().pair().start("b", 2.1, got=["a"]).kill(2.5).run("b", 3, 4, OTHER, got=["a"])
    assert flow.verdict().ok


@pytest.mark.parametrize("got", [["x"], [None], [], ["a", "a"]])
def test_inputs_that_no_part_has_returned_are_wrong(got):
    assert Flow().pair().run("b", 3, 4, got=got).verdict().broken() == ["wrong_inputs"]


def test_an_input_may_be_a_result_with_the_key_in_it():
    got = [{"key": "a", "attempt": 1}]
    assert Flow().pair().run("b", 3, 4, got=got).verdict().ok


def test_the_input_of_one_that_failed_is_none_where_that_goes_on():
    flow = Flow().step("a", kind="grumpy").step("b", place("a", on="ended"))
    flow.start("a", 1).raised("a", 2).run("b", 3, 4, got=[None])
    assert flow.verdict(failed("a")).ok


def test_an_errback_runs_after_a_failure():
    flow = Flow().errback("grumpy").start("a", 1).raised("a", 2).run("e", 3, 4, got=[])
    assert flow.verdict(failed("a")).ok


def test_an_errback_without_a_failure_is_wrong():
    flow = Flow().errback().run("a", 1, 2).run("e", 3, 4, got=[])
    (found,) = flow.verdict().violations["wrong_errbacks"]
    assert found.text == "e ran, and a had not failed"


def test_an_errback_is_dropped_with_what_waits_for_it():
    flow = Flow().errback().step("f", place("e")).run("a", 1, 2)
    assert flow.verdict().ok
    # But not where something failed.
    flow = Flow().errback("grumpy").start("a", 1).raised("a", 2)
    assert flow.verdict(failed("a")).broken() == ["lost"]


def test_what_waits_for_a_cancelled_step_may_be_gone():
    flow = Flow().pair()
    flow.step("c", place("b")).note("cancelling", 3, key="b")
    assert flow.note("cancel", 3.1, key="b", outcome="removed", attempt=None).verdict().ok


def grown(flow, at=1.9):
    places = [place("p")]
    tasks = {"p": "plain", "l": "plain"}
    return flow.note("growing", at, WORKER, key="a", tasks=tasks, last="l", places=places)


def test_what_waits_for_a_replaced_step_waits_for_the_last_of_the_new_ones():
    flow = grown(Flow().pair()).run("p", 3, 4).run("l", 5, 6, got=["p"])
    assert flow.run("b", 7, 8, got=["a"]).verdict().ok
    flow = grown(Flow().pair()).run("p", 3, 4).run("l", 5, 8, got=["p"])
    assert flow.run("b", 7, 8, OTHER, got=["a"]).verdict().broken() == ["early_releases"]


def test_what_replaces_a_cancelled_step_must_not_start():
    flow = grown(Flow().pair()).note("cancelling", 2.5, key="a").note("cancelling", 2.5, key="b")
    for key in ("a", "b"):
        flow.note("cancel", 2.6, key=key, outcome="removed", attempt=None)
    assert flow.verdict().ok
    assert flow.run("p", 3, 4).verdict().broken() == ["uncancelled"]


def test_a_step_that_fails_until_it_is_retried_may_be_done():
    flow = Flow().step("a", kind="mended").start("a", 1).raised("a", 2).run("a", 3, 4)
    assert flow.verdict().ok
