"""Celery's schedules: what they mean, and that they are taken wherever a schedule is."""

from __future__ import annotations

import datetime
import json
import pickle
import subprocess
import sys
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from taskq import checks, schedules
from taskq.celery import chain, chord, crontab, schedule, shared_task
from taskq.celery.schedules import ParseException, crontab_parser, maybe_schedule, solar
from taskq.schedules import celery_form, entries
from taskq.task import call_notes
from taskq.task.timing import UTC, parse
from taskq.testing import run_all, send_ticks
from tests.taskq.scheduling import HOUR, TICK

#: A Monday.
START = datetime.datetime(2026, 6, 1, 0, 30, tzinfo=UTC)
NAP = "tests.project.lab.tasks.nap"


def days(given, count=4):
    """The next days with a tick."""
    return [f"{tick:%a %d.%m.}" for tick in islice(parse(given).after(START), count)]


# What a crontab means


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (crontab(), "* * * * *"),
        (crontab(minute=0, hour=3), "0 3 * * *"),
        (crontab(minute="*/15"), "*/15 * * * *"),
        (crontab(minute="*/15", hour="*/6"), "*/15 */6 * * *"),
        (crontab(30, 7, "mon-fri"), "30 7 * * 1-5"),
        (crontab(0, 0, "fri-mon"), "0 0 * * 0-1,5-6"),
        (crontab(0, 0, "sunday"), "0 0 * * 0"),
        (crontab(0, 0, 0), "0 0 * * 0"),
        (crontab(0, {9, 17}, day_of_month="1,15"), "0 9,17 1,15 * *"),
        (crontab([0, 30], 8, month_of_year="mar-may"), "0,30 8 * 3-5 *"),
        (crontab(0, 0, "mon", "1-7"), "both 0 0 1-7 * 1"),
        (crontab(0, 0, "mon", "*/2"), "0 0 */2 * 1"),
        (crontab("10-50/20", None), "10,30,50 * * * *"),
        (crontab(0, 0, "0-6", "1-31"), "0 0 * * *"),
    ],
)
def test_a_crontab_in_the_text_that_the_table_stores(given, text):
    assert given.text == text
    assert parse(given).text == text


def test_both_days_must_match():
    given = crontab(0, 0, day_of_week="mon", day_of_month="1-7")
    assert days(given) == ["Mon 06.07.", "Mon 03.08.", "Mon 07.09.", "Mon 05.10."]
    # A cron takes either.
    assert days("0 0 1-7 * mon") == ["Tue 02.06.", "Wed 03.06.", "Thu 04.06.", "Fri 05.06."]
    latest = parse(given).latest(datetime.datetime(2026, 8, 1, tzinfo=UTC))
    assert latest == datetime.datetime(2026, 7, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"minute": 60}, ValueError),
        ({"minute": "60"}, ValueError),
        ({"hour": -1}, ValueError),
        ({"hour": "-1"}, ParseException),
        ({"minute": "*/"}, ParseException),
        ({"minute": "1,,2"}, ParseException),
        ({"minute": "5/10"}, ValueError),
        ({"day_of_week": "someday"}, ValueError),
        ({"day_of_week": 7}, ValueError),
        ({"day_of_month": 31, "month_of_year": "jun"}, ValueError),
        ({"minute": 1.5}, TypeError),
    ],
)
def test_a_wrong_field_is_refused_at_the_call(fields, error):
    with pytest.raises(error):
        crontab(**fields)


def test_it_is_equal_shown_copied_and_pickled_as_celerys():
    one = crontab(minute="*/15", day_of_week="mon,tue")
    assert one == crontab(minute={0, 15, 30, 45}, day_of_week=[1, 2])
    assert hash(one) == hash(crontab(minute={0, 15, 30, 45}, day_of_week=[1, 2]))
    assert one != crontab(minute="*/15")
    assert one != "*/15 * * * 1-2"
    assert repr(one) == "<crontab: */15 * * * mon,tue (m/h/dM/MY/d)>"
    assert pickle.loads(pickle.dumps(one)) == one
    assert crontab.from_string("0 3 1 * mon") == crontab(0, 3, "mon", 1)
    half_a_minute = schedule(30)
    assert half_a_minute == schedule(datetime.timedelta(seconds=30))
    assert half_a_minute == datetime.timedelta(seconds=30)
    assert repr(half_a_minute) == "<freq: 30.00 seconds>"
    assert pickle.loads(pickle.dumps(half_a_minute)) == half_a_minute
    assert maybe_schedule(30) == half_a_minute
    assert maybe_schedule(one) is one
    assert crontab_parser(7).parse("sat-mon") == {6, 0, 1}


def test_it_is_due_when_a_tick_has_passed_since_the_last_run():
    now = datetime.datetime(2026, 6, 1, 12, 10, tzinfo=UTC)
    given = crontab(minute=0, nowfun=lambda: now)
    assert given.is_due(now - HOUR) == (True, 50 * 60)
    assert given.is_due(now) == (False, 50 * 60)
    assert schedule(60, nowfun=lambda: now).is_due(now) == (False, 60)


@pytest.mark.parametrize(
    ("zone", "hour"), [(ZoneInfo("Asia/Tokyo"), 18), (datetime.UTC, 2), (None, 2)]
)
def test_the_named_zone_of_nowfun_counts(zone, hour):
    given = crontab(0, 3, nowfun=lambda: datetime.datetime.now(zone))
    assert next(parse(given, "Africa/Lagos").after(START)).hour == hour


def test_solar_is_refused_with_what_to_do_instead():
    with pytest.raises(TypeError, match=r"solar\('sunset', …\) is refused.*crontab\(minute="):
        solar("sunset", 52.5, 13.4)


@pytest.mark.parametrize("seconds", [0.5, 0, -1, None])
def test_an_interval_that_is_not_whole_seconds_is_refused(seconds):
    with pytest.raises((TypeError, ValueError), match="whole seconds"):
        parse(schedule(seconds))


def test_settings_can_import_it():
    """At that time there are no settings and no models."""
    code = "from taskq.celery.schedules import crontab, schedule; print(crontab(), schedule(5))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("<crontab: * * * * *")


# Where it is taken


def test_the_decorator_and_our_own_setting_take_it(registered, settings):
    @shared_task(name="own", schedule=crontab(minute=0, hour=3, day_of_week="mon", day_of_month=1))
    def own(): ...

    @shared_task(name="often", schedule=schedule(run_every=30))
    def often(): ...

    settings.TASKQ = {"SCHEDULE": {"mine": {"task": TICK, "schedule": crontab(minute="*/5")}}}
    found = {entry.name: entry.timing.text for entry in entries.entries("default")}
    wanted = {"own": "both 0 3 1 * 1", "often": "every 30 s", "mine": "*/5 * * * *"}
    assert found.items() >= wanted.items()


@pytest.mark.django_db
def test_what_is_made_at_run_time_takes_it(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    row = schedules.create("mine", task=TICK, schedule=crontab(minute=0, hour=3))
    assert (row.schedule, row.time_zone) == ("0 3 * * *", "Europe/Berlin")
    nowfun = lambda: datetime.datetime.now(ZoneInfo("Asia/Tokyo"))  # noqa: E731
    row = schedules.update("mine", schedule=crontab(minute=0, hour=3, nowfun=nowfun))
    assert (row.time_zone, row.next_at.hour) == ("Asia/Tokyo", 18)


def test_celerys_own_setting_is_read(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    settings.CELERY_BEAT_SCHEDULE = {
        "nightly": {
            "task": NAP,
            "schedule": crontab(minute=0, hour=3),
            "args": ("x",),
            "kwargs": {"seconds": 1},
            "options": {
                **{"queue": "mail", "priority": 5, "expires": 60, "headers": {"a": 1}},
                **{"exchange": "e", "routing_key": "r", "link": None},
            },
        },
        "often": {"task": TICK, "schedule": 30.0, "relative": True},
        "each": {"task": TICK, "schedule": datetime.timedelta(minutes=5), "args": None},
    }
    found = {entry.name: entry for entry in entries.entries("default")}
    nightly = found["nightly"].columns()
    assert (nightly["schedule"], nightly["time_zone"]) == ("0 3 * * *", "UTC")
    assert nightly["payload"] == '[["x"],{"seconds":1},{"a":1}]'
    assert (nightly["queue"], nightly["priority"], nightly["expire_seconds"]) == ("mail", 5, 60)
    assert found["often"].timing.text == "every 30 s"
    assert found["each"].timing.text == "every 300 s"
    assert entries.names() >= {"nightly", "often", "each"}
    settings.CELERY_TIMEZONE = "America/New_York"
    found = {entry.name: entry for entry in entries.entries("default")}
    assert found["nightly"].columns()["time_zone"] == "America/New_York"
    settings.TASKQ = {"SCHEDULE": {"nightly": None, "often": {"task": TICK, "schedule": HOUR}}}
    found = {entry.name: entry for entry in entries.entries("default")}
    assert "nightly" not in found
    assert found["often"].timing.text == "every 3600 s"


def test_time_limits_of_an_entry_go_along(settings):
    options = {"time_limit": 9, "soft_time_limit": 5, "headers": {"a": 1}}
    settings.CELERY_BEAT_SCHEDULE = {"x": {"task": TICK, "schedule": 5, "options": options}}
    (entry,) = [entry for entry in entries.entries("default") if entry.name == "x"]
    headers = json.loads(entry.columns()["payload"])[2]
    assert headers["a"] == 1
    assert call_notes.limits(headers) == (9, 5)


def test_what_a_route_says_counts_where_the_schedule_says_nothing(registered, settings):
    @shared_task(name="routed")
    def routed(): ...

    more = {"queue": "far", "priority": 3, "expires": HOUR, "time_limit": 7}
    routed.terms_of = lambda args, kwargs, given: {
        **more,
        **{name: each for name, each in given.items() if each is not None},
    }
    given = {"task": "routed", "schedule": HOUR}
    settings.TASKQ = {"SCHEDULE": {"a": given, "b": {**given, "queue": "near", "expires": 5}}}
    a, b = (entry.columns() for entry in entries.entries("default") if entry.name in "ab")
    assert (a["queue"], a["priority"], a["expire_seconds"]) == ("far", 3, 3600)
    assert call_notes.limits(json.loads(a["payload"])[2]) == (7, None)
    assert (b["queue"], b["priority"], b["expire_seconds"]) == ("near", 3, 5)


def test_an_apps_entries_come_in(settings, monkeypatch):
    monkeypatch.setattr(celery_form, "_sources", [])
    given = {}
    celery_form.add_source(lambda: given, lambda: "Asia/Tokyo")
    assert "later" not in entries.names()
    given["later"] = {"task": TICK, "schedule": crontab(hour=3), "args": [], "kwargs": {}}
    (entry,) = [entry for entry in entries.entries("default") if entry.name == "later"]
    assert (entry.timing.text, entry.time_zone) == ("* 3 * * *", "Asia/Tokyo")


@pytest.mark.django_db
def test_a_tick_sends_a_whole_workflow(registered, settings):
    said = []

    @shared_task(name="first")
    def first(text):
        return f"{text} first"

    @shared_task(name="second")
    def second(text):
        said.append(text)

    def entry(signature, **options):
        return {
            **{"task": signature.task, "args": signature.args, "kwargs": signature.kwargs},
            **{"schedule": HOUR, "options": {**signature.options, **options}},
        }

    settings.CELERY_BEAT_SCHEDULE = {
        "chain": entry(chain(first.s("a"), second.s()), expires=60),
        "chord": entry(chord([first.s("b"), first.s("c")], second.s())),
        "link": entry(first.s("d"), link=second.s()),
    }
    assert checks.check_schedules(None) == []
    moment = datetime.datetime.now(UTC)
    assert send_ticks(moment, moment + HOUR) == 3
    run_all()
    assert sorted(map(str, said)) == ["['b first', 'c first']", "a first", "d first"]


class Foreign:
    def __repr__(self):
        return "<crontab>"


Foreign.__module__ = "celery.schedules"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("0 3 * * *", "it is '0 3 * * *': give a dict with 'task' and 'schedule'"),
        ({"task": TICK, "every": 5}, "'every' is no such key; known are task, schedule, "),
        ({"task": TICK}, "'schedule' is missing"),
        ({"task": TICK, "schedule": 0.5}, "give a cron expression such as"),
        ({"task": TICK, "schedule": Foreign()}, "import it from taskq.celery.schedules"),
        ({"task": TICK, "schedule": 5, "options": [1]}, "options is [1]: give a dict of options"),
        (
            {"task": TICK, "schedule": 5, "options": {"time_limit": -1}},
            "time_limit is -1: give a number of seconds",
        ),
        (
            {"task": TICK, "schedule": 5, "options": {"countdown": 9}},
            "options has 'countdown', which no schedule has; known are queue, priority, ",
        ),
    ],
)
def test_a_wrong_entry_is_an_error_that_says_where(settings, entry, message):
    settings.CELERY_BEAT_SCHEDULE = {"nightly": entry}
    (found,) = checks.check_schedules(None)
    assert found.id == "taskq.E020"
    assert found.msg.startswith("CELERY_BEAT_SCHEDULE['nightly']: ")
    assert message in found.msg


def test_a_task_that_is_still_celerys_is_left_to_its_beat(settings):
    settings.CELERY_BEAT_SCHEDULE = {"theirs": {"task": "shop.tasks.old", "schedule": Foreign()}}
    (found,) = checks.check_schedules(None)
    assert found.id == "taskq.W020"
    assert not found.is_serious()
    assert "task is 'shop.tasks.old', which is no task of taskq: Celery's beat" in found.msg
    assert not [entry for entry in entries.entries("default") if entry.name == "theirs"]
