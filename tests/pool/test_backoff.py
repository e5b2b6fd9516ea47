"""How the waits grow."""

import pytest

from pool.backoff import Backoff


def waits(backoff, count):
    return [backoff.next() for _ in range(count)]


def test_first_failure_is_tried_again_at_once_then_ever_later():
    backoff = Backoff(first=0.5, limit=5, rand=lambda: 0.0)
    assert waits(backoff, 7) == [0, 0.5, 1, 2, 4, 5, 5]
    assert backoff.failures == 7


def test_up_to_a_tenth_is_taken_off():
    assert waits(Backoff(first=10, limit=15, rand=lambda: 1.0), 3) == [0, 9, 13.5]
    assert waits(Backoff(first=10, limit=15, rand=lambda: 0.5), 3) == [0, 9.5, 14.25]


def test_success_begins_anew():
    backoff = Backoff(first=1, rand=lambda: 0.0)
    waits(backoff, 5)
    backoff.reset()
    assert backoff.failures == 0
    assert waits(backoff, 2) == [0, 1]


def test_wait_stays_at_the_limit_however_often_it_fails():
    backoff = Backoff(rand=lambda: 0.0)
    assert waits(backoff, 5000)[-1] == 30


def test_many_that_failed_together_do_not_return_together():
    seconds = {waits(Backoff(first=10), 2)[1] for _ in range(50)}
    assert len(seconds) > 40
    assert pytest.approx(9.5, abs=0.5) == min(seconds)
    assert max(seconds) <= 10
