"""What is remembered for all who look: asked once, for its time, whatever happens."""

from __future__ import annotations

import threading

import pytest

from taskq.dashboard.remembered import MANY, Remembered


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def remembered(clock):
    return Remembered(clock)


def test_an_answer_is_good_for_its_time(remembered, clock):
    answers = iter("abc")

    def look():
        return remembered.get("key", lambda: next(answers), seconds=2)

    assert look() == look() == "a"
    clock.now += 1.9
    assert look() == "a"
    clock.now += 0.2
    assert look() == "b"


def test_each_key_has_its_own_answer(remembered):
    assert remembered.get("one", lambda: 1, seconds=2) == 1
    assert remembered.get("two", lambda: 2, seconds=2) == 2


def test_of_many_threads_that_want_the_same_one_asks(remembered):
    asked, may_answer, found = [], threading.Event(), []

    def ask():
        asked.append(threading.get_ident())
        assert may_answer.wait(60)
        return "answer"

    def look():
        found.append(remembered.get("key", ask, seconds=2))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    may_answer.set()
    for thread in threads:
        thread.join(60)
    assert found == ["answer"] * 8
    assert len(asked) == 1


def test_an_error_is_not_remembered(remembered):
    def fail():
        raise ConnectionError

    with pytest.raises(ConnectionError):
        remembered.get("key", fail, seconds=2)
    assert remembered.get("key", lambda: "answer", seconds=2) == "answer"


def test_after_a_change_all_is_asked_anew(remembered):
    assert remembered.get("key", lambda: "before", seconds=2) == "before"
    remembered.forget()
    assert remembered.get("key", lambda: "after", seconds=2) == "after"


def test_old_answers_take_no_memory_for_ever(remembered, clock):
    for number in range(3 * MANY):
        remembered.get(number, lambda: "answer", seconds=2)
        clock.now += 0.1
    assert len(remembered._answers) <= MANY
    assert len(remembered._asking) <= MANY + 1
