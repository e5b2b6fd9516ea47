"""Arguments as text: what goes in comes back, and what cannot is refused by its path."""

from __future__ import annotations

import base64
import collections
import datetime
import enum
import json
import math
import os
import pickle
import random
import uuid
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation
from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy

from stress.project.shop.models import Order
from taskq import payload
from taskq.payload import TAG, PayloadError, decode, encode


def there_and_back(value):
    """A value as the task sees it, once as positional and once as keyword argument."""
    args, kwargs = decode(encode([value], {"name": value}))
    assert args == [kwargs["name"]] or value != value
    return args[0]


# Values that come back as themselves

HOURS = datetime.timezone(datetime.timedelta(hours=-5, minutes=-30))
PLAIN = [
    None,
    True,
    False,
    0,
    -1,
    2**63,
    -(10**4000),
    0.1,
    -0.0,
    1e308,
    5e-324,
    math.inf,
    -math.inf,
    "",
    "text",
    "ümläut 日本語 🎈",
    "nul \0 and \x1f controls \x7f",
    "lone \ud800 surrogate \udfff",
    "line\u2028separator",
    "quotes \" ' and \\ backslash",
    TAG,
    [],
    {},
    [[], [{}], [[[None]]]],
    {"": {"": ""}},
    {"a": [1, {"b": [2.5, "c"]}], "ü": None, "\0": 1, "\ud800": 2},
]
TYPED = [
    datetime.datetime(2030, 1, 2, 3, 4, 5),
    datetime.datetime(2030, 1, 2, 3, 4, 5, 678901),
    datetime.datetime(2030, 1, 2, 3, 4, 5, 1, tzinfo=datetime.UTC),
    datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=HOURS),
    datetime.datetime.min,
    datetime.datetime.max,
    datetime.date(2030, 1, 2),
    datetime.date.min,
    datetime.date.max,
    datetime.time(3, 4, 5, 678901),
    datetime.time(0),
    datetime.time(3, 4, tzinfo=HOURS),
    datetime.timedelta(0),
    datetime.timedelta(days=1, seconds=2, microseconds=3),
    datetime.timedelta(microseconds=-1),
    -datetime.timedelta(days=400, hours=5),
    datetime.timedelta.max,
    datetime.timedelta.min,
    Decimal("0"),
    Decimal("-1.500"),
    Decimal("1E+400"),
    Decimal("Infinity"),
    Decimal("0.1234567890123456789012345678901234567890"),
    uuid.UUID(int=0),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
]


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


def random_value(chance, depth=0):
    kind = chance.randrange(3 if depth > 3 else 6)
    if kind == 0:
        return chance.choice(PLAIN)
    if kind <= 2:
        return chance.choice(TYPED)
    if kind == 3:
        return [random_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    keys = ["a", "b", "value", "", TAG, "dict"]
    chance.shuffle(keys)
    return {key: random_value(chance, depth + 1) for key in keys[: chance.randrange(5)]}


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


# What cannot be encoded


class Thing:
    def __repr__(self):
        return "<a thing>"


THING = Thing()


@pytest.mark.parametrize(
    ("args", "kwargs", "path"),
    [
        ([THING], {}, "args[0]"),
        ([1, THING], {}, "args[1]"),
        ([{"a": [1, 2, THING]}], {}, "args[0]['a'][2]"),
        ([1, {"a": ({"b": THING},)}], {}, "args[1]['a'][0]['b']"),
        ([], {"user": THING}, "kwargs['user']"),
        ([], {"a": {"b": [THING]}}, "kwargs['a']['b'][0]"),
        ([{1: THING}], {}, "args[0][1]"),
        ([THING], {"a": THING}, "args[0]"),
        ([{TAG: 1, "a": THING}], {}, "args[0]['a']"),
    ],
)
def test_value_that_cannot_be_encoded_is_named_by_its_path(args, kwargs, path):
    with pytest.raises(PayloadError) as caught:
        encode(args, kwargs)
    assert str(caught.value).startswith(f"{path} is of type Thing, which JSON cannot carry (")
    assert str(caught.value).endswith("; pass an id or plain data instead")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"bytes", "bytes"),
        ({1, 2}, "set"),
        (object, "type"),
        (1j, "complex"),
        (len, "builtin_function_or_method"),
        (collections.deque(), "deque"),
        (Order(number=1), "Order"),
        ({(1, 2): 3}, "dict"),
        ({datetime.date(2030, 1, 2): 3}, "dict"),
        (10**5000, "int"),
        (iter([]), "list_iterator"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_types_that_cannot_be_encoded(value, kind):
    with pytest.raises(PayloadError, match=rf"^args\[0\] is of type {kind}, which JSON cannot"):
        encode([value], {})


def test_time_whose_offset_depends_on_the_day_is_refused():
    """Its text has no offset: it would come back as a naive time."""
    with pytest.raises(PayloadError, match=r"args\[0\] is of type time, .*offset from UTC"):
        encode([datetime.time(12, tzinfo=ZoneInfo("Europe/Berlin"))], {})


def test_list_that_contains_itself_is_refused():
    loop: list = [1]
    loop.append(loop)
    with pytest.raises(PayloadError, match=r"^args\[0\]\[1\] is of type list, .*Circular"):
        encode([loop], {})


def test_dict_that_contains_itself_is_refused():
    loop: dict = {}
    loop["a"] = [loop]
    with pytest.raises(
        PayloadError, match=r"^kwargs\['x'\]\['a'\]\[0\] is of type dict, .*Circular"
    ):
        encode([], {"x": loop})


@pytest.mark.parametrize("tag", [TAG, "a"])
def test_nesting_too_deep_is_refused(tag):
    deep: list = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(PayloadError, match="which JSON cannot carry"):
        encode([{tag: deep}], {})


def test_payload_error_is_a_value_error():
    assert issubclass(PayloadError, ValueError)


# The limit


def test_payload_up_to_the_limit_is_taken(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 100}
    assert len(encode(["x" * 91], {})) == 100
    with pytest.raises(
        PayloadError, match=r"take 101 bytes, more than TASKQ\['MAX_PAYLOAD'\] \(100\); store"
    ):
        encode(["x" * 92], {})


def test_limit_counts_bytes_not_characters(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 100}
    with pytest.raises(PayloadError, match="take 189 bytes"):
        encode(["é" * 30], {})


def test_limit_is_256_kib_by_default():
    assert encode(["x" * (256 * 1024 - 9)], {})
    with pytest.raises(PayloadError, match=r"take 262145 bytes.*\(262144\)"):
        encode(["x" * (256 * 1024 - 8)], {})


def test_limit_holds_for_pickles(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 1000, "SERIALIZER": "pickle"}
    with pytest.raises(PayloadError, match="more than TASKQ"):
        encode([os.urandom(1000)], {})


# Text that is not ours


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nonsense",
        "[[],{}",
        "[[],{}]]",
        "[[1,],{}]",
        "[['a'],{}]",
        "[[],{}]\0",
        "[[01],{}]",
        '[["\ud800],{}]',
        f"[[{'9' * 5000}],{{}}]",
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
    ids=lambda text: repr(text)[:20],
)
def test_broken_json_is_refused(text):
    with pytest.raises(PayloadError, match="the stored arguments are not JSON: "):
        decode(text)


@pytest.mark.parametrize("text", ["[[1],{}]", " [[1],{}]", "[[1],{}]\n", "\t[ [1] , {} ] "])
def test_white_space_around_arguments_is_no_harm(text):
    """Nobody but a person writes it."""
    assert decode(text) == ([1], {})


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "1",
        '"text"',
        "{}",
        "[]",
        "[[]]",
        "[[],[]]",
        "[{},{}]",
        "[{},[]]",
        "[[],{},[]]",
        "[[],{},null]",
        "[[],[],{}]",
        "[[],{},{},{}]",
        "[[],null]",
        "[1,{}]",
        '["ab",{}]',
        '{"args":[],"kwargs":{}}',
        '[[],{"$taskq":"date","value":"2030-01-02"}]',
        '{"$taskq":"dict","value":[]}',
    ],
)
def test_json_of_another_shape_is_refused(text):
    with pytest.raises(PayloadError, match=r"not of the form \[\[…\], {…}\]"):
        decode(text)


@pytest.mark.parametrize(
    "tag", ["datetime", "date", "time", "timedelta", "decimal", "uuid", "dict"]
)
@pytest.mark.parametrize(
    "value",
    [
        "null",
        "1",
        "-1.5",
        "true",
        '"x"',
        "[1]",
        "[[1]]",
        '["ab","c"]',
        "{}",
        '{"a":1}',
        "NaN",
        "[[[],1]]",
    ],
)
def test_tagged_value_of_another_type_gives_a_payload_error_or_a_value(tag, value):
    try:
        args, kwargs = decode(f'[[{{"$taskq":"{tag}","value":{value}}}],{{}}]')
    except PayloadError:
        return
    assert (len(args), kwargs) == (1, {})


@pytest.mark.parametrize(
    "found",
    [
        '{"$taskq":"nothing","value":1}',
        '{"$taskq":"date"}',
        '{"$taskq":1,"value":1}',
        '{"$taskq":[],"value":1}',
        '{"$taskq":{"$taskq":"date"},"value":1}',
        '{"$taskq":"uuid","value":5}',
        '{"$taskq":"date","value":"2030-13-01"}',
        '{"$taskq":"decimal","value":"1.2.3"}',
        '{"$taskq":"timedelta","value":[1e300,0,0]}',
        '{"$taskq":"timedelta","value":[1,2,3,4,5,6,7,8]}',
        '{"$taskq":"dict","value":5}',
        '{"$taskq":"dict","value":[[[],1]]}',
        '{"$taskq":"dict"}',
    ],
)
def test_tagged_value_that_makes_no_sense_is_refused(found):
    with pytest.raises(PayloadError, match="is no value of ours"):
        decode(f"[[{found}],{{}}]")


def test_mangled_text_gives_arguments_or_a_payload_error():
    chance = random.Random(20302)
    texts = [encode([random_value(chance)], {"a": random_value(chance)}) for _ in range(60)]
    alphabet = '[]{}",:0123456789.-+eE\\utfnaluse$skqvdictm \0é\ud800NI'
    refused = 0
    for _ in range(6000):
        text = list(chance.choice(texts)[:2000])
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(text) + 1)
            text[place : place + chance.randrange(3)] = chance.choice(["", *alphabet])
        refused += not decodes("".join(text))
    assert 1000 < refused < 6000


def test_random_json_gives_arguments_or_a_payload_error():
    chance = random.Random(20303)
    leaves = [
        None,
        True,
        -1,
        10**20,
        1.5,
        math.nan,
        math.inf,
        "",
        "x",
        "2030-01-02",
        "1E+5",
        "\ud800",
    ]
    tags = ["datetime", "date", "time", "timedelta", "decimal", "uuid", "dict", "x", None, 5]

    def grow(depth):
        kind = chance.randrange(4 if depth < 4 else 1)
        if kind == 0:
            return chance.choice(leaves)
        if kind == 1:
            return [grow(depth + 1) for _ in range(chance.randrange(5))]
        if kind == 2:
            return {chance.choice(["a", TAG, "value"]): grow(depth + 1) for _ in range(3)}
        return {TAG: chance.choice(tags), "value": grow(depth + 1)}

    outcomes = {decodes(json.dumps([[grow(0)], {"a": grow(0)}])) for _ in range(3000)}
    assert outcomes == {True, False}


def decodes(text):
    """Whether it gives arguments; anything but these or a PayloadError fails the test."""
    try:
        args, kwargs = decode(text)
    except PayloadError:
        return False
    assert isinstance(args, list)
    assert isinstance(kwargs, dict)
    return True


# Pickle


@pytest.fixture
def pickles(settings):
    settings.TASKQ = {"SERIALIZER": "pickle"}


class Explosive:
    """Leaves a mark when somebody un-pickles it."""

    went_off = False

    def __reduce__(self):
        return setattr, (Explosive, "went_off", True)


@pytest.fixture(autouse=True)
def _nothing_went_off():
    Explosive.went_off = False


def test_pickle_carries_what_json_cannot(pickles):
    value = {"set": {1, 2}, "tuple": (1, (2,)), "bytes": b"\0\xff", 5: 1j}
    args, kwargs = decode(encode((value,), {"again": value}))
    assert (args, kwargs) == ([value], {"again": value})
    assert type(args[0]["tuple"]) is tuple


def test_pickle_is_stored_as_plain_text(pickles):
    text = encode([b"\0\xff"], {})
    assert text.startswith("pickle:")
    assert text.isascii()
    assert text.isprintable()


def test_what_cannot_be_pickled_is_refused(pickles):
    with pytest.raises(PayloadError, match="the arguments cannot be pickled: "):
        encode([lambda: None], {})


def test_error_while_pickling_is_a_payload_error(pickles):
    class Grumpy:
        def __reduce__(self):
            raise KeyError("no")

    with pytest.raises(PayloadError, match="cannot be pickled"):
        encode([Grumpy()], {})


def test_json_is_the_default(settings):
    settings.TASKQ = {}
    with pytest.raises(PayloadError, match="JSON cannot carry"):
        encode([{1, 2}], {})


def test_site_that_pickles_reads_json_as_well(pickles):
    assert decode("[[1],{}]") == ([1], {})


def test_pickle_is_refused_by_a_site_that_did_not_opt_in(pickles, settings):
    text = encode([Explosive()], {})
    settings.TASKQ = {}
    with pytest.raises(
        PayloadError, match=r"are pickled, and TASKQ\['SERIALIZER'\] is not 'pickle'"
    ):
        decode(text)
    assert not Explosive.went_off


BODY = base64.b64encode(pickle.dumps([[Explosive()], {}])).decode()
OTHER_KEY = signing.Signer(key="another", salt="taskq.payload").sign(BODY)
OTHER_SALT = signing.Signer(key="for tests and demos only", salt="sessions").sign(BODY)


@pytest.mark.parametrize(
    "forged",
    [BODY, f"{BODY}:", f"{BODY}:AAAA", OTHER_KEY, OTHER_SALT, "", ":", "é", "\0"],
    ids=["unsigned", "empty", "wrong", "other key", "other salt", "nothing", "colon", "é", "nul"],
)
def test_forged_pickle_is_refused_before_it_is_unpickled(pickles, forged):
    with pytest.raises(PayloadError, match=r"the signature of the stored arguments is wrong: .*"):
        decode(f"pickle:{forged}")
    assert not Explosive.went_off


def test_modified_pickle_is_refused_before_it_is_unpickled(pickles):
    text = encode([Explosive()], {})
    chance = random.Random(20304)
    for _ in range(200):
        place = chance.randrange(len("pickle:"), len(text))
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with pytest.raises(PayloadError, match="signature"):
            decode(changed)
    assert not Explosive.went_off
    decode(text)
    assert Explosive.went_off


def test_pickle_survives_a_new_secret_key(pickles, settings):
    text = encode([{1}], {})
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "new"
    assert decode(text) == ([{1}], {})
    assert encode([{1}], {}) != text
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(PayloadError, match="keep the old one in SECRET_KEY_FALLBACKS"):
        decode(text)


def signed(value):
    body = base64.b64encode(value).decode()
    return payload.PICKLED + payload._signer().sign(body)


def test_error_while_unpickling_is_a_payload_error(pickles):
    missing = pickle.dumps(Order).replace(b"Order", b"Gone5")
    for body in (missing, b"", b"nonsense", pickle.dumps([[1], {}])[:-3]):
        with pytest.raises(PayloadError, match="the stored arguments cannot be un-pickled: "):
            decode(signed(body))


@pytest.mark.parametrize("value", [None, [], [(), {}, 1], ["ab", {}], [{}, []], [1, 2], "ab"])
def test_pickle_of_another_shape_is_refused(pickles, value):
    with pytest.raises(PayloadError, match="not of the form"):
        decode(signed(pickle.dumps(value)))


def test_other_serializers_are_refused(settings):
    settings.TASKQ = {"SERIALIZER": "yaml"}
    with pytest.raises(ImproperlyConfigured, match=r"TASKQ\['SERIALIZER'\] is 'yaml': use"):
        encode([], {})
