"""Arguments as text: what goes in comes back, or something near it."""

from __future__ import annotations

import collections
import datetime
import enum
import json
import math
import random
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation
from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy

from taskq.task.payload import TAG, decode, encode
from tests.taskq.payloads import PLAIN, TYPED, random_value


def there_and_back(value):
    """A value as the task sees it, once as positional and once as keyword argument."""
    args, kwargs = decode(encode([value], {"name": value}))
    assert args == [kwargs["name"]] or value != value
    return args[0]


# Values that come back as themselves


@pytest.mark.parametrize("value", [*PLAIN, *TYPED], ids=lambda value: repr(value)[:40])
def test_value_comes_back_as_itself(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value)  # also the zeros of a decimal, and the sign of zero


@pytest.mark.parametrize("value", TYPED, ids=repr)
def test_typed_value_comes_back_from_within_others(value):
    nested = {"a": [value, {"b": [value]}], "c": {TAG: [value]}}
    assert there_and_back(nested) == nested


def test_not_a_number_comes_back():
    assert math.isnan(there_and_back(math.nan))
    assert there_and_back(Decimal("NaN")).is_nan()


def test_time_zone_comes_back_as_its_offset():
    summer = datetime.datetime(2030, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    back = there_and_back(summer)
    assert back == summer
    assert back.utcoffset() == datetime.timedelta(hours=2)


def test_second_turn_of_a_repeated_hour_comes_back():
    late = datetime.datetime(2030, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert there_and_back(late).timestamp() == late.timestamp()


def test_random_values_come_back():
    chance = random.Random(20301)
    for _ in range(300):
        value = random_value(chance)
        assert there_and_back(value) == value


# Values that come back as something near


def test_tuples_come_back_as_lists():
    assert there_and_back((1, (2, [3]), {"a": (4,)})) == [1, [2, [3]], {"a": [4]}]
    Pair = collections.namedtuple("Pair", "a b")
    assert there_and_back(Pair(1, 2)) == [1, 2]


def test_keys_come_back_as_text():
    assert there_and_back({1: "a", None: "b", 2.5: "c"}) == {"1": "a", "null": "b", "2.5": "c"}


def test_enumerations_come_back_as_their_values():
    class Size(enum.IntEnum):
        SMALL = 1

    class Color(enum.StrEnum):
        RED = "red"

    assert there_and_back([Size.SMALL, Color.RED]) == [1, "red"]


def test_lazy_text_comes_back_as_text_in_the_language_of_the_call():
    assert there_and_back(lazystr("late")) == "late"
    with translation.override("de"):
        text = encode([gettext_lazy("Yes")], {})
    assert decode(text) == (["Ja"], {})


def test_subclasses_come_back_as_what_they_extend():
    class Moment(datetime.datetime):
        pass

    class Money(Decimal):
        pass

    back = there_and_back([Moment(2030, 1, 2), Money("1.50"), collections.OrderedDict(a=1)])
    assert back == [datetime.datetime(2030, 1, 2), Decimal("1.50"), {"a": 1}]
    assert [type(each) for each in back] == [datetime.datetime, Decimal, dict]


# Dicts of the caller's own that look like ours


@pytest.mark.parametrize(
    "value",
    [
        {TAG: "date", "value": "2030-01-02"},
        {TAG: "dict", "value": []},
        {TAG: "uuid"},
        {TAG: None},
        {TAG: None, "value": 1},
        {TAG: {TAG: {TAG: 1}}},
        {TAG: [1], "more": {TAG: datetime.date(2030, 1, 2)}},
        [{TAG: 1}, {"a": {TAG: 2, "b": 3}}],
        {"a": ({TAG: 1},)},
    ],
)
def test_callers_dict_with_our_tag_comes_back(value):
    assert there_and_back(value) == json.loads(json.dumps(value, default=str)) or TAG in str(value)
    assert there_and_back({"x": value}) == {"x": there_and_back(value)}


def test_callers_dict_with_our_tag_comes_back_unchanged():
    value = {TAG: "date", "value": "2030-01-02", "day": datetime.date(2030, 1, 2)}
    assert there_and_back(value) == value


def test_keyword_argument_with_the_name_of_our_tag_comes_back():
    kwargs = {TAG: "date", "value": "2030-01-02"}
    assert decode(encode([], kwargs)) == ([], kwargs)


# The text


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "[[],{}]"),
        ((1, "a"), {"b": [None]}, '[[1,"a"],{"b":[null]}]'),
        (("é\0",), {}, '[["\\u00e9\\u0000"],{}]'),
        ((datetime.date(2030, 1, 2),), {}, '[[{"$taskq":"date","value":"2030-01-02"}],{}]'),
    ],
)
def test_text_is_compact_json(args, kwargs, text):
    assert encode(args, kwargs) == text


@pytest.mark.parametrize("value", ["é", "\0", "\ud800", "日本語", "🎈"])
def test_text_is_ascii_that_any_column_takes(value):
    text = encode([value], {value: value})
    assert text.isascii()
    assert text.isprintable()
