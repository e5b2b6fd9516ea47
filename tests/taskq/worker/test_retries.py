"""When a failed run is tried again."""

from __future__ import annotations

import random

import pytest

from taskq.exceptions import MaxRetriesExceededError, Retry
from taskq.task import retries
from taskq.task.options import task_options
from taskq.task.request import Request


class NetworkDown(Exception):
    pass


class BankDown(NetworkDown):
    pass


class WrongCard(NetworkDown):
    pass


class CardExpired(WrongCard):
    pass


def after(error, done=0, **options):
    return retries.after(error, task_options(options), done)


# Automatic retries


def test_error_is_not_retried_by_default():
    assert after(KeyError()) is None


def test_error_of_a_named_class_is_retried():
    error = NetworkDown()
    again = after(error, autoretry_for=(NetworkDown,))
    assert again.exc is error
    assert (again.countdown, again.eta) == (180, None)


def test_error_of_another_class_is_not_retried():
    assert after(KeyError(), autoretry_for=(NetworkDown, ValueError)) is None


def test_error_of_a_subclass_is_retried():
    assert after(BankDown(), autoretry_for=(NetworkDown,))


@pytest.mark.parametrize("error", [WrongCard(), CardExpired()])
def test_error_of_an_excepted_class_or_a_subclass_is_not_retried(error):
    options = {"autoretry_for": (NetworkDown,), "dont_autoretry_for": (WrongCard,)}
    assert after(error, **options) is None
    assert after(BankDown(), **options)


def test_excepted_class_wins_when_it_is_named_in_both():
    options = {"autoretry_for": (Exception, WrongCard), "dont_autoretry_for": (WrongCard,)}
    assert after(CardExpired(), **options) is None


def test_system_exit_is_retried_only_by_name():
    assert after(SystemExit(), autoretry_for=(Exception,)) is None
    assert after(SystemExit(), autoretry_for=(SystemExit,))


def test_retries_end_after_three_by_default():
    options = {"autoretry_for": (NetworkDown,)}
    assert [bool(after(NetworkDown(), done, **options)) for done in range(5)] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("limit", "allowed"), [(0, 0), (1, 1), (5, 5), (None, 7)])
@pytest.mark.parametrize("by", ["max_retries", "retry_kwargs"])
def test_max_retries_is_the_number_of_retries_and_none_is_no_limit(limit, allowed, by):
    if by == "max_retries":
        options = {"max_retries": limit}
    else:  # in retry_kwargs None is the task's own limit, as in Celery
        options = {
            "max_retries": None if limit is None else 2,
            "retry_kwargs": {"max_retries": limit},
        }
    granted = [
        bool(after(NetworkDown(), n, autoretry_for=(NetworkDown,), **options)) for n in range(7)
    ]
    assert sum(granted) == allowed


def test_max_retries_none_in_retry_kwargs_is_the_tasks_own_as_in_celery():
    options = {"autoretry_for": (NetworkDown,), "retry_kwargs": {"max_retries": None}}
    assert after(NetworkDown(), 2, **options)
    assert after(NetworkDown(), 3, **options) is None


def test_countdown_is_the_default_delay():
    assert after(NetworkDown(), autoretry_for=(NetworkDown,), default_retry_delay=7).countdown == 7


def test_countdown_of_retry_kwargs_wins_over_the_default_delay():
    options = {"default_retry_delay": 7, "retry_kwargs": {"countdown": 0}}
    assert after(NetworkDown(), autoretry_for=(NetworkDown,), **options).countdown == 0


def test_backoff_wins_over_the_countdown_of_retry_kwargs_as_in_celery():
    options = {"retry_backoff": 2, "retry_jitter": False, "retry_kwargs": {"countdown": 50}}
    assert after(NetworkDown(), 1, autoretry_for=(NetworkDown,), **options).countdown == 4


def test_retry_that_the_task_raised_is_kept():
    given = Retry(countdown=5)
    assert after(given) is given
    assert after(given, autoretry_for=(Exception,), dont_autoretry_for=(Retry,)) is given


def test_task_that_gave_up_is_not_retried_automatically():
    assert after(MaxRetriesExceededError(), autoretry_for=(Exception,), max_retries=None) is None


# Back-off


def backoff(done, rand=lambda: 1.0, **options):
    return retries.backoff(task_options(options), done, rand)


def test_no_backoff_waits_the_default_delay_each_time():
    assert [backoff(done, default_retry_delay=7) for done in range(3)] == [7, 7, 7]


def test_backoff_doubles_from_one_second():
    waits = [backoff(done, retry_backoff=True, retry_jitter=False) for done in range(6)]
    assert waits == [1, 2, 4, 8, 16, 32]


def test_backoff_doubles_from_its_base():
    waits = [backoff(done, retry_backoff=0.5, retry_jitter=False) for done in range(5)]
    assert waits == [0.5, 1, 2, 4, 8]


def test_backoff_is_capped_at_ten_minutes_by_default():
    waits = [backoff(done, retry_backoff=True, retry_jitter=False) for done in (9, 10, 11)]
    assert waits == [512, 600, 600]


def test_backoff_is_capped():
    waits = [
        backoff(done, retry_backoff=3, retry_backoff_max=10, retry_jitter=False)
        for done in range(4)
    ]
    assert waits == [3, 6, 10, 10]


@pytest.mark.parametrize("done", [100, 1_024, 10**6])
def test_backoff_stays_at_its_cap_for_ever(done):
    assert backoff(done, retry_backoff=True, retry_jitter=False) == 600


@pytest.mark.parametrize(("rand", "wait"), [(0.0, 0), (0.25, 4), (0.5, 8), (1.0, 16)])
def test_jitter_waits_a_part_of_the_backoff(rand, wait):
    assert backoff(4, lambda: rand, retry_backoff=True) == wait


def test_jitter_is_a_part_of_the_cap_where_that_is_reached():
    assert backoff(20, lambda: 0.5, retry_backoff=True) == 300


def test_jitter_stays_in_range_and_varies():
    chance = random.Random(1)
    waits = [backoff(3, chance.random, retry_backoff=True) for _ in range(1000)]
    assert all(0 <= wait < 8 for wait in waits)
    assert min(waits) < 0.5
    assert max(waits) > 7.5
    assert 3.5 < sum(waits) / len(waits) < 4.5


def test_jitter_does_not_touch_a_delay_without_backoff():
    assert backoff(0, lambda: 0.0, default_retry_delay=7) == 7


def test_jitter_is_drawn_anew_each_time():
    options = {"autoretry_for": (NetworkDown,), "retry_backoff": 100}
    waits = {after(NetworkDown(), **options).countdown for _ in range(20)}
    assert len(waits) == 20


# Retries that the task asks for


def ask(options=None, *, retried=0, direct=False, **arguments):
    request = Request(pk=None, name="t", queue="q", retries=retried, called_directly=direct)
    options = task_options(options or {})
    retries.retry(options, request, **{"max_retries": options.max_retries, **arguments})


def test_asked_retry_carries_what_it_was_given():
    error = KeyError()
    with pytest.raises(Retry) as caught:
        ask(exc=error, countdown=5)
    assert (caught.value.exc, caught.value.countdown) == (error, 5)


def test_asked_retry_ignores_the_backoff_as_in_celery():
    with pytest.raises(Retry) as caught:
        ask({"retry_backoff": True, "default_retry_delay": 50})
    assert caught.value.countdown == 50


def test_asked_retry_of_a_spent_task_raises_its_error():
    with pytest.raises(KeyError):
        ask(exc=KeyError(), retried=3)
    with pytest.raises(MaxRetriesExceededError, match="t was retried 3 times"):
        ask(retried=3)


def test_asked_retry_of_a_direct_call_does_not_spin():
    """It may end in the run of another task, which would be run again at once."""
    with pytest.raises(Retry) as caught:
        ask(direct=True)
    assert caught.value.countdown == 180
