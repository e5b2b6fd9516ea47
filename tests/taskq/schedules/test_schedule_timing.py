"""When ticks are: by cron and by interval, also where clocks change; and which are sent."""

from __future__ import annotations

import datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskq.schedules.catch_up import IN_TIME, MOST, MOST_IN_ALL, move
from taskq.task.timing import UTC, parse

SECOND = datetime.timedelta(seconds=1)
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
BERLIN = "Europe/Berlin"


def at(text, zone="UTC", fold=0):
    """A moment, in UTC, by what a clock in the zone shows."""
    local = datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return local.astimezone(UTC)


def ticks(schedule, since, count, zone=BERLIN):
    """The next ticks as local times."""
    found = islice(parse(schedule, zone).after(at(since, zone)), count)
    return [f"{tick.astimezone(ZoneInfo(zone)):%m-%d %H:%M%z}" for tick in found]


# When they are


def test_a_cron_expression_is_in_the_local_time_of_its_zone():
    assert ticks("0 3 * * *", "2026-01-10 12:00", 2) == ["01-11 03:00+0100", "01-12 03:00+0100"]
    assert ticks("0 3 * * *", "2026-07-10 12:00", 1) == ["07-11 03:00+0200"]
    assert ticks("0 9 * * mon-fri", "2026-01-09 10:00", 1) == ["01-12 09:00+0100"]
    assert ticks("0 0 L * *", "2026-02-10 10:00", 1) == ["02-28 00:00+0100"]


def test_a_time_that_clocks_skip_comes_right_after_the_gap():
    assert ticks("30 2 * * *", "2026-03-28 12:00", 2) == ["03-29 03:00+0200", "03-30 02:30+0200"]
    # Not twice, where several times are skipped or the first after the gap is one as well.
    assert ticks("0,30 2 * * *", "2026-03-28 12:00", 2) == ["03-29 03:00+0200", "03-30 02:00+0200"]
    assert ticks("0 2,3 * * *", "2026-03-28 12:00", 2) == ["03-29 03:00+0200", "03-30 02:00+0200"]


def test_a_time_that_clocks_show_twice_comes_the_first_time():
    assert ticks("30 2 * * *", "2026-10-24 12:00", 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]


def test_a_tick_is_never_in_the_past_not_even_in_the_second_hour():
    timing = parse("30 2 * * *", BERLIN)
    second = at("2026-10-25 02:10", BERLIN, fold=1)  # that of 02:30 was 40 minutes ago
    assert next(timing.after(second)) == at("2026-10-26 02:30", BERLIN)
    assert timing.latest(second) == at("2026-10-25 02:30", BERLIN)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
@pytest.mark.parametrize(("schedule", "apart"), [("*/10 * * * *", 10), ("0 * * * *", 60)])
def test_ticks_of_each_hour_are_as_far_apart_as_ever_when_clocks_change(day, schedule, apart):
    found = list(islice(parse(schedule, BERLIN).after(at(f"{day} 00:30", BERLIN)), 20))
    assert {later - sooner for sooner, later in pairwise(found)} == {apart * MINUTE}


def test_an_hour_that_is_skipped_has_no_ticks_of_its_own_with_a_star_for_minutes():
    found = ticks("*/30 2 * * *", "2026-03-28 12:00", 2)
    assert found == ["03-30 02:00+0200", "03-30 02:30+0200"]
    found = ticks("*/30 2 * * *", "2026-10-24 12:00", 4)
    assert found == [f"10-25 02:{m}+0{z}00" for z in (2, 1) for m in ("00", "30")]


def test_half_an_hour_of_change_as_well():
    assert ticks("15 2 * * *", "2026-10-03 12:00", 1, "Australia/Lord_Howe") == ["10-04 02:30+1100"]


def test_a_sixth_field_in_front_is_for_seconds():
    found = list(islice(parse("*/20 * * * * *").after(at("2026-01-01 00:00:10")), 3))
    assert found == [
        at("2026-01-01 00:00:20"),
        at("2026-01-01 00:00:40"),
        at("2026-01-01 00:01:00"),
    ]


def test_an_interval_is_counted_from_1970_whatever_the_zone():
    timing = parse(datetime.timedelta(minutes=90), BERLIN)
    assert list(islice(timing.after(at("1970-01-01 01:00")), 2)) == [
        at("1970-01-01 01:30"),
        at("1970-01-01 03:00"),
    ]
    assert timing.latest(at("1970-01-01 02:59")) == at("1970-01-01 01:30")
    found = list(islice(timing.after(at("2026-03-28 12:00")), 40))
    assert {later - sooner for sooner, later in pairwise(found)} == {90 * MINUTE}


@pytest.mark.parametrize(
    "schedule", ["*/5 * * * *", "30 2 * * *", "0 0 29 2 *", "* * * * * *", SECOND, 3 * HOUR]
)
def test_the_text_of_a_timing_is_read_as_the_same(schedule):
    timing = parse(schedule, BERLIN)
    assert parse(timing.text, BERLIN) == timing


moments = st.datetimes(
    datetime.datetime(2025, 1, 1), datetime.datetime(2027, 1, 1), timezones=st.just(UTC)
)
schedules = st.sampled_from(
    ["30 2 * * *", "*/7 * * * *", "0,30 1-3 * * *", "15 */6 * * sun", "0 0 31 * *", 50 * MINUTE]
)
zones = st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"])


def test_no_tick_is_missed_after_clocks_change_by_half_an_hour():
    """Back from 2:00 to 1:30, at 15:00 UTC; and on from 2:00 to 2:30, at 15:30."""
    timing = parse("15 */6 * * *", "Australia/Lord_Howe")
    ticks = timing.after(datetime.datetime(2025, 4, 5, 13, 0, tzinfo=UTC))
    assert [f"{next(ticks):%H:%M}" for _ in range(4)] == ["13:15", "19:45", "01:45", "07:45"]
    ticks = timing.after(datetime.datetime(2025, 10, 4, 13, 0, tzinfo=UTC))
    assert [f"{next(ticks):%H:%M}" for _ in range(4)] == ["13:45", "19:15", "01:15", "07:15"]
    hourly = parse("45 * * * *", "Australia/Lord_Howe")
    ticks = hourly.after(datetime.datetime(2025, 4, 5, 14, 0, tzinfo=UTC))
    assert [f"{next(ticks):%H:%M}" for _ in range(3)] == ["14:45", "15:15", "16:15"]


@given(schedule=schedules, zone=zones, moment=moments)
def test_latest_and_after_fit_together(schedule, zone, moment):
    timing = parse(schedule, zone)
    latest, following = timing.latest(moment), next(timing.after(moment))
    assert latest <= moment < following
    assert next(timing.after(latest)) == following
    assert timing.latest(following) == following
    assert timing.latest(following - SECOND) == latest


# What cannot be


@pytest.mark.parametrize(
    ("schedule", "kind", "said"),
    [
        ("* * * *", ValueError, "schedule is '* * * *': give a cron"),
        ("61 * * * *", ValueError, "of whole seconds; it has: bad minute"),
        ("0 0 30 2 *", ValueError, "; it has: bad day-of-month"),
        ("@daily", ValueError, "; it has: wrong number of fields"),
        ("", ValueError, "schedule is ''"),
        ("*" * 300, ValueError, "schedule has 300 characters"),
        ("every 0 s", ValueError, "schedule is 'every 0 s'"),
        (300, TypeError, "schedule is 300: give a cron expression such as"),
        (datetime.timedelta(0), ValueError, "a timedelta of whole seconds, at least one"),
        (-SECOND, ValueError, "at least one"),
        (1.5 * SECOND, ValueError, "a timedelta of whole seconds"),
        (datetime.timedelta.max, ValueError, "schedule is datetime.timedelta("),
    ],
)
def test_what_is_no_schedule_is_refused(schedule, kind, said):
    with pytest.raises(kind) as refused:
        parse(schedule)
    assert said in str(refused.value)


# Which are sent


START = at("2026-01-01 12:00:00")


def moved(schedule, late, catch_up):
    made = move(parse(schedule), START, START + late, catch_up)
    return [round((tick - START).total_seconds()) for tick in made.ticks], made


@pytest.mark.parametrize("catch_up", ["once", "skip", "all"])
def test_each_tick_is_sent_while_it_is_in_time(catch_up):
    assert moved(10 * SECOND, 0 * SECOND, catch_up)[0] == [0]
    sent, made = moved(10 * SECOND, 29 * SECOND, catch_up)
    assert sent == [0, 10, 20]
    assert made.next_at == START + 30 * SECOND
    assert not made.missed
    assert len(moved(SECOND, IN_TIME, catch_up)[0]) == 61


def test_missed_once_is_one_task_for_the_latest_tick():
    sent, made = moved(10 * SECOND, 2 * HOUR + SECOND, "once")
    assert sent == [7200]
    assert made.next_at == START + 2 * HOUR + 10 * SECOND
    assert made.missed
    sent, made = moved("0 * * * *", 50 * MINUTE, "once")  # late, and no other came meanwhile
    assert sent == [0]
    assert not made.missed


def test_missed_and_skipped_leaves_what_is_in_time():
    sent, made = moved(HOUR, 2 * HOUR + 5 * MINUTE, "skip")
    assert sent == []
    assert made.next_at == START + 3 * HOUR
    assert made.missed
    assert moved(HOUR, 2 * HOUR + SECOND, "skip")[0] == [7200]
    assert moved(20 * SECOND, 2 * HOUR, "skip")[0] == [7140, 7160, 7180, 7200]


def test_all_that_was_missed_is_sent_in_order_some_at_a_time():
    sent, made = moved(SECOND, 2 * HOUR, "all")
    assert sent == list(range(MOST))
    assert made.next_at == START + MOST * SECOND
    assert not made.missed


@pytest.mark.parametrize(
    ("schedule", "every", "years", "count"),
    [
        ("* * * * * *", SECOND, 400, 400 * 31_557_600),
        (SECOND, SECOND, 400, 400 * 31_557_600),
        ("* * * * *", MINUTE, 1, 525_960),
        (HOUR, HOUR, 400, 400 * 8766),
    ],
)
def test_of_years_of_missed_ticks_the_last_are_sent_and_the_rest_is_counted(
    schedule, every, years, count
):
    sent, made = moved(schedule, years * 31_557_600 * SECOND, "all")
    first = years * 31_557_600 - (MOST_IN_ALL - 1) * every.total_seconds()
    assert sent == [first + n * every.total_seconds() for n in range(MOST)]
    assert made.passed_over == count - MOST_IN_ALL + 1
    assert not made.missed


def test_years_of_few_missed_ticks_are_all_sent():
    sent, made = moved("0 0 29 2 *", 400 * 365 * 24 * HOUR, "all")
    assert (len(sent), made.passed_over) == (97, 0)
    since = datetime.datetime(1, 1, 2, tzinfo=UTC)
    made = move(parse("0 0 29 2 *", "Asia/Tokyo"), since, START, "all")
    assert (made.ticks[0].year, made.passed_over) == (4, 0)


def test_years_of_missed_seconds_cost_nothing():
    sent, made = moved(SECOND, 24 * 365 * 10 * HOUR, "once")
    assert len(sent) == 1
    assert made.missed


def test_a_place_that_is_no_tick_is_no_tick():
    made = move(parse(HOUR), START + MINUTE, START + 2 * MINUTE, "once")
    assert made.ticks == []
    assert made.next_at == START + HOUR
    made = move(parse(HOUR), START + MINUTE, START + 30 * MINUTE, "once")
    assert (made.ticks, made.next_at, made.missed) == ([], START + HOUR, False)
